"""Checks a log of events against trace and scenario, sharing no code with simulator or policies."""

from dataclasses import dataclass

import numpy as np

from scheduling.domain.replay.jobs import JobTable
from scheduling.domain.replay.scenario import Scenario
from scheduling.domain.replay.simulator import EventLog

_SLACK_S = 1e-6


@dataclass(frozen=True)
class Violations:
    """How often a log breaks what must never break; all 0 for a sound one.

    Attributes:
        capacity: moments at which a pool holds more units than it has.
        sovereignty: jobs that ran where their class of data may not be.
        unit: jobs that ran on another kind of unit than they asked for.
        lost: jobs that never ran, began before they were submitted or before their units were
            taken, or did not run for exactly their run time.
    """

    capacity: int
    sovereignty: int
    unit: int
    lost: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.capacity + self.sovereignty + self.unit + self.lost


def check_log(
    jobs: JobTable,
    log: EventLog,
    scenario: Scenario,
    *,
    capacity: dict[str, int],
    data_class: list[str],
) -> Violations:
    """Count violations.

    Args:
        jobs: the trace.
        log: what a simulation says has happened.
        scenario: the rules.
        capacity: name of pool -> units.
        data_class: (N,) class of each job's data.

    Returns:
        The counts.
    """
    return Violations(
        capacity=sum(
            _overfull(jobs, log, pool=p, units=capacity[name])
            for p, name in enumerate(jobs.pool_names)
        ),
        sovereignty=_misplaced(jobs, log, scenario, data_class),
        unit=sum(
            jobs.pool_units[int(home)] != jobs.pool_units[int(pool)]
            for home, pool in zip(jobs.home, log.pool, strict=True)
            if pool >= 0
        ),
        lost=_lost(jobs, log),
    )


def _overfull(jobs: JobTable, log: EventLog, *, pool: int, units: int) -> int:
    here = log.pool == pool
    moments = np.concatenate([log.decided_s[here], log.ended_s[here]])
    change = np.concatenate([jobs.units[here], -jobs.units[here]])
    # Units given back at a moment are free for who takes them at that moment.
    order = np.lexsort((change, moments))
    moments, held = moments[order], np.cumsum(change[order])
    is_last_of_moment = np.append(np.diff(moments) > 0, True) if len(moments) else np.array([])
    return int((held[is_last_of_moment.astype(bool)] > units).sum())


def _misplaced(jobs: JobTable, log: EventLog, scenario: Scenario, data_class: list[str]) -> int:
    count = 0
    for i in np.flatnonzero((log.pool >= 0) & (log.pool != jobs.home)).tolist():
        home = jobs.pool_clusters[int(jobs.home[i])]
        place = jobs.pool_clusters[int(log.pool[i])]
        rule = scenario.sovereignty.get(data_class[i])
        if rule is None or place == home:
            continue
        receivers = rule[home] if home in rule else rule.get("*", ())
        count += place not in receivers
    return count


def _lost(jobs: JobTable, log: EventLog) -> int:
    slack_s = _SLACK_S * np.maximum(1.0, np.abs(log.ended_s) * 1e-3)
    is_sound = (
        (log.pool >= 0)
        & (log.decided_s >= jobs.submit_s - slack_s)
        & (log.started_s >= log.decided_s - slack_s)
        & (np.abs(log.ended_s - log.started_s - jobs.runtime_s) <= slack_s)
    )
    return int((~is_sound).sum())
