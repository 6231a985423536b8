"""The simulated world outside, in process: real engines behind real HTTP, time set by the test."""

import datetime as dt
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.domain.native import NativeLoad
from simulator.domain.records import Arrival, PoolRecord
from simulator.domain.timeline import TICK_S
from simulator.engine import Engine
from simulator.engine_api import EngineServer
from simulator.store import Store

TOKEN = "token-of-the-engines"  # noqa: S105 (guards nothing)
START = dt.datetime(2023, 5, 26, 0, 0, tzinfo=dt.UTC)


@dataclass
class Outside:
    """One provider's engines; `at` is their clock and moves only when the test says so."""

    engine: Engine
    server: EngineServer
    clock_s: list[int]

    @property
    def url(self) -> str:
        """Address of the engine API."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def now(self) -> dt.datetime:
        """The engines' time."""
        return dt.datetime.fromtimestamp(self.clock_s[0], dt.UTC)

    def advance(self, hours: float) -> dt.datetime:
        """Let time pass: jobs start and end, telemetry and announcements pile up."""
        self.clock_s[0] += int(hours * 3600)
        while self.engine.catch_up():
            pass
        return self.now

    def take(self, kind: str, limit: int = 500) -> list[dict[str, Any]]:
        """Take what waits to be pushed, as if the grid had acknowledged it."""
        rows = self.engine.waiting(kind, limit)  # type: ignore[arg-type]
        self.engine.acknowledge(kind, [seq for seq, _ in rows])  # type: ignore[arg-type]
        return [item for _, item in rows]

    def fail_next(self, **faults: float) -> None:
        """Act out faults: `drop_responses`, `fail_requests`, `delay_s`."""
        for name, value in faults.items():
            setattr(self.server.faults, name, value)


def pool(code: str, capacity: int, native: int = 0) -> PoolRecord:
    """A pool with a constant native load."""
    levels = [native] * (24 * 288)
    return PoolRecord(code, capacity, 0.4, 1.25, "Z", 500.0, NativeLoad(array("H", levels)))


def job(name: str, *, units: int, runtime_h: float, submit_h: float = 0.0) -> Arrival:
    """A job that a user of the site submits some hours after the start."""
    at = int(START.timestamp() + submit_h * 3600) + 1
    return Arrival(name, name, "vc-test", units, int(runtime_h * 3600), at)


@contextmanager
def outside(folder: Path, pools: dict[str, tuple[PoolRecord, list[Arrival]]]) -> Iterator[Outside]:
    """Run the engines of one provider with these pools and arrivals."""
    begin = int(START.timestamp()) - TICK_S
    store = Store.create(folder / "north.sqlite")
    with store.transaction():
        store.set_last_tick(begin)
        store.add_prices("Z", [60.0] * 8760)
        for code, (record, arrivals) in pools.items():
            store.add_pool(record)
            store.add_arrivals(code, arrivals)
            store.add_programs([(arrival.program, arrival.runtime_s) for arrival in arrivals])
            store.set_advanced_to(code, begin)
    store.close()
    clock_s = [int(START.timestamp())]
    engine = Engine(
        Store.open(folder / "north.sqlite"), now=lambda: clock_s[0], on_broken=lambda: None
    )
    server = EngineServer(0, engine, token=TOKEN)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Outside(engine, server, clock_s)
    finally:
        server.shutdown()
        server.server_close()
        engine.close()
