"""Says which adapter speaks to which kind of engine."""

from controlplane.lib.errors import GridError
from scheduling.dispatchers.base import Dispatcher
from scheduling.dispatchers.simulated import SimulatedDispatcher


class UnknownEngine(GridError):
    """A pool names an engine that no adapter speaks to."""

    code = "unknown-engine"


DISPATCHERS: dict[str, Dispatcher] = {"simulated": SimulatedDispatcher()}


def dispatcher_for(engine: str) -> Dispatcher:
    """Return the adapter of a kind of engine.

    Raises:
        UnknownEngine: there is none; the message lists those there are.
    """
    if engine not in DISPATCHERS:
        raise UnknownEngine(f"No adapter for {engine!r}; there are {sorted(DISPATCHERS)}.")
    return DISPATCHERS[engine]
