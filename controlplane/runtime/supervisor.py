"""Brings a stack of children up in order, keeps it up, and takes it down in order."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter

from controlplane.runtime.children import Child, ChildFailed, ChildSpec, ChildState
from controlplane.runtime.clock import GridClock
from controlplane.runtime.folder import RunFolder
from controlplane.runtime.logs import ChildLog, say
from controlplane.runtime.status import ready_box, utc_iso, utc_text, write_status

HEARTBEAT_S = 1.0
# A terminal's Ctrl-C reaches the supervisor twice; a person's second one comes later.
IMPATIENT_AFTER_S = 1.0
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Supervisor:
    """One run of a stack."""

    def __init__(
        self, specs: Sequence[ChildSpec], folder: RunFolder, *, clock: GridClock, web_url: str
    ) -> None:
        """Prepare a run; nothing is started.

        Args:
            specs: the children; each may wait only for ones named in the same list.
            folder: the run folder, made and locked.
            clock: the grid clock that the children's environment describes.
            web_url: address that is shown when all is ready.
        """
        self._folder = folder
        self._clock = clock
        self._web_url = web_url
        self._started_at = time.time()
        self._stop = asyncio.Event()
        self._stop_asked_at: float | None = None
        self._announced: set[str] = set()
        self._is_up = False
        self._has_disk_trouble = False
        self.children = {
            spec.name: Child(
                spec,
                ChildLog(spec.name, folder.log, quiet=spec.quiet, say=say),
                self._write_status,
            )
            for spec in specs
        }

    async def run(self, *, announce: Callable[[str], None] = say) -> int:
        """Run until asked to stop; return the exit code for the shell."""
        loop = asyncio.get_running_loop()
        for number in STOPPING_SIGNALS:
            loop.add_signal_handler(number, self.ask_to_stop)
        runs = [asyncio.create_task(self._bring_up(child)) for child in self.children.values()]
        beats = asyncio.create_task(self._beat())
        all_up = asyncio.create_task(self._announce_when_up(announce))
        stop = asyncio.create_task(self._stop.wait())
        try:
            failure = await self._first_failure(runs, stop)
            announce(f"\n{failure}\n" if failure is not None else "\nStopping …")
        finally:
            await self._take_down()
            for task in (*runs, beats, all_up, stop):
                task.cancel()
            await asyncio.gather(*runs, beats, all_up, stop, return_exceptions=True)
            self._save()
            for child in self.children.values():
                child.log.close()
        announce(f"Stopped. The grid clock stands at {utc_text(self._clock.at(time.time()))}.")
        return 0 if failure is None else 1

    def ask_to_stop(self) -> None:
        """Stop in order; asked again by an impatient person, stop at once."""
        now = time.monotonic()
        if self._stop_asked_at is None:
            self._stop_asked_at = now
            self._stop.set()
        elif now - self._stop_asked_at > IMPATIENT_AFTER_S:
            for child in self.children.values():
                child.kill()

    async def _bring_up(self, child: Child) -> None:
        for name in child.spec.after:
            await self.children[name].ready.wait()
        await child.run()

    async def _first_failure(
        self, runs: Sequence[asyncio.Task[None]], stop: asyncio.Task[bool]
    ) -> str | None:
        pending: set[asyncio.Task[None] | asyncio.Task[bool]] = {*runs, stop}
        while not stop.done():
            finished, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                error = task.exception()
                if isinstance(error, ChildFailed):
                    return str(error)
                if error is not None:
                    raise error
        return None

    async def _announce_when_up(self, announce: Callable[[str], None]) -> None:
        for child in self.children.values():
            await child.ready.wait()
        self._is_up = True
        now = time.time()
        announce(f"\nReady after {now - self._started_at:.1f} s.")
        announce(
            ready_box(self._folder, web_url=self._web_url, clock=self._clock, real_s=now) + "\n"
        )

    async def _take_down(self) -> None:
        ordered = sorted(self.children.values(), key=attrgetter("spec.stop_rank"))
        for child in ordered:
            child.stopping = True
        for _rank, same_rank in groupby(ordered, key=attrgetter("spec.stop_rank")):
            await asyncio.gather(*(child.stop() for child in same_rank))

    async def _beat(self) -> None:
        while True:
            self._save()
            await asyncio.sleep(HEARTBEAT_S)

    def _save(self) -> None:
        try:
            self._clock.save(self._folder.clock_file, real_s=time.time())
            self._has_disk_trouble = False
        except OSError as error:
            # The grid goes on; said once, because it will be so every second.
            if not self._has_disk_trouble:
                say(f"supervisor       | the grid clock cannot be saved: {error.strerror}")
            self._has_disk_trouble = True
        self._write_status()

    def _write_status(self) -> None:
        identity = {
            "pid": os.getpid(),
            "started_at": utc_iso(self._started_at),
            "web_url": self._web_url,
        }
        with contextlib.suppress(OSError):
            write_status(self._folder, self.children.values(), identity=identity, clock=self._clock)
        self._tell_progress()

    def _tell_progress(self) -> None:
        for child in self.children.values():
            is_up = child.state in (ChildState.READY, ChildState.DONE)
            if is_up and child.spec.name not in self._announced and not child.stopping:
                self._announced.add(child.spec.name)
                elapsed_s = time.time() - self._started_at
                say(f"  {child.spec.name:<20} {child.state.value:<6} {elapsed_s:5.1f} s")
