"""On which terms a group may use a pool: from when, how long, and what is paid once per job."""

import math
from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray, PlanningProblem

ROUNDING = 1e-9


@dataclass(frozen=True)
class Terms:
    """The terms of one group on some pools, A of them.

    Attributes:
        pools: (A,) indices p.
        is_away: (A,) whether p is not the group's home.
        travel_h: (A,) hours that the data of one job travel; 0 at home.
        earliest: (A,) first slot in which a job may start.
        latest: (A,) last slot in which a job may start.
        hours: (A,) hours that a job runs.
        slots: (A,) slots that a job holds its units, >= 1.
        egress_usd, churn_usd, latency_usd: (A,) paid once per job.
    """

    pools: IntArray
    is_away: BoolArray
    travel_h: FloatArray
    earliest: IntArray
    latest: IntArray
    hours: FloatArray
    slots: IntArray
    egress_usd: FloatArray
    churn_usd: FloatArray
    latency_usd: FloatArray


def usable_pools(problem: PlanningProblem, group: int) -> BoolArray:
    """This function will return (P,) where a group may run at all.

    Rule, requirement and latency bound allow it, and the state of pool and home is known. Running
    work may always go on where it is.
    """
    demand = problem.groups[group]
    usable: BoolArray = problem.allowed[group] & problem.is_known & problem.is_known[demand.home]
    usable = usable & (problem.speed[demand.requirement] > 0)
    if demand.user_zone is not None and problem.rtt_ms is not None:
        usable = usable & (
            problem.rtt_ms[demand.user_zone][problem.zone_of] <= demand.latency_bound_ms
        )
    if demand.is_running:
        usable[demand.home] = True
    return usable


def terms_of(problem: PlanningProblem, group: int, pools: IntArray | None = None) -> Terms:
    """This function will state on which terms a group may use pools, allowed or not.

    Args:
        problem: the situation.
        group: index g.
        pools: (A,) indices p; all pools without it.

    Returns:
        The terms. Where a requirement runs at speed 0, hours and slots are those of speed 1.

    Source: docs/model.md, "Sets and inputs".
    """
    demand = problem.groups[group]
    if pools is None:
        pools = np.arange(len(problem.pools))
    away = pools != demand.home
    zone, home_zone = problem.zone_of[pools], problem.zone_of[demand.home]
    travel_h = np.where(away, demand.data_gb * problem.transfer_h_per_gb[home_zone, zone], 0.0)
    arrival = np.floor(travel_h + ROUNDING).astype(np.int64)
    first = np.where(away, max(demand.first_start, demand.away_from), demand.first_start)
    stretch = _stretch(problem, group, pools, away)
    hours = demand.duration_h * stretch
    egress = problem.egress_usd_per_gb[home_zone, zone] * demand.data_gb
    churn = demand.members * problem.weights.churn_usd_per_job
    return Terms(
        pools=pools,
        is_away=away,
        travel_h=travel_h,
        earliest=np.maximum(first, arrival),
        latest=np.where(away | (not demand.is_running), demand.latest_start, 0),
        hours=hours,
        slots=np.maximum(1, np.ceil(demand.duration_slots * stretch - ROUNDING)).astype(np.int64),
        egress_usd=np.where(away, egress, 0.0),
        churn_usd=np.where(away, churn, 0.0),
        latency_usd=_latency_usd(problem, group, zone, hours),
    )


def waiting_h(problem: PlanningProblem, group: int, terms: Terms) -> FloatArray:
    """This function will return (A, T) hours from `first_start` to a start, travel included."""
    slot = np.arange(problem.slots, dtype=np.float64)
    begun: FloatArray = np.maximum(slot[None, :], terms.travel_h[:, None])
    return begun - problem.groups[group].first_start


def unplaced_wait_h(problem: PlanningProblem, group: int) -> int:
    """This function will return the hours that a job without a place waits: to the horizon."""
    return problem.slots - problem.groups[group].first_start


def _stretch(problem: PlanningProblem, group: int, pools: IntArray, away: BoolArray) -> FloatArray:
    """Return (A,) run time per requested run time: slower pools, and work lost by moving."""
    demand = problem.groups[group]
    speed = problem.speed[demand.requirement][pools]
    lost = 1.0 + np.where(away, demand.lost_h, 0.0) / demand.duration_h
    stretch: FloatArray = lost / np.where(speed > 0, speed, 1.0)
    return stretch


def _latency_usd(
    problem: PlanningProblem, group: int, zone: IntArray, hours: FloatArray
) -> FloatArray:
    demand, rate = problem.groups[group], problem.weights.latency_usd_per_unit_h_ms
    if demand.user_zone is None or problem.rtt_ms is None or not rate:
        return np.zeros(len(zone))
    penalty: FloatArray = demand.units * hours * rate * problem.rtt_ms[demand.user_zone][zone]
    return penalty


def running_profile(problem: PlanningProblem) -> FloatArray:
    """This function will return (P, T) units that the plan's own running work holds if it stays."""
    held = np.zeros((len(problem.pools), problem.slots))
    for group in problem.groups:
        if group.is_running:
            speed = float(problem.speed[group.requirement][group.home]) or 1.0
            slots = max(1, math.ceil(group.duration_slots / speed - ROUNDING))
            held[group.home, :slots] += group.units * group.jobs
    return held
