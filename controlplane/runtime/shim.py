"""Turns itself into one child program that cannot outlive the supervisor.

Run by path with `python -I -S shim.py ... -- program arguments`; it keeps the process id and is
gone after `exec`. It exists because these settings must be made inside the new process: a hook
between fork and exec would run in a copy of a process that has threads.
"""

import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWUSER = 0x10000000
UNPRIVILEGED_ID = 65534


def prctl(option: int, value: int) -> None:
    """Set one attribute of the calling process.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def die_with_parent(death_signal: int, *, parent_pid: int) -> None:
    """Ask the kernel for `death_signal` when the parent ends; end now if it already has."""
    prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent_pid:
        sys.exit(1)


def enter_user_namespace() -> None:
    """Appear as an unprivileged user to the program while files stay owned by the caller.

    PostgreSQL refuses to run as root. Inside this namespace root is mapped to 65534, so no user
    is made, no folder changes owner, and a folder only root may enter stays usable.

    Raises:
        OSError: the kernel or a container policy forbids user namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are not allowed here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{UNPRIVILEGED_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{UNPRIVILEGED_ID} {gid} 1")


def become_user(name: str) -> None:
    """Give up root for good and become the named user.

    Raises:
        KeyError: there is no such user.
    """
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def main(arguments: list[str]) -> NoReturn:
    """Run as `shim.py PARENT_PID DEATH_SIGNAL IDENTITY -- program arguments`."""
    split = arguments.index("--")
    parent_pid, death_signal, identity = arguments[:split]
    program = arguments[split + 1 :]
    if identity == "namespace":
        enter_user_namespace()
    elif identity.startswith("user:"):
        become_user(identity.removeprefix("user:"))
    # Last, because a change of identity clears it.
    die_with_parent(int(death_signal), parent_pid=int(parent_pid))
    # The interpreter ignores these two; a program must start with the defaults.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.execvp(program[0], program)  # noqa: S606 - there is no shell to want here


if __name__ == "__main__":
    main(sys.argv[1:])
