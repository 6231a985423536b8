"""Outlives the supervisor by a moment, to leave nothing running when it is killed.

The keeper is the supervisor's parent and the adopted parent of every process below it, however
deep: when the supervisor is gone, what is left of the tree are the keeper's own descendants. If
the keeper is killed instead, the kernel asks the supervisor to stop; if both are killed, the
kernel signals each child of the supervisor by itself.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType

from controlplane.runtime.logs import say
from controlplane.runtime.procfs import descendants, kill_all
from controlplane.runtime.shim import PR_SET_CHILD_SUBREAPER, die_with_parent, prctl

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# PostgreSQL shuts down cleanly in this time, without anybody to wait for it.
AFTER_A_KILL_S = 5.0
LOOK_EVERY_S = 0.02


def run_kept(supervise: Callable[[], int]) -> int:
    """Run `supervise` in a child process and return its exit code once nothing is left of it."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper_pid = os.getpid()
    sys.stdout.flush()
    supervisor_pid = os.fork()
    if supervisor_pid == 0:
        code = 1
        try:
            die_with_parent(signal.SIGTERM, parent_pid=keeper_pid)
            code = supervise()
        except Exception:  # noqa: BLE001 - the process ends here; nobody above could show it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    code = _wait_for(supervisor_pid)
    if code < 0:
        say("The supervisor was killed; what it ran is being stopped. Start again with: make up")
    _leave_nothing(AFTER_A_KILL_S if code < 0 else 0.0)
    return code if code >= 0 else 128 - code


def _wait_for(supervisor_pid: int) -> int:
    def forward(_signal: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor_pid, signal.SIGTERM)

    for number in FORWARDED:
        signal.signal(number, forward)
    while True:
        pid, wait_status = os.waitpid(-1, 0)
        if pid == supervisor_pid:
            return os.waitstatus_to_exitcode(wait_status)


def _leave_nothing(grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    while _has_children():
        if time.monotonic() >= deadline:
            kill_all(descendants(os.getpid()))
        time.sleep(LOOK_EVERY_S)


def _has_children() -> bool:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False
