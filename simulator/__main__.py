"""Command line of the outside world: `python -m simulator prepare | history | provider`."""

import sys
from importlib import import_module

COMMANDS = ("prepare", "history", "provider")


def main(arguments: list[str]) -> int:
    """Run the named command; return its exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python -m simulator {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    # Only the chosen command is loaded: a provider must not carry what reads Parquet.
    status: int = import_module(f"simulator.{arguments[0]}").main(arguments[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
