"""Reads a trace of jobs: who asked for how much, when, and how long it truly ran."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from controlplane.lib.errors import GridError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_REQUIRED = ("job_id", "cluster", "submit_s", "runtime_s")
_MAX_UNITS = 10**9


class BadJobsFrame(GridError):
    """A file of jobs that cannot be replayed; the words name the column."""

    code = "bad-jobs-frame"


class Unit(StrEnum):
    """What a job asks for."""

    GPU = "gpu"
    CORE = "core"


@dataclass(frozen=True)
class JobTable:
    """Jobs in the order of submission.

    Attributes:
        job_id: (N,) text, as in the file.
        pool_names: the clusters, in name order; one that serves both GPU and core jobs counts as
            two, `name/gpu` and `name/core`.
        pool_clusters: (P,) name of the cluster behind each pool.
        pool_units: (P,) what each pool serves.
        home: (N,) index of the pool a job came to.
        submit_s: (N,) seconds since the start of the scenario.
        runtime_s: (N,) true run time; no policy sees it before the job has ended.
        units: (N,) GPU or cores asked for, >= 1.
        req_time_s: (N,) run time that the user asked for, NaN where nothing is known.
        vc: (N,) the virtual cluster or group of the user, empty where nothing is known.
        skipped: reason -> number of rows left out.
    """

    job_id: npt.NDArray[np.str_]
    pool_names: tuple[str, ...]
    pool_clusters: tuple[str, ...]
    pool_units: tuple[Unit, ...]
    home: Ints
    submit_s: Floats
    runtime_s: Floats
    units: Ints
    req_time_s: Floats
    vc: npt.NDArray[np.str_]
    skipped: dict[str, int]

    def __len__(self) -> int:
        return len(self.submit_s)

    @property
    def unit_h(self) -> Floats:
        """(N,) true work of each job in unit-hours."""
        return np.asarray(self.units * self.runtime_s / 3600.0, dtype=np.float64)


def read_jobs(frame: pd.DataFrame) -> JobTable:
    """Arrange rows of jobs as arrays.

    Args:
        frame: columns `job_id`, `cluster`, `submit_s`, `runtime_s` (s, >= 0), `gpus` and/or
            `cores` (whichever is not zero is the demand; GPUs first), optional `req_time_s`
            (s, > 0) and `vc`.

    Returns:
        The jobs by time of submission, and how many rows were left out for which reason.

    Raises:
        BadJobsFrame: a column is missing or holds no numbers, a `job_id` occurs twice, or no job
            is left.
    """
    _check_columns(frame)
    rows = pd.DataFrame(
        {
            "job_id": frame["job_id"].astype("string"),
            "cluster": frame["cluster"].astype("string"),
            "submit_s": _numbers(frame, "submit_s"),
            "runtime_s": _numbers(frame, "runtime_s"),
            "gpus": _numbers(frame, "gpus").fillna(0.0),
            "cores": _numbers(frame, "cores").fillna(0.0),
            "req_time_s": _numbers(frame, "req_time_s"),
            "vc": frame["vc"].astype("string").fillna("") if "vc" in frame else "",
        }
    )
    rows, skipped = _without_bad_rows(rows)
    if rows.empty:
        raise BadJobsFrame("There is no job in it that can be replayed.", field="job_id")
    twice = rows.loc[rows["job_id"].duplicated(), "job_id"]
    if len(twice):
        raise BadJobsFrame(f"job_id: {twice.iloc[0]} occurs more than once.", field="job_id")
    rows = rows.sort_values(["submit_s", "job_id"], kind="stable").reset_index(drop=True)
    return _table(rows, skipped)


def _check_columns(frame: pd.DataFrame) -> None:
    missing = [name for name in _REQUIRED if name not in frame]
    if not {"gpus", "cores"} & set(frame.columns):
        missing.append("gpus or cores")
    if missing:
        raise BadJobsFrame(f"Columns are missing: {', '.join(missing)}.", field=missing[0])


def _numbers(frame: pd.DataFrame, name: str) -> "pd.Series[float]":
    if name not in frame:
        return pd.Series(np.nan, index=frame.index)
    try:
        return pd.to_numeric(frame[name]).astype("Float64").astype("float64")
    except (TypeError, ValueError) as error:
        raise BadJobsFrame(f"{name}: holds something that is no number.", field=name) from error


def _without_bad_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    asked = rows["gpus"].where(rows["gpus"].ne(0), rows["cores"])
    rows = rows.assign(units=asked)
    req = rows["req_time_s"]
    rows["req_time_s"] = req.where(req.gt(0) & np.isfinite(req))
    skipped: dict[str, int] = {}
    finite_runtime = np.isfinite(rows["runtime_s"])
    for reason, is_bad in (
        ("no job_id or cluster", rows["job_id"].isna() | rows["cluster"].isna()),
        ("submit_s is missing", ~np.isfinite(rows["submit_s"])),
        ("runtime_s is missing or below 0", ~finite_runtime | rows["runtime_s"].lt(0)),
        ("0 gpus and 0 cores", rows["units"].eq(0)),
        (
            "gpus or cores is no whole number above 0",
            ~rows["units"].between(1, _MAX_UNITS) | rows["units"].mod(1).ne(0),
        ),
    ):
        bad = is_bad.reindex(rows.index)
        if bad.any():
            skipped[reason] = int(bad.sum())
        rows = rows[~bad]
    return rows, skipped


def _table(rows: pd.DataFrame, skipped: dict[str, int]) -> JobTable:
    is_gpu = rows["gpus"].ne(0)
    kinds = np.where(is_gpu, Unit.GPU.value, Unit.CORE.value)
    clusters = rows["cluster"].to_numpy(dtype=str)
    pairs = sorted(set(zip(clusters.tolist(), kinds.tolist(), strict=True)))
    index = {pair: p for p, pair in enumerate(pairs)}
    names = [cluster for cluster, _ in pairs]
    return JobTable(
        job_id=rows["job_id"].to_numpy(dtype=str),
        pool_names=tuple(
            f"{cluster}/{kind}" if names.count(cluster) > 1 else cluster for cluster, kind in pairs
        ),
        pool_clusters=tuple(names),
        pool_units=tuple(Unit(kind) for _, kind in pairs),
        home=np.array(
            [index[pair] for pair in zip(clusters.tolist(), kinds.tolist(), strict=True)], np.int64
        ),
        submit_s=rows["submit_s"].to_numpy(dtype=np.float64),
        runtime_s=rows["runtime_s"].to_numpy(dtype=np.float64),
        units=rows["units"].to_numpy(dtype=np.int64),
        req_time_s=rows["req_time_s"].to_numpy(dtype=np.float64),
        vc=rows["vc"].to_numpy(dtype=str),
        skipped=skipped,
    )


def without(jobs: JobTable, is_out: npt.NDArray[np.bool_], reason: str) -> JobTable:
    """Leave jobs out and count them.

    Args:
        jobs: the trace.
        is_out: (N,) the jobs to leave out.
        reason: under which they are counted.

    Returns:
        The rest, with the same pools.

    Raises:
        BadJobsFrame: nothing is left.
    """
    if not is_out.any():
        return jobs
    if is_out.all():
        raise BadJobsFrame(f"Every job was left out: {reason}.", field="cluster")
    keep = ~is_out
    return replace(
        jobs,
        job_id=jobs.job_id[keep],
        home=jobs.home[keep],
        submit_s=jobs.submit_s[keep],
        runtime_s=jobs.runtime_s[keep],
        units=jobs.units[keep],
        req_time_s=jobs.req_time_s[keep],
        vc=jobs.vc[keep],
        skipped=jobs.skipped | {reason: int(is_out.sum())},
    )


def offered_quantile(jobs: JobTable, pool: int, quantile: float) -> int:
    """Measure how much a pool would hold at once if every job started when it was submitted.

    Args:
        jobs: the trace.
        pool: index of the pool.
        quantile: share of the pool's own time span, 0..1.

    Returns:
        The smallest number of units that covers the offered demand for this share of the time
        from the first submission to the last end, rounded up.
    """
    own = jobs.home == pool
    start, units = jobs.submit_s[own], jobs.units[own]
    times = np.concatenate([start, start + jobs.runtime_s[own]])
    change = np.concatenate([units, -units])
    order = np.argsort(times, kind="stable")
    held = np.cumsum(change[order])[:-1]
    span = np.diff(times[order])
    if span.sum() <= 0:
        return int(units.sum())
    by_size = np.argsort(held, kind="stable")
    share = np.cumsum(span[by_size]) / span.sum()
    at = int(np.searchsorted(share, quantile - 1e-12))
    return int(held[by_size[min(at, len(by_size) - 1)]])
