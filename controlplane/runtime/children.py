"""Keeps one child program running: starts it, knows when it is ready, starts it again."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from controlplane.runtime.logs import ChildLog

SHIM = Path(__file__).with_name("shim.py")
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
HEALTHY_AFTER_S = 30.0
PROBE_EVERY_S = 0.1
LEFTOVERS_WITHIN_S = 5.0
COMMAND_NOT_FOUND = 127
READ_LIMIT = 1 << 20


class ChildState(StrEnum):
    """What the supervisor knows about a child."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    BACKING_OFF = "backing-off"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ChildSpec:
    """One program of the stack, as data.

    Attributes:
        name: unique; names its log file too.
        command: program and arguments.
        environment: all of the child's environment.
        after: names of children that must be ready, or done, before this one starts.
        is_task: runs once and must end with 0, like a migration.
        probe: asked until it says that the child can serve; None: see `ready_line`.
        ready_line: pattern of the log line that says the child can serve; neither: at once.
        ready_within_s: a child that lives but is not ready after this is started again.
        patience_s: during the first start, how long a child may keep failing.
        stop_rank: children of a lower rank are stopped, and have ended, before higher ones.
        stop_signal: the polite signal; `stop_within_s` later the whole group is killed.
        orphan_signal: what the kernel sends when the supervisor is killed.
        identity: `same`, `namespace` or `user:NAME`; see `shim.py`.
        gate: says why the child must not be started now, or None.
        quiet: pattern of alarming log lines that are known to be harmless.
        directory: where it runs.
        finish: called once a task has ended well, before anything waits for it no longer.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    after: tuple[str, ...] = ()
    is_task: bool = False
    probe: Callable[[], Awaitable[bool]] | None = None
    ready_line: str | None = None
    ready_within_s: float = 120.0
    patience_s: float = 10.0
    stop_rank: int = 0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0
    orphan_signal: signal.Signals = signal.SIGTERM
    identity: str = "same"
    gate: Callable[[], str | None] | None = None
    quiet: str | None = None
    directory: Path | None = None
    finish: Callable[[], None] | None = None


class ChildFailed(Exception):
    """A child could not be brought up; its text holds the last lines of its log."""


@dataclass
class Child:
    """A running instance of a spec with its history."""

    spec: ChildSpec
    log: ChildLog
    changed: Callable[[], None]
    state: ChildState = ChildState.WAITING
    pid: int | None = None
    restarts: int = 0
    last_exit: str | None = None
    since: float = field(default_factory=time.time)
    ready_at: float | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    _process: Process | None = None
    _line_seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Run a task to its end, or keep a server running until it is stopped.

        Raises:
            ChildFailed: a task ended with an error, or a server never became ready.
        """
        if self.spec.is_task:
            await self._run_task()
        else:
            await self._keep_running()

    async def stop(self) -> None:
        """Stop politely, then kill the group; returns when nothing of the child is left."""
        self.stopping = True
        self.log.is_muted = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.spec.stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.spec.stop_within_s)
            self._kill_group()
            await process.wait()
        if self.state is not ChildState.DONE:
            self._enter(ChildState.STOPPED)

    def kill(self) -> None:
        """End the child and its whole group at once."""
        self.stopping = True
        self._kill_group()

    async def _run_task(self) -> None:
        code = await self._run_once()
        if code != 0 and not self.stopping:
            raise ChildFailed(self._last_words(f"{self.spec.name} ended with {_exit_text(code)}"))
        if code == 0 and self.spec.finish is not None:
            self.spec.finish()
        self._enter(ChildState.DONE)
        self.ready.set()

    async def _keep_running(self) -> None:
        first_try = time.monotonic()
        pause_s = FIRST_PAUSE_S
        while not self._is_to_stop():
            began = time.monotonic()
            refusal = self.spec.gate() if self.spec.gate else None
            if refusal is None:
                code = await self._run_once()
                self.last_exit = _exit_text(code)
            else:
                self.last_exit = refusal
                self.log.write(f"ERROR not started: {refusal}")
            if self._is_to_stop():
                return
            self.restarts += 1
            self._enter(ChildState.BACKING_OFF)
            self.log.write(f"WARNING {self.spec.name}: {self.last_exit}; starting again")
            if not self.ready.is_set() and time.monotonic() - first_try > self.spec.patience_s:
                raise ChildFailed(self._last_words(f"{self.spec.name} does not start"))
            if time.monotonic() - began > HEALTHY_AFTER_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _run_once(self) -> int:
        self._enter(ChildState.STARTING)
        self._line_seen.clear()
        # A pipe of our own: asyncio would report the exit of a program only after everything that
        # inherited its output has ended as well.
        reading_end, writing_end = os.pipe()
        reading = asyncio.create_task(self._read(reading_end))
        try:
            process = await self._spawn(writing_end)
        except OSError as error:
            self.log.write(f"ERROR cannot be started: {error}")
            return COMMAND_NOT_FOUND
        finally:
            os.close(writing_end)
        self._process, self.pid = process, process.pid
        self.changed()
        if self.stopping:
            # Asked to stop while the program was being started: it has not begun to work.
            self._kill_group()
        watching = asyncio.create_task(self._watch_readiness(process))
        try:
            return await process.wait()
        finally:
            watching.cancel()
            # What the main process started and left behind would hold ports, files and the pipe.
            self._kill_group()
            self.pid = None
            # PostgreSQL's processes end a moment after their parent; the pipe closes with the last.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reading, LEFTOVERS_WITHIN_S)

    async def _spawn(self, output: int) -> Process:
        spec = self.spec
        shim = [sys.executable, "-I", "-S", str(SHIM), str(os.getpid())]
        return await asyncio.create_subprocess_exec(
            *shim,
            str(int(spec.orphan_signal)),
            spec.identity,
            "--",
            *spec.command,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(spec.environment),
            cwd=spec.directory,
            start_new_session=True,
        )

    async def _read(self, reading_end: int) -> None:
        pattern = re.compile(self.spec.ready_line) if self.spec.ready_line else None
        stream = asyncio.StreamReader(limit=READ_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading_end, "rb", buffering=0)
        )
        try:
            while line := await _read_line(stream):
                text = line.decode(errors="replace").rstrip()
                self.log.write(text)
                if pattern is not None and pattern.search(text):
                    self._line_seen.set()
        finally:
            transport.close()

    async def _watch_readiness(self, process: Process) -> None:
        if self.spec.is_task:
            return
        try:
            await asyncio.wait_for(self._until_ready(), self.spec.ready_within_s)
        except TimeoutError:
            self.log.write(f"ERROR not ready after {self.spec.ready_within_s:.0f} s")
            self._kill_group()
            return
        if process.returncode is None and not self.stopping:
            self.ready_at = time.time()
            self._enter(ChildState.READY)
            self.ready.set()

    async def _until_ready(self) -> None:
        if self.spec.probe is not None:
            while not await self.spec.probe():
                await asyncio.sleep(PROBE_EVERY_S)
        elif self.spec.ready_line is not None:
            await self._line_seen.wait()

    def _is_to_stop(self) -> bool:
        # Asked anew each time: it changes while this child is waited for.
        return self.stopping

    def _kill_group(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _enter(self, state: ChildState) -> None:
        if state is not self.state:
            self.state = state
            self.since = time.time()
        self.changed()

    def _last_words(self, what: str) -> str:
        lines = "\n".join(f"    {line}" for line in self.log.tail)
        return f"{what}. Its last lines (all of them: {self.log.path}):\n{lines}"


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line; b"" at the end. A line beyond all measure loses its beginning."""
    while True:
        try:
            return await stream.readline()
        except ValueError:
            continue


def _exit_text(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
