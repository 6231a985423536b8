"""The immovable demand of a pool: a level series that repeats for ever."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.domain.timeline import HELIOS_REPEAT_S, HISTORY_START, TICK_S

if TYPE_CHECKING:
    from array import array


@dataclass(frozen=True)
class NativeLoad:
    """Demand (running and queued) held constant between the points of a trace.

    Attributes:
        levels: Units demanded in each step of 300 s, from the start of the history on; after the
            last one the final 21 days repeat. Empty: no native demand.
    """

    levels: "array[int]"

    def level_at(self, at: int) -> int:
        """Return the demand at a moment (epoch s), in units; 0 before the history."""
        if not self.levels or at < HISTORY_START:
            return 0
        step = (at - HISTORY_START) // TICK_S
        if step >= len(self.levels):
            first = len(self.levels) - HELIOS_REPEAT_S // TICK_S
            step = first + (step - first) % (len(self.levels) - first)
        return self.levels[step]

    def changes(self, after: int, until: int) -> list[tuple[int, int]]:
        """Return (moment, new level) of each change in the window (after, until], in order."""
        if not self.levels:
            return []
        level = self.level_at(after)
        found = []
        for at in range(after // TICK_S * TICK_S + TICK_S, until + 1, TICK_S):
            new = self.level_at(at)
            if new != level:
                found.append((at, new))
                level = new
        return found
