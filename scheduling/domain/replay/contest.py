"""Replays one trace under several policies and compares them."""

from collections.abc import Callable
from enum import StrEnum

from scheduling.domain.replay.bound import lower_bound
from scheduling.domain.replay.checks import check_log
from scheduling.domain.replay.grid import ReplayGrid
from scheduling.domain.replay.jobs import JobTable
from scheduling.domain.replay.policies.ours import Ours
from scheduling.domain.replay.policies.published import (
    CarbonAware,
    Failover,
    FirstToStart,
    carbon_time,
    wait_awhile,
)
from scheduling.domain.replay.policies.rivals import Home, Ranked, cheapest, greenest, least_loaded
from scheduling.domain.replay.report import PolicyReport, measure
from scheduling.domain.replay.scenario import Scenario
from scheduling.domain.replay.simulator import simulate, terms_of
from scheduling.domain.replay.views import Policy, Terms


class PolicyName(StrEnum):
    """Policies that can be asked for; `bound` decides nothing and bounds all."""

    HOME = "home"
    LEAST_LOADED = "least-loaded"
    CHEAPEST = "cheapest"
    GREENEST = "greenest"
    FIRST_TO_START = "first-to-start"
    SKYPILOT = "skypilot"
    CARBON_TIME = "carbon-time"
    WAIT_AWHILE = "wait-awhile"
    OURS = "ours"
    BOUND = "bound"


_MAKERS: dict[PolicyName, Callable[[Terms], Policy]] = {
    PolicyName.HOME: Home,
    PolicyName.LEAST_LOADED: lambda terms: Ranked(terms, least_loaded),
    PolicyName.CHEAPEST: lambda terms: Ranked(terms, cheapest),
    PolicyName.GREENEST: lambda terms: Ranked(terms, greenest),
    PolicyName.FIRST_TO_START: FirstToStart,
    PolicyName.SKYPILOT: Failover,
    PolicyName.CARBON_TIME: lambda terms: CarbonAware(terms, carbon_time),
    PolicyName.WAIT_AWHILE: lambda terms: CarbonAware(terms, wait_awhile),
    PolicyName.OURS: Ours,
}

# What is compared unless asked otherwise.
STANDARD = (
    PolicyName.HOME,
    PolicyName.LEAST_LOADED,
    PolicyName.CHEAPEST,
    PolicyName.GREENEST,
    PolicyName.OURS,
    PolicyName.BOUND,
)


def policy_of(name: PolicyName, terms: Terms) -> Policy:
    """Make a fresh policy that has seen nothing yet.

    Args:
        name: which; not `bound`.
        terms: what it may know of the grid.

    Returns:
        The policy.
    """
    return _MAKERS[name](terms)


def compare(
    jobs: JobTable,
    grid: ReplayGrid,
    scenario: Scenario,
    *,
    names: tuple[PolicyName, ...],
    stopwatch: Callable[[], float],
    progress: Callable[[str, int], None] | None = None,
) -> tuple[dict[str, PolicyReport], float | None]:
    """Replay a trace under each policy.

    Args:
        jobs: the trace.
        grid: the grid.
        scenario: the rules.
        names: policies, in the order in which they are to be reported.
        stopwatch: real seconds.
        progress: told the policy and how many jobs have ended.

    Returns:
        A report per policy, and the lower bound in USD if `bound` is among the names.

    Raises:
        PolicyBroke: a policy decided something impossible.
    """
    bound_usd = lower_bound(jobs, grid) if PolicyName.BOUND in names else None
    capacity = dict(zip(jobs.pool_names, grid.capacity.tolist(), strict=True))
    terms = terms_of(jobs, grid, scenario.interval_s)
    reports: dict[str, PolicyReport] = {}
    for name in names:
        if name is PolicyName.BOUND:
            continue
        begun_s = stopwatch()
        log = simulate(
            jobs,
            grid,
            policy_of(name, terms),
            interval_s=scenario.interval_s,
            stopwatch=stopwatch,
            progress=_told(progress, name),
        )
        wall_s = stopwatch() - begun_s
        found = check_log(
            jobs, log, scenario, capacity=capacity, data_class=grid.data_class.tolist()
        )
        reports[name.value] = measure(
            jobs, grid, log, violations=found, bound_usd=bound_usd, wall_s=wall_s
        )
    return reports, bound_usd


def _told(
    progress: Callable[[str, int], None] | None, name: PolicyName
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(name.value, done)
