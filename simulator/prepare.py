"""Makes the files that providers start from: one per provider, and the grid's history."""

import json
import os
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

DEFAULT_FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
HISTORY_FILE = "history.parquet"


def main(arguments: list[str]) -> int:
    """Run `prepare` with command-line arguments; return the exit status."""
    parser = ArgumentParser(prog="simulator prepare", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--fixtures", type=Path, default=DEFAULT_FIXTURES)
    options = parser.parse_args(arguments)
    if is_prepared(options.fixtures, options.out):
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    # Reading Parquet costs half a second and 60 MB that a prepared folder need not pay.
    import_module("simulator.history").write_start(options.fixtures, options.out)
    return 0


def is_prepared(fixtures: Path, out: Path) -> bool:
    """Say whether a folder has the history and the file of every provider of the inventory."""
    grid = json.loads((fixtures / "grid.json").read_text(encoding="utf-8"))
    expected = [HISTORY_FILE, *(f"{provider['code']}.sqlite" for provider in grid["providers"])]
    return all((out / name).exists() for name in expected)


def replace_file(path: Path, made: Path) -> None:
    """Move a finished file to its place, so that a half-written one never stands there."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(path)
