"""Reads the situation that a plan is made for: pools, waiting work, forecasts, rules, promises."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from controlplane.lib.units import HOUR
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.availability import PoolLoad, left_for_guests, left_for_locals
from scheduling.domain.limits import closed_slots, region_limits
from scheduling.domain.planner.problem import (
    BoolArray,
    FloatArray,
    PlanningProblem,
    PoolFacts,
)
from scheduling.domain.planner.rules.services import ServiceDemand
from scheduling.domain.planner.terms import running_profile
from scheduling.domain.serving import with_services
from scheduling.domain.sovereignty import Place, SovereigntyRule, rule_on
from scheduling.domain.workloads import GroupedDemand
from scheduling.selectors import limits, movable
from scheduling.selectors.fairness import owed_by_tenant, used_by_tenant
from scheduling.selectors.loads import pool_loads
from scheduling.selectors.rules import Rules, rules_in_force
from scheduling.selectors.tariffs import energy_prices, network


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
    rules = rules or rules_in_force()
    speeds, net = limits.speeds(), network()
    quotas, weights = limits.quotas(), limits.fair_weights()
    limited = frozenset(quota.name for quota in quotas)
    work = movable.work_to_place(
        now, pools, slots=slots, speeds=speeds, limited=limited, weighted=frozenset(weights.tenants)
    )
    services = movable.services_to_place(
        now, pools, slots=slots, zones=net.zones, tenants=limited | frozenset(weights.tenants)
    )
    demand = with_services(work, services)
    loads = _with_services(pool_loads(now, pools), pools, services)
    run = forecasts.latest_run(now)
    upper = _demand_quantile(pools, loads, now, slots, risk_quantile)
    energy, carbon = energy_prices(pools, now, slots)
    most_out, most_in = region_limits(
        pools, loads, share=rules.max_region_share, least_units=rules.min_region_units
    )
    facts = tuple(_facts(pool, loads, speeds) for pool in pools)
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
        egress_usd_per_gb=net.egress_usd_per_gb,
        transfer_h_per_gb=net.transfer_h_per_gb,
        max_out_units=most_out,
        max_in_units=most_in,
        weights=rules.weights,
        zones=net.zone_of(pools),
        rtt_ms=net.rtt_ms,
        throughput=speeds.factors,
        closed=closed_slots(
            limits.closures(now, now + slots * HOUR), facts, starts_at=now, slots=slots
        ),
        quotas=quotas,
    )
    problem = replace(
        problem,
        carbon_caps=limits.carbon_caps(
            now,
            pools=facts,
            loads=loads,
            carbon_kg_per_unit_h=carbon,
            staying_units=running_profile(problem),
        ),
        fair_unit_h=owed_by_tenant(problem, weights, used_by_tenant(now)),
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


def _with_services(
    loads: dict[str, PoolLoad | None],
    pools: Sequence[PoolInfo],
    services: Sequence[ServiceDemand],
) -> dict[str, PoolLoad | None]:
    """What serves users is in the telemetry of its home; the plan places it anew."""
    asked: dict[str, FloatArray] = {}
    for service in services:
        code = pools[service.home].code
        asked[code] = asked.get(code, np.zeros_like(service.units)) + service.units
    return {
        code: replace(load, services=tuple(asked[code].tolist()))
        if load is not None and code in asked
        else load
        for code, load in loads.items()
    }


def _facts(pool: PoolInfo, loads: dict[str, PoolLoad | None], speeds: limits.Speeds) -> PoolFacts:
    return PoolFacts(
        code=pool.code,
        site=pool.site,
        region=pool.region,
        jurisdiction=pool.jurisdiction,
        is_known=loads[pool.code] is not None,
        kind=speeds.accelerators.get(pool.code, ""),
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
    digest.update(repr((sorted(problem.throughput.items()), problem.fair_unit_h)).encode())
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
        problem.rtt_ms,
        problem.zone_of,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
