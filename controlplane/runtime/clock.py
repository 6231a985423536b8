"""Keeps the grid clock: a time that runs at its own rate and never steps back between runs."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controlplane.runtime.folder import RuntimeProblem, read_json, write_private

# Midnight of 26 May 2023 in China: where the shipped history ends and the live part begins.
LIVE_START = datetime(2023, 5, 25, 16, tzinfo=UTC).timestamp()
# The file is written once a second; two seconds cover what ran after its last writing.
UNSAVED_S = 2.0


@dataclass(frozen=True)
class GridClock:
    """A linear clock: grid = anchor_grid + (real - anchor_real) x rate, all epoch seconds."""

    anchor_real_s: float
    anchor_grid_s: float
    rate: float

    def at(self, real_s: float) -> float:
        """Return the grid time in epoch seconds at a real time in epoch seconds."""
        return self.anchor_grid_s + (real_s - self.anchor_real_s) * self.rate

    def environment(self) -> dict[str, str]:
        """Return the variables by which every child computes the same time."""
        return {
            "TIAODU_CLOCK_ANCHOR_REAL": repr(self.anchor_real_s),
            "TIAODU_CLOCK_ANCHOR_GRID": repr(self.anchor_grid_s),
            "TIAODU_CLOCK_RATE": repr(self.rate),
        }

    def save(self, path: Path, *, real_s: float) -> None:
        """Remember where the clock stands."""
        write_private(path, json.dumps({"grid_s": self.at(real_s), "rate": self.rate}))


def resume(path: Path, *, real_s: float, rate: float) -> GridClock:
    """Return the clock of a new run, ahead of every time that the last run can have shown.

    Args:
        path: file of the last run; missing at the first start.
        real_s: real time now, epoch seconds.
        rate: grid seconds per real second, > 0.

    Raises:
        RuntimeProblem: the file is there and cannot be read; guessing could step back.
    """
    if not path.exists():
        return GridClock(real_s, LIVE_START, rate)
    saved = read_json(path)
    if saved is None:
        raise RuntimeProblem(
            f"{path} is damaged, so it is not known where the grid clock stood.\n"
            "Start over with: make up-clean"
        )
    return GridClock(real_s, float(saved["grid_s"]) + UNSAVED_S * float(saved["rate"]), rate)
