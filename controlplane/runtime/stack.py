"""Names the parts of the grid's stack, their order, and how each shows that it is ready."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from controlplane.runtime import postgres as pg
from controlplane.runtime import valkey as vk
from controlplane.runtime.checks import answers, database_gate, without_database_settings
from controlplane.runtime.children import ChildSpec
from controlplane.runtime.clock import GridClock
from controlplane.runtime.folder import RunFolder, RuntimeProblem, write_private

PROJECT = Path(__file__).resolve().parents[2]
PROVIDERS = ("beiyun", "huadong", "lingnan", "bashu", "xibu", "jingchu")
WORKER_PROCESSES = 2
DEFAULT_WEB_PROCESSES = 1
MOST_WEB_PROCESSES = 64
# Shows what this run started even when nothing else remembers it.
RUN_MARK = "TIAODU_RUN"
# Two cores are shared by a dozen processes; each numeric library would start a thread per core.
SINGLE_THREADED = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Children stop in this order: who produces work, who does it, who shows it, who keeps it.
RANK_PROVIDER, RANK_BEAT, RANK_WORKER, RANK_WEB, RANK_VALKEY, RANK_POSTGRES = range(6)


@dataclass(frozen=True)
class Servers:
    """The two servers that keep state: their addresses and, when embedded, their children."""

    database_url: str
    redis_url: str
    children: tuple[ChildSpec, ...]
    ready_after: tuple[str, ...]


class StackMaker(Protocol):
    """Makes the children of a grid around its servers."""

    def __call__(
        self,
        folder: RunFolder,
        servers: Servers,
        *,
        environment: Mapping[str, str],
        web_port: int,
    ) -> tuple[ChildSpec, ...]:
        """Return them, servers included."""


def run_mark(folder: RunFolder) -> str:
    """Return the `NAME=value` that every process of this folder has in its environment."""
    return f"{RUN_MARK}={folder.secret('run_id', length=20).read_text().strip()}"


def plan_servers(folder: RunFolder, environment: Mapping[str, str]) -> Servers:
    """Return own servers, or those that `DATABASE_URL` and `REDIS_URL` name.

    Raises:
        RuntimeProblem: an own server is wanted and this machine has no programs for it.
    """
    mark_name, _, mark_value = run_mark(folder).partition("=")
    child_environment = {**without_database_settings(environment), mark_name: mark_value}
    children: list[ChildSpec] = []
    database_url = environment.get("DATABASE_URL", "")
    redis_url = environment.get("REDIS_URL", "")
    if database_url or redis_url:
        children.append(_check_external(database_url, redis_url, child_environment))
    if not database_url:
        database = _postgres(folder)
        database_url = database.url
        children += _postgres_children(database, folder, child_environment)
    if not redis_url:
        valkey = vk.Valkey(
            vk.find_binary(),
            folder.root / "valkey",
            folder.port("valkey"),
            folder.secret("valkey_password"),
        )
        valkey.configure()
        redis_url = valkey.url
        children.append(_valkey_child(valkey, child_environment))
    waits_for = tuple(child.name for child in children)
    return Servers(database_url, redis_url, tuple(children), waits_for)


def child_environment(
    folder: RunFolder,
    servers: Servers,
    *,
    clock: GridClock,
    web_url: str,
    base: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment in which every Python child of the grid runs."""
    mark_name, _, mark_value = run_mark(folder).partition("=")
    return {
        **without_database_settings(base),
        **clock.environment(),
        **SINGLE_THREADED,
        mark_name: mark_value,
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "TIAODU_SECRET_KEY_FILE": str(folder.secret("secret_key")),
        "TIAODU_ENGINE_TOKEN_FILE": str(folder.secret("engine_token")),
        "TIAODU_DEMO_PASSWORD_FILE": str(folder.secret("demo_password", length=16)),
        "TIAODU_VAR": str(folder.root),
        "TIAODU_DEMO": "1",
        "TIAODU_WEB_URL": web_url,
        "TIAODU_SUPERVISOR_STATUS": str(folder.status_file),
        "PYTHONUNBUFFERED": "1",
    }


def tiaodu_stack(
    folder: RunFolder,
    servers: Servers,
    *,
    environment: Mapping[str, str],
    web_port: int,
) -> tuple[ChildSpec, ...]:
    """Return all children of the demo grid and write down where its engines will listen."""
    ports = {name: folder.port(f"engine-{name}") for name in PROVIDERS}
    endpoints = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    write_private(folder.endpoints_file, json.dumps(endpoints))
    web_url = f"http://127.0.0.1:{web_port}"
    part = partial(ChildSpec, environment=environment, directory=PROJECT)
    return (
        *servers.children,
        *_preparations(part, folder, after_servers=servers.ready_after),
        *_services(part, folder, environment=environment, web_port=web_port),
        *(
            part(
                f"provider-{name}",
                _provider_command(name, port, folder=folder, web_url=web_url),
                after=("web", "seed_grid"),
                probe=http_probe(f"{endpoints[name]}/healthz"),
                stop_rank=RANK_PROVIDER,
                stop_within_s=3.0,
            )
            for name, port in ports.items()
        ),
    )


def _preparations(
    part: Callable[..., ChildSpec], folder: RunFolder, *, after_servers: tuple[str, ...]
) -> tuple[ChildSpec, ...]:
    prepare = _python("-m", "simulator", "prepare", "--out", str(folder.root / "simulator"))
    # without the checks, which load every page and estimator; `seed_grid` runs them all
    migrate = _python("manage.py", "migrate", "--noinput", "--skip-checks")
    seed = _python("manage.py", "seed_grid")
    return (
        part("prepare", prepare, is_task=True),
        part("migrate", migrate, is_task=True, after=after_servers),
        part("seed_grid", seed, is_task=True, after=("migrate", "prepare")),
    )


def _services(
    part: Callable[..., ChildSpec],
    folder: RunFolder,
    *,
    environment: Mapping[str, str],
    web_port: int,
) -> tuple[ChildSpec, ...]:
    schedule = str(folder.run / "beat-schedule")
    # beat knows its tasks by name and needs no Django, which is four fifths of a Celery's memory
    plain = {name: text for name, text in environment.items() if name != "DJANGO_SETTINGS_MODULE"}
    metrics = {"PROMETHEUS_MULTIPROC_DIR": str(_fresh_metrics(folder))}
    return (
        *_webs(part, {**environment, **metrics, "TIAODU_DB_POOL": "1"}, web_port),
        part(
            "worker",
            _celery("controlplane.celery", "worker", *_QUEUES, *_QUIET_WORKER),
            environment={**environment, **metrics},
            after=("seed_grid",),
            ready_line=r"celery@\S+ ready\.",
            stop_rank=RANK_WORKER,
            # A cold stop: with nobody left to wait for it, unfinished tasks go back to the queue.
            orphan_signal=signal.SIGQUIT,
        ),
        part(
            "beat",
            _celery("controlplane.beat", "beat", "--schedule", schedule, "--pidfile="),
            environment=plain,
            after=("seed_grid",),
            ready_line=r"beat: Starting",
            stop_rank=RANK_BEAT,
        ),
    )


# Without being told, a worker takes from the default queue alone.
_QUEUES = ("--queues", "control,compute")
_QUIET_WORKER = (
    *("--concurrency", str(WORKER_PROCESSES), "--pool", "prefork"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
)


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def _celery(application: str, *arguments: str) -> tuple[str, ...]:
    return _python("-m", "celery", "-A", application, *arguments, "--loglevel", "INFO")


def _webs(
    part: Callable[..., ChildSpec], environment: Mapping[str, str], port: int
) -> tuple[ChildSpec, ...]:
    # the probe cannot tell which of them answers; a further one says that it has started
    first = part(
        "web",
        _web_command(port),
        environment=environment,
        after=("migrate",),
        probe=http_probe(f"http://127.0.0.1:{port}/livez"),
        stop_rank=RANK_WEB,
    )
    further = (
        part(
            f"web-{number}",
            _web_command(port),
            environment=environment,
            after=("web", "seed_grid"),
            ready_line=r"Uvicorn running on",
            stop_rank=RANK_WEB,
        )
        for number in range(2, web_processes(environment) + 1)
    )
    return (first, *further)


def web_processes(environment: Mapping[str, str]) -> int:
    """Return how many web processes share the port.

    Raises:
        RuntimeProblem: `TIAODU_WEB_PROCESSES` is no number from 1 to 64.
    """
    text = environment.get("TIAODU_WEB_PROCESSES", "").strip() or str(DEFAULT_WEB_PROCESSES)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= MOST_WEB_PROCESSES:
        raise RuntimeProblem("TIAODU_WEB_PROCESSES must be a number from 1 to 64.")
    return int(text)


def _fresh_metrics(folder: RunFolder) -> Path:
    # figures of processes that have ended belong to the last run
    home = folder.run / "metrics"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, mode=0o700)
    return home


def _web_command(port: int) -> tuple[str, ...]:
    return _python("-m", "controlplane.runtime.web", "--port", str(port))


def _provider_command(name: str, port: int, *, folder: RunFolder, web_url: str) -> tuple[str, ...]:
    return _python(
        *("-m", "simulator", "provider", "--name", name, "--port", str(port), "--api", web_url),
        *("--key-file", str(folder.run / "keys" / f"{name}.key")),
        *("--var", str(folder.root / "simulator")),
    )


def http_probe(url: str) -> Callable[[], Awaitable[bool]]:
    """Return the probe of a child that is ready when an address answers 200."""
    return partial(asyncio.to_thread, answers, url)


def _postgres(folder: RunFolder) -> pg.Postgres:
    binaries = pg.find_binaries()
    home = folder.root / "postgres"
    return pg.Postgres(
        binaries,
        home,
        folder.port("postgres"),
        folder.secret("postgres_password"),
        pg.choose_identity(binaries=binaries, home=home),
    )


def _postgres_children(
    database: pg.Postgres, folder: RunFolder, environment: Mapping[str, str]
) -> list[ChildSpec]:
    part = partial(ChildSpec, environment=environment, identity=database.identity)
    makes: list[ChildSpec] = []
    if database.begin():
        initdb = database.initdb_command()
        makes.append(part("initdb", initdb, is_task=True, finish=database.finish))
    server = part(
        "postgres",
        database.command(),
        after=tuple(make.name for make in makes),
        probe=database.accepts_connections,
        # Recovery after a crash may take minutes and must not be interrupted.
        ready_within_s=1800.0,
        stop_rank=RANK_POSTGRES,
        # PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
        stop_within_s=30.0,
        orphan_signal=signal.SIGINT,
        gate=partial(database_gate, folder.root),
        quiet=r"terminating connection due to administrator command|the database system is",
    )
    create = ChildSpec(
        "createdb",
        database.create_database_command(),
        database.client_environment(environment),
        after=("postgres",),
        is_task=True,
    )
    return [*makes, server, create]


def _valkey_child(valkey: vk.Valkey, environment: Mapping[str, str]) -> ChildSpec:
    return ChildSpec(
        "valkey",
        valkey.command(),
        environment,
        probe=valkey.answers,
        stop_rank=RANK_VALKEY,
        quiet=vk.HARMLESS,
    )


def _check_external(database_url: str, redis_url: str, environment: Mapping[str, str]) -> ChildSpec:
    checked = {"TIAODU_CHECK_DATABASE": database_url, "TIAODU_CHECK_REDIS": redis_url}
    return ChildSpec(
        "check-servers",
        _python("-m", "controlplane.runtime.external"),
        {**environment, **checked},
        is_task=True,
        directory=PROJECT,
    )
