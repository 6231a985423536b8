"""Reads the situation that a plan is made for: pools, waiting work, forecasts, rules, promises."""

import datetime as dt
import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from controlplane.lib.units import HOUR
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.availability import PoolLoad, left_for_guests, left_for_locals
from scheduling.domain.lifecycle import PassageState
from scheduling.domain.limits import COOL_DOWN, closed_slots, region_limits
from scheduling.domain.planner.problem import (
    BoolArray,
    FloatArray,
    PlanningProblem,
    PoolFacts,
)
from scheduling.domain.sovereignty import Place, SovereigntyRule, rule_on
from scheduling.domain.workloads import (
    GroupedDemand,
    WaitingWorkload,
    WorkloadState,
    group_workloads,
)
from scheduling.models import Passage, Workload
from scheduling.selectors import limits
from scheduling.selectors.loads import passages_of_open_plans, pool_loads
from scheduling.selectors.rules import Rules, rules_in_force
from scheduling.selectors.tariffs import energy_prices, links_between


@dataclass(frozen=True)
class Situation:
    """One moment as the planner sees it.

    Attributes:
        as_of: the moment.
        problem: arrays for the solver.
        demand: groups, and the workload ids behind each.
        pools: the pools, in the order of the problem's index p.
        loads: what holds each pool, None where telemetry is unknown.
        forecast_run_id: the run whose quantiles were used, None without one.
        rules: in force.
        snapshot_hash: over everything that went into the problem.
    """

    as_of: dt.datetime
    problem: PlanningProblem
    demand: GroupedDemand
    pools: tuple[PoolInfo, ...]
    loads: dict[str, PoolLoad | None]
    forecast_run_id: int | None
    rules: Rules
    snapshot_hash: str


def situation(
    now: dt.datetime, *, slots: int, risk_quantile: float, rules: Rules | None = None
) -> Situation:
    """This function will read the situation at a moment.

    Args:
        now: the moment, aware.
        slots: number of hourly slots T; slot 0 begins now.
        risk_quantile: quantile of forecast demand that destinations must be able to serve.
        rules: others than those in force, for a what-if.

    Returns:
        The situation. A pool whose telemetry is unknown takes no guests.
    """
    pools = tuple(sorted(grid.pools(), key=lambda pool: pool.code))
    index = {pool.code: position for position, pool in enumerate(pools)}
    loads = pool_loads(now, pools)
    quotas = limits.quotas()
    waiting = waiting_workloads(now, tenants={quota.name for quota in quotas})
    demand = group_workloads(waiting, index, slots)
    rules = rules or rules_in_force()
    run = forecasts.latest_run(now)
    upper = _demand_quantile(pools, loads, now, slots, risk_quantile)
    energy, carbon = energy_prices(pools, now, slots)
    egress, transfer = links_between(pools)
    most_out, most_in = region_limits(
        pools, loads, share=rules.max_region_share, least_units=rules.min_region_units
    )
    facts = tuple(_facts(pool, loads) for pool in pools)
    problem = PlanningProblem(
        starts_at=now,
        slots=slots,
        pools=facts,
        groups=demand.groups,
        available=_rows(pools, loads, slots, lambda p, load: left_for_guests(load, upper[p])),
        home_available=_rows(pools, loads, slots, lambda _, load: left_for_locals(load, slots)),
        energy_usd_per_unit_h=energy,
        carbon_kg_per_unit_h=carbon,
        allowed=allowed_places(demand, pools, rules.sovereignty),
        egress_usd_per_gb=egress,
        transfer_h_per_gb=transfer,
        max_out_units=most_out,
        max_in_units=most_in,
        weights=rules.weights,
        closed=closed_slots(
            limits.closures(now, now + slots * HOUR), facts, starts_at=now, slots=slots
        ),
        quotas=quotas,
        carbon_caps=limits.carbon_caps(now, pools=facts, loads=loads, carbon_kg_per_unit_h=carbon),
    )
    return Situation(
        as_of=now,
        problem=problem,
        demand=demand,
        pools=pools,
        loads=loads,
        forecast_run_id=run.id if run else None,
        rules=rules,
        snapshot_hash=_hash(problem),
    )


def waiting_workloads(now: dt.datetime, *, tenants: Set[str]) -> list[WaitingWorkload]:
    """This function will read the workloads that wait and that no open plan has taken.

    Args:
        now: the moment.
        tenants: those that have a quota; work of others is not told apart by tenant.
    """
    taken = passages_of_open_plans().values("workload_id")
    rows = (
        Workload.objects.filter(state=WorkloadState.QUEUED)
        .exclude(pk__in=taken)
        .order_by("submitted_at", "pk")
        .values_list(
            "pk",
            "pool__code",
            "data_class",
            "units",
            "requested_duration_s",
            "deadline_at",
            "data_gb",
            "tenant",
        )
    )
    moved_at = _came_back_at(now)
    return [
        WaitingWorkload(
            id=pk,
            pool=pool,
            data_class=data_class,
            units=units,
            requested_duration_s=duration_s,
            hours_to_latest_start=((deadline - now).total_seconds() - duration_s) / 3600.0,
            data_gb=data_gb,
            hours_to_move=(moved_at[pk] + COOL_DOWN - now) / HOUR if pk in moved_at else 0.0,
            tenant=tenant if tenant in tenants else "",
        )
        for pk, pool, data_class, units, duration_s, deadline, data_gb, tenant in rows
    ]


def _came_back_at(now: dt.datetime) -> dict[int, dt.datetime]:
    """When workloads came back from a move that did not end well: they rest before the next."""
    rows = Passage.objects.filter(
        state=PassageState.RETURNED, updated_at__gt=now - COOL_DOWN
    ).values_list("workload_id", "updated_at")
    newest: dict[int, dt.datetime] = {}
    for pk, at in rows:
        newest[pk] = max(at, newest.get(pk, at))
    return newest


def _facts(pool: PoolInfo, loads: dict[str, PoolLoad | None]) -> PoolFacts:
    return PoolFacts(
        code=pool.code,
        site=pool.site,
        region=pool.region,
        jurisdiction=pool.jurisdiction,
        is_known=loads[pool.code] is not None,
    )


def _rows(
    pools: tuple[PoolInfo, ...], loads: dict[str, PoolLoad | None], slots: int, rule: Any
) -> FloatArray:
    table = np.zeros((len(pools), slots))
    for position, pool in enumerate(pools):
        load = loads[pool.code]
        if load is not None:
            table[position] = rule(position, load)
    return table


def _demand_quantile(
    pools: tuple[PoolInfo, ...],
    loads: dict[str, PoolLoad | None],
    now: dt.datetime,
    slots: int,
    quantile: float,
) -> FloatArray:
    """(P, T) forecast demand; where there is no forecast, nothing may be promised."""
    table = forecasts.demand_quantile([pool.code for pool in pools], now, slots, quantile)
    for position, pool in enumerate(pools):
        load = loads[pool.code]
        missing = np.isnan(table[position])
        table[position, missing] = 1e9
        if load is not None and not missing.all():
            # the present is measured: slot 0 is never believed to be lower than what is seen
            table[position, 0] = max(table[position, 0], load.allocated + load.queued)
    return table


def allowed_places(
    demand: GroupedDemand, pools: Sequence[PoolInfo], rules: Sequence[SovereigntyRule]
) -> BoolArray:
    """This function will say where each group may run: the rules let it and it fits.

    Returns:
        (G, P).
    """
    places = [Place(pool.region, pool.jurisdiction) for pool in pools]
    allowed = np.zeros((len(demand.groups), len(pools)), dtype=bool)
    rulings: dict[tuple[str, int, int], bool] = {}
    for g, group in enumerate(demand.groups):
        for p, pool in enumerate(pools):
            key = (group.data_class, group.home, p)
            if key not in rulings:
                ruling = rule_on(rules, group.data_class, places[group.home], places[p])
                rulings[key] = ruling.is_allowed
            allowed[g, p] = rulings[key] and group.units <= pool.installed
    return allowed


def _hash(problem: PlanningProblem) -> str:
    digest = hashlib.sha256()
    digest.update(repr((problem.starts_at, problem.slots, problem.pools, problem.groups)).encode())
    digest.update(repr((problem.max_out_units, problem.max_in_units, problem.weights)).encode())
    digest.update(repr((problem.quotas, problem.carbon_caps)).encode())
    if problem.closed is not None:
        digest.update(np.packbits(problem.closed).tobytes())
    for array in (
        problem.available,
        problem.home_available,
        problem.energy_usd_per_unit_h,
        problem.carbon_kg_per_unit_h,
        problem.allowed,
        problem.egress_usd_per_gb,
        problem.transfer_h_per_gb,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
