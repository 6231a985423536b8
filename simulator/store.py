"""What a provider must not forget, in one SQLite file: every change is committed as a whole."""

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.domain.cluster import JobState, Transition
from simulator.domain.native import NativeLoad
from simulator.domain.records import SITE, Arrival, JobRecord, PoolRecord
from simulator.domain.timeline import PHILLY_LAP_S, lap_windows, price_hour

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pool (
  code TEXT PRIMARY KEY, capacity INTEGER NOT NULL, kw_per_unit REAL NOT NULL, pue REAL NOT NULL,
  energy_zone TEXT NOT NULL, carbon_g_per_kwh REAL, native BLOB NOT NULL,
  advanced_to INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE arrival (
  pool TEXT NOT NULL, submit_at INTEGER NOT NULL, program TEXT NOT NULL,
  tenant TEXT NOT NULL, units INTEGER NOT NULL, runtime_s INTEGER NOT NULL,
  PRIMARY KEY (pool, submit_at, program)
) WITHOUT ROWID;
CREATE TABLE program (name TEXT PRIMARY KEY, runtime_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE price (
  zone TEXT NOT NULL, hour INTEGER NOT NULL, usd_per_mwh REAL NOT NULL, PRIMARY KEY (zone, hour)
) WITHOUT ROWID;
CREATE TABLE job (
  pool TEXT NOT NULL, key TEXT NOT NULL, origin TEXT NOT NULL, program TEXT NOT NULL,
  tenant TEXT NOT NULL, units INTEGER NOT NULL, runtime_s INTEGER NOT NULL,
  requested_duration_s INTEGER NOT NULL, submitted_at INTEGER NOT NULL, started_at INTEGER,
  finished_at INTEGER, state TEXT NOT NULL, is_released INTEGER NOT NULL,
  fingerprint TEXT NOT NULL, done_s INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (pool, key)
) WITHOUT ROWID;
CREATE INDEX job_open ON job (pool, state) WHERE state IN ('QUEUED', 'RUNNING');
CREATE INDEX job_done ON job (finished_at) WHERE state = 'DONE';
CREATE TABLE outbox_sample (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE outbox_workload (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, pool TEXT NOT NULL, key TEXT NOT NULL,
  UNIQUE (pool, key)
);
"""
JOB_COLUMNS = (
    "pool, key, origin, program, tenant, units, runtime_s, requested_duration_s,"
    " submitted_at, started_at, finished_at, state, is_released, fingerprint, done_s"
)
# what brings a file of an older version up to the next one
UPGRADES = {1: "ALTER TABLE job ADD COLUMN done_s INTEGER NOT NULL DEFAULT 0"}
KEYS_PER_QUERY = 500


class WorldMissing(Exception):
    """A provider's file is not there or was made by another version."""


class Store:
    """Reads and writes of one provider's file; the caller serializes the use of it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Wrap an open connection."""
        self._connection = connection

    @classmethod
    def create(cls, path: Path) -> "Store":
        """Return the store of a new file, with empty tables and without durability.

        The file is meant to be filled, closed and then moved to its place.
        """
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript("PRAGMA synchronous = OFF;" + SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return cls(connection)

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Return the store of an existing file; each commit reaches the disk.

        Raises:
            WorldMissing: There is no such file, or another version made it.
        """
        if not path.exists():
            msg = f"{path} is not there; run `python -m simulator prepare` first"
            raise WorldMissing(msg)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        while version in UPGRADES:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(UPGRADES[version])
            version += 1
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        if version != SCHEMA_VERSION:
            connection.close()
            msg = f"{path} has version {version}, not {SCHEMA_VERSION}; remove it to start anew"
            raise WorldMissing(msg)
        return cls(connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside, or nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def last_tick(self) -> int:
        """Return the moment of the newest telemetry sample, epoch s."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'last_tick'").fetchone()
        return int(row[0])

    def set_last_tick(self, at: int) -> None:
        """Remember the moment of the newest telemetry sample."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('last_tick', ?)", (at,))

    def add_pool(self, pool: PoolRecord) -> None:
        """Add a pool; its cluster's moment is set by `set_advanced_to`."""
        row = (pool.code, pool.capacity, pool.kw_per_unit, pool.pue, pool.energy_zone)
        self._connection.execute(
            "INSERT INTO pool VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            (*row, pool.carbon_g_per_kwh, pool.native.levels.tobytes()),
        )

    def pools(self) -> list[PoolRecord]:
        """Return the provider's pools in order of their codes."""
        rows = self._connection.execute(
            "SELECT code, capacity, kw_per_unit, pue, energy_zone, carbon_g_per_kwh, native"
            " FROM pool ORDER BY code"
        )
        return [
            PoolRecord(code, capacity, kw, pue, zone, carbon, NativeLoad(array("H", levels)))
            for code, capacity, kw, pue, zone, carbon, levels in rows
        ]

    def advanced_to(self, pool: str) -> int:
        """Return the moment up to which a pool's events are processed, epoch s."""
        row = self._connection.execute("SELECT advanced_to FROM pool WHERE code = ?", (pool,))
        return int(row.fetchone()[0])

    def set_advanced_to(self, pool: str, at: int) -> None:
        """Remember the moment up to which a pool's events are processed."""
        self._connection.execute("UPDATE pool SET advanced_to = ? WHERE code = ?", (at, pool))

    def add_arrivals(self, pool: str, arrivals: Iterable[Arrival]) -> None:
        """Add jobs of the trace to their pool."""
        self._connection.executemany(
            "INSERT INTO arrival VALUES (?, ?, ?, ?, ?, ?)",
            [(pool, a.submit_at, a.program, a.tenant, a.units, a.runtime_s) for a in arrivals],
        )

    def arrivals(self, pool: str, after: int, until: int) -> list[Arrival]:
        """Return the jobs that the trace submits in (after, until], in queue order."""
        found = []
        for base_after, base_until, lap in lap_windows(after, until):
            rows = self._connection.execute(
                "SELECT program, tenant, units, runtime_s, submit_at FROM arrival"
                " WHERE pool = ? AND submit_at > ? AND submit_at <= ? ORDER BY submit_at, program",
                (pool, base_after, base_until),
            )
            for program, tenant, units, runtime_s, submit_at in rows:
                key = f"{program}-r{lap + 1}" if lap else program
                moment = submit_at + lap * PHILLY_LAP_S
                found.append(Arrival(key, program, tenant, units, runtime_s, moment))
        return found

    def add_programs(self, programs: Iterable[tuple[str, int]]) -> None:
        """Add (name, true run time in s) of programs that engines can run."""
        self._connection.executemany("INSERT INTO program VALUES (?, ?)", programs)

    def program_runtime_s(self, name: str) -> int | None:
        """Return the true run time of a program, None when it is unknown."""
        row = self._connection.execute("SELECT runtime_s FROM program WHERE name = ?", (name,))
        found = row.fetchone()
        return int(found[0]) if found else None

    def add_prices(self, zone: str, usd_per_mwh: Iterable[float]) -> None:
        """Add the hourly prices of a zone, from the first hour of 2023 on."""
        self._connection.executemany(
            "INSERT INTO price VALUES (?, ?, ?)",
            [(zone, hour, price) for hour, price in enumerate(usd_per_mwh)],
        )

    def price_usd_per_mwh(self, zone: str, at: int) -> float:
        """Return the energy price of a zone at a moment (epoch s)."""
        row = self._connection.execute(
            "SELECT usd_per_mwh FROM price WHERE zone = ? AND hour = ?", (zone, price_hour(at))
        )
        return float(row.fetchone()[0])

    def add_job(self, job: JobRecord) -> None:
        """Add a new job to its pool."""
        self._connection.execute(
            f"INSERT INTO job ({JOB_COLUMNS}) VALUES ({', '.join('?' * 15)})",  # noqa: S608
            (job.pool, job.key, job.origin, job.program, job.tenant, job.units, job.runtime_s,
             job.requested_duration_s, job.submitted_at, job.started_at, job.finished_at,
             job.state.value, job.is_released, job.fingerprint, job.done_s),
        )  # fmt: skip

    def job(self, pool: str, key: str) -> JobRecord | None:
        """Return a job of a pool by its key."""
        found = self.jobs(pool, [key])
        return found[0] if found else None

    def jobs(self, pool: str, keys: Sequence[str]) -> list[JobRecord]:
        """Return those of the named jobs that the pool knows (at most 500 names)."""
        marks = ", ".join("?" * len(keys))
        return self._jobs(f"pool = ? AND key IN ({marks})", (pool, *keys[:KEYS_PER_QUERY]))

    def open_jobs(self, pool: str) -> list[JobRecord]:
        """Return the waiting and the running jobs of a pool."""
        return self._jobs("pool = ? AND state IN ('QUEUED', 'RUNNING')", (pool,))

    def apply(self, pool: str, transitions: Iterable[Transition]) -> None:
        """Write starts and ends of jobs; the site's own are announced again."""
        for change in transitions:
            column = "started_at" if change.state is JobState.RUNNING else "finished_at"
            self._connection.execute(
                f"UPDATE job SET state = ?, {column} = ? WHERE pool = ? AND key = ?",  # noqa: S608
                (change.state.value, change.at, pool, change.key),
            )
            self.announce(pool, change.key)

    def set_waiting_state(self, job: JobRecord, state: JobState, *, is_released: bool) -> None:
        """Write a withdrawal or its release; a job that waits has not started."""
        self._connection.execute(
            "UPDATE job SET state = ?, is_released = ?, started_at = NULL"
            " WHERE pool = ? AND key = ?",
            (state.value, is_released, job.pool, job.key),
        )
        self.announce(job.pool, job.key)

    def set_stopped(self, job: JobRecord, *, done_s: int) -> None:
        """Write that a running job was stopped, and how much of its work a checkpoint holds."""
        self._connection.execute(
            "UPDATE job SET state = ?, is_released = 0, done_s = ? WHERE pool = ? AND key = ?",
            (JobState.WITHDRAWN.value, done_s, job.pool, job.key),
        )
        self.announce(job.pool, job.key)

    def announce(self, pool: str, key: str) -> None:
        """Put a job of the site itself into the outbox; a newer change replaces an older one."""
        self._connection.execute(
            "INSERT OR REPLACE INTO outbox_workload (pool, key)"
            " SELECT pool, key FROM job WHERE pool = ? AND key = ? AND origin = ?",
            (pool, key, SITE),
        )

    def forget_done_jobs(self, before: int) -> None:
        """Remove announced jobs of the site itself that ended before a moment (epoch s)."""
        self._connection.execute(
            "DELETE FROM job WHERE state = 'DONE' AND finished_at < ? AND origin = ? AND NOT EXISTS"
            " (SELECT 1 FROM outbox_workload o WHERE o.pool = job.pool AND o.key = job.key)",
            (before, SITE),
        )

    def add_samples(self, samples: Iterable[dict[str, Any]]) -> None:
        """Put telemetry samples into the outbox."""
        self._connection.executemany(
            "INSERT INTO outbox_sample (body) VALUES (?)",
            [(json.dumps(sample, separators=(",", ":")),) for sample in samples],
        )

    def waiting_samples(self, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the oldest (seq, sample) not yet acknowledged."""
        rows = self._connection.execute(
            "SELECT seq, body FROM outbox_sample ORDER BY seq LIMIT ?", (limit,)
        )
        return [(seq, json.loads(body)) for seq, body in rows]

    def waiting_workloads(self, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the oldest (seq, workload as it is now) not yet acknowledged."""
        rows = self._connection.execute(
            f"SELECT o.seq, {', '.join('j.' + c.strip() for c in JOB_COLUMNS.split(','))}"  # noqa: S608
            " FROM outbox_workload o JOIN job j ON j.pool = o.pool AND j.key = o.key"
            " ORDER BY o.seq LIMIT ?",
            (limit,),
        )
        return [(row[0], _job_record(row[1:]).as_workload()) for row in rows]

    def acknowledge_samples(self, seqs: Iterable[int]) -> None:
        """Drop samples from the outbox."""
        self._connection.executemany(
            "DELETE FROM outbox_sample WHERE seq = ?", [(seq,) for seq in seqs]
        )

    def acknowledge_workloads(self, seqs: Iterable[int]) -> None:
        """Drop workload changes from the outbox; a job that changed since has a newer seq."""
        self._connection.executemany(
            "DELETE FROM outbox_workload WHERE seq = ?", [(seq,) for seq in seqs]
        )

    def _jobs(self, where: str, values: Sequence[Any]) -> list[JobRecord]:
        rows = self._connection.execute(
            f"SELECT {JOB_COLUMNS} FROM job WHERE {where} ORDER BY submitted_at, key",  # noqa: S608
            tuple(values),
        )
        return [_job_record(row) for row in rows]


def _job_record(row: Sequence[Any]) -> JobRecord:
    fields = list(row)
    fields[11] = JobState(fields[11])
    fields[12] = bool(fields[12])
    return JobRecord(*fields)
