"""Reads the situation that a plan is made for: pools, waiting work, forecasts, rules, promises."""

import datetime as dt
import hashlib
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.availability import PoolLoad, left_for_guests, left_for_locals
from scheduling.domain.lifecycle import OPEN_PLAN_STATES, PassageState
from scheduling.domain.planner.problem import (
    BoolArray,
    FloatArray,
    PlanningProblem,
    PoolFacts,
    Weights,
)
from scheduling.domain.sovereignty import Place, Reach, SovereigntyRule, rule_on
from scheduling.domain.workloads import (
    GroupedDemand,
    WaitingWorkload,
    WorkloadState,
    group_workloads,
)
from scheduling.models import Link, Passage, SovereigntyRuleRow, WeightSet, Workload

if TYPE_CHECKING:
    from django.db.models import QuerySet

DEFAULT_LINK = (0.05, 1.0)
_HOURS_PER_GBIT = 1.0 / 3600.0


@dataclass(frozen=True)
class Rules:
    """The rules and weights in force, with a version that names exactly these."""

    sovereignty: tuple[SovereigntyRule, ...]
    weights: Weights
    max_region_share: float
    min_region_units: float
    version: str


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


def rules_in_force() -> Rules:
    """This function will read the sovereignty rules and the newest weights."""
    rows = SovereigntyRuleRow.objects.order_by("name")
    sovereignty = tuple(
        SovereigntyRule(
            row.name, row.data_class, row.from_jurisdiction, row.to_jurisdiction, Reach(row.reach)
        )
        for row in rows
    )
    newest = WeightSet.objects.order_by("-pk").first()
    weights = Weights()
    share, least = 0.1, 8.0
    if newest is not None:
        weights = Weights(
            carbon_usd_per_t=newest.carbon_usd_per_t,
            delay_usd_per_unit_h=newest.delay_usd_per_unit_h,
            churn_usd_per_job=newest.churn_usd_per_job,
            unmet_usd_per_unit_h=newest.unmet_usd_per_unit_h,
        )
        share, least = newest.max_region_share, newest.min_region_units
    text = repr((sovereignty, asdict(weights), share, least))
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Rules(sovereignty, weights, share, least, version)


def situation(now: dt.datetime, *, slots: int, risk_quantile: float) -> Situation:
    """This function will read the situation at a moment.

    Args:
        now: the moment, aware.
        slots: number of hourly slots T; slot 0 begins now.
        risk_quantile: quantile of forecast demand that destinations must be able to serve.

    Returns:
        The situation. A pool whose telemetry is unknown takes no guests.
    """
    pools = tuple(sorted(grid.pools(), key=lambda pool: pool.code))
    index = {pool.code: position for position, pool in enumerate(pools)}
    loads = pool_loads(now, pools)
    waiting = waiting_workloads(now)
    demand = group_workloads(waiting, index, slots)
    rules = rules_in_force()
    run = forecasts.latest_run(now)
    upper = _demand_quantile(pools, loads, now, slots, risk_quantile)
    energy, carbon = _prices(pools, now, slots)
    egress, transfer = _links(pools)
    most_out, most_in = _region_limits(pools, loads, rules)
    problem = PlanningProblem(
        starts_at=now,
        slots=slots,
        pools=tuple(_facts(pool, loads) for pool in pools),
        groups=demand.groups,
        available=_rows(pools, loads, slots, lambda p, load: left_for_guests(load, upper[p])),
        home_available=_rows(pools, loads, slots, lambda _, load: left_for_locals(load, slots)),
        energy_usd_per_unit_h=energy,
        carbon_kg_per_unit_h=carbon,
        allowed=_allowed(demand, pools, rules),
        egress_usd_per_gb=egress,
        transfer_h_per_gb=transfer,
        max_out_units=most_out,
        max_in_units=most_in,
        weights=rules.weights,
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


def waiting_workloads(now: dt.datetime) -> list[WaitingWorkload]:
    """This function will read the workloads that wait and that no open plan has taken."""
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
        )
    )
    return [
        WaitingWorkload(
            id=pk,
            pool=pool,
            data_class=data_class,
            units=units,
            requested_duration_s=duration_s,
            hours_to_latest_start=((deadline - now).total_seconds() - duration_s) / 3600.0,
            data_gb=data_gb,
        )
        for pk, pool, data_class, units, duration_s, deadline, data_gb in rows
    ]


def passages_of_open_plans() -> "QuerySet[Passage]":
    """Passages whose workload an open plan still means to move."""
    return Passage.objects.filter(
        move__plan__state__in=[state.value for state in OPEN_PLAN_STATES],
        state__in=[
            PassageState.BOUND,
            PassageState.WITHDRAWING,
            PassageState.SUBMITTING,
            PassageState.RELEASING,
        ],
    )


def pool_loads(now: dt.datetime, pools: tuple[PoolInfo, ...]) -> dict[str, PoolLoad | None]:
    """This function will read what holds each pool's capacity now.

    Returns:
        A load per pool code, or None where the newest telemetry is too old to be believed.
    """
    readings = {reading.pool: reading for reading in grid.pool_states(now)}
    seen_at = {code: reading.measured_at for code, reading in readings.items()}
    running = _running(now, seen_at)
    waiting = _waiting_units()
    promised = _promised(seen_at)
    loads: dict[str, PoolLoad | None] = {}
    for pool in pools:
        reading = readings.get(pool.code)
        if (
            reading is None
            or reading.capacity is None
            or reading.allocated is None
            or reading.queued is None
        ):
            loads[pool.code] = None
            continue
        loads[pool.code] = PoolLoad(
            capacity=reading.capacity,
            contract=pool.contract,
            reserve=pool.reserve,
            allocated=reading.allocated,
            queued=reading.queued,
            running=tuple(running[pool.code]),
            waiting_units=waiting[pool.code],
            promised=tuple(promised[pool.code]),
        )
    return loads


Holds = dict[str, list[tuple[float, float]]]
SeenAt = dict[str, dt.datetime | None]


def _running(now: dt.datetime, seen_at: SeenAt) -> Holds:
    """Running workloads that telemetry shows: announced ones, and those that were moved here."""
    held: Holds = defaultdict(list)
    own = Workload.objects.filter(state=WorkloadState.RUNNING).values_list(
        "pool__code", "units", "requested_duration_s", "started_at"
    )
    for pool, units, duration_s, started_at in own:
        ran_s = (now - started_at).total_seconds() if started_at else 0.0
        # one that ran past its request is taken to end within the hour
        held[pool].append((float(units), max(1.0, (duration_s - ran_s) / 3600.0)))
    for pool, units, duration_s, placed_at, started_at in _moved():
        if _is_seen(placed_at, seen_at.get(pool)):
            ran_s = (now - started_at).total_seconds() if started_at else 0.0
            held[pool].append((float(units), max(1.0, (duration_s - ran_s) / 3600.0)))
    return held


def _waiting_units() -> dict[str, float]:
    units: dict[str, float] = defaultdict(float)
    rows = Workload.objects.filter(state=WorkloadState.QUEUED).values_list("pool__code", "units")
    for pool, count in rows:
        units[pool] += count
    return units


def _promised(seen_at: SeenAt) -> Holds:
    """Workloads on their way to each pool, and those there that its telemetry cannot show yet."""
    promised: Holds = defaultdict(list)
    on_their_way = passages_of_open_plans().values_list(
        "move__destination_pool__code", "workload__units", "workload__requested_duration_s"
    )
    for pool, units, duration_s in on_their_way:
        promised[pool].append((float(units), duration_s / 3600.0))
    for pool, units, duration_s, placed_at, _ in _moved():
        if not _is_seen(placed_at, seen_at.get(pool)):
            promised[pool].append((float(units), duration_s / 3600.0))
    return promised


def _moved() -> "QuerySet[Passage, tuple[str, int, float, dt.datetime | None, dt.datetime | None]]":
    return Passage.objects.filter(
        state__in=[PassageState.PLACED, PassageState.RUNNING]
    ).values_list(
        "move__destination_pool__code",
        "workload__units",
        "workload__requested_duration_s",
        "placed_at",
        "started_at",
    )


def _is_seen(placed_at: dt.datetime | None, seen_at: dt.datetime | None) -> bool:
    return placed_at is not None and seen_at is not None and placed_at < seen_at


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


def _prices(
    pools: tuple[PoolInfo, ...], now: dt.datetime, slots: int
) -> tuple[FloatArray, FloatArray]:
    """Energy price and carbon per unit-hour: those of the same hour a day before."""
    since = floor_hour(now) - 24 * HOUR
    frame = grid.energy_frame(since=since, until=floor_hour(now))
    energy = np.zeros((len(pools), slots))
    carbon = np.zeros((len(pools), slots))
    by_pool = {code: rows.set_index("hour_at") for code, rows in frame.groupby("pool")}
    hours = [floor_hour(now + t * HOUR) for t in range(slots)]
    for position, pool in enumerate(pools):
        rows = by_pool.get(pool.code)
        if rows is None:
            continue
        same_hour = [since + (hour - since) % (24 * HOUR) for hour in hours]
        picked = rows.reindex(same_hour)
        price = picked["price_per_unit_h"].astype(float)
        grams = picked["carbon_g_per_kwh"].astype(float)
        energy[position] = price.fillna(rows["price_per_unit_h"].mean()).fillna(0.0)
        kwh = pool.kw_per_unit * pool.pue
        filled = grams.fillna(rows["carbon_g_per_kwh"].mean()).fillna(0.0)
        carbon[position] = filled.to_numpy() * kwh / 1000.0
    return energy, carbon


def _allowed(demand: GroupedDemand, pools: tuple[PoolInfo, ...], rules: Rules) -> BoolArray:
    places = [Place(pool.region, pool.jurisdiction) for pool in pools]
    allowed = np.zeros((len(demand.groups), len(pools)), dtype=bool)
    rulings: dict[tuple[str, int, int], bool] = {}
    for g, group in enumerate(demand.groups):
        for p, pool in enumerate(pools):
            key = (group.data_class, group.home, p)
            if key not in rulings:
                ruling = rule_on(rules.sovereignty, group.data_class, places[group.home], places[p])
                rulings[key] = ruling.is_allowed
            allowed[g, p] = rulings[key] and group.units <= pool.installed
    return allowed


def _links(pools: tuple[PoolInfo, ...]) -> tuple[FloatArray, FloatArray]:
    table = {
        (link.source_region, link.destination_region): (link.egress_usd_per_gb, link.gbps)
        for link in Link.objects.all()
    }
    count = len(pools)
    egress, transfer = np.zeros((count, count)), np.zeros((count, count))
    for i, source in enumerate(pools):
        for j, destination in enumerate(pools):
            if i != j:
                usd, gbps = table.get((source.region, destination.region), DEFAULT_LINK)
                egress[i, j] = usd
                transfer[i, j] = 8.0 / gbps * _HOURS_PER_GBIT
    return egress, transfer


def _region_limits(
    pools: tuple[PoolInfo, ...], loads: dict[str, PoolLoad | None], rules: Rules
) -> tuple[dict[str, float], dict[str, float]]:
    load_of: dict[str, float] = defaultdict(float)
    capacity_of: dict[str, float] = defaultdict(float)
    for pool in pools:
        load = loads[pool.code]
        if load is not None:
            load_of[pool.region] += load.allocated + load.queued
            capacity_of[pool.region] += load.capacity
    regions = {pool.region for pool in pools}
    share, least = rules.max_region_share, rules.min_region_units
    most_out = {region: max(least, share * load_of[region]) for region in regions}
    most_in = {region: max(least, share * capacity_of[region]) for region in regions}
    return most_out, most_in


def _hash(problem: PlanningProblem) -> str:
    digest = hashlib.sha256()
    digest.update(repr((problem.starts_at, problem.slots, problem.pools, problem.groups)).encode())
    digest.update(repr((problem.max_out_units, problem.max_in_units, problem.weights)).encode())
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
