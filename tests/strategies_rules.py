"""Hypothesis strategies that add the planner's further rules to tiny problems."""

import datetime as dt
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from scheduling.domain.planner.problem import CarbonCap, DemandGroup, PlanningProblem, Quota
from tests.strategies_planning import problems

TENANTS = ("ann", "bob", "")


@st.composite
def ruled_problems(draw: st.DrawFn) -> PlanningProblem:
    """A tiny problem with one or two further rules in force."""
    problem = draw(problems())
    adders = (
        with_maintenance,
        with_speeds,
        with_quotas,
        with_caps,
        with_fair_shares,
        with_latency,
        with_surplus,
        with_cool_down,
        with_running_work,
        with_site_gang,
    )
    for add in draw(st.lists(st.sampled_from(adders), min_size=1, max_size=2, unique=True)):
        problem = draw(add(problem))
    return problem


@st.composite
def with_maintenance(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    closed = np.zeros((len(problem.pools), problem.slots), dtype=np.bool_)
    closed[
        draw(st.integers(0, len(problem.pools) - 1)), draw(st.integers(0, problem.slots - 1))
    ] = 1
    return replace(problem, closed=closed)


@st.composite
def with_speeds(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    kinds = [draw(st.sampled_from(["old", "new", "odd"])) for _ in problem.pools]
    return replace(
        problem,
        pools=tuple(replace(p, kind=k) for p, k in zip(problem.pools, kinds, strict=True)),
        groups=tuple(replace(group, requirement="fast") for group in problem.groups),
        throughput={("fast", "new"): 2.0, ("fast", "odd"): draw(st.sampled_from([0.0, 0.4]))},
    )


def of_tenants(draw: st.DrawFn, groups: tuple[DemandGroup, ...]) -> tuple[DemandGroup, ...]:
    return tuple(replace(group, tenant=draw(st.sampled_from(TENANTS))) for group in groups)


@st.composite
def with_quotas(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    units, limit = st.sampled_from([0.0, 1.0, 3.0]), st.sampled_from([0.0, 1.0, np.inf])
    regions = st.sampled_from([frozenset(), frozenset({problem.pools[0].region})])
    where = draw(regions)
    leaves = tuple(
        Quota(
            name=name,
            parent="lab",
            nominal_units=draw(units),
            borrowing_units=draw(limit),
            lending_units=draw(limit),
            regions=where,
        )
        for name in TENANTS[:2]
    )
    quotas = (Quota("lab", nominal_units=draw(units), regions=where), *leaves)
    return replace(problem, groups=of_tenants(draw, problem.groups), quotas=quotas)


@st.composite
def with_caps(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    starts_at = draw(
        st.sampled_from([dt.datetime(2023, 5, 26, hour, tzinfo=dt.UTC) for hour in (1, 23)])
    )
    cap = CarbonCap(
        problem.pools[0].region, dt.date(2023, 5, 26), draw(st.sampled_from([0.3, 1.0]))
    )
    return replace(problem, starts_at=starts_at, carbon_caps=(cap,))


@st.composite
def with_fair_shares(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    weights = replace(problem.weights, fairness_usd_per_unit_h=draw(st.sampled_from([0.3, 5.0])))
    return replace(
        problem,
        groups=of_tenants(draw, problem.groups),
        fair_unit_h={"ann": draw(st.sampled_from([1.0, 4.0])), "bob": 2.5},
        weights=weights,
    )


@st.composite
def with_latency(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    pools = len(problem.pools)
    far = np.abs(np.subtract.outer(np.arange(pools), np.arange(pools))) * 20.0
    bound = draw(st.sampled_from([15.0, 25.0, np.inf]))
    groups = tuple(replace(one, user_zone=0, latency_bound_ms=bound) for one in problem.groups)
    weights = replace(problem.weights, latency_usd_per_unit_h_ms=draw(st.sampled_from([0.0, 0.01])))
    return replace(problem, rtt_ms=far, groups=groups, weights=weights)


@st.composite
def with_surplus(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    share = st.sampled_from([0.0, 0.5, 1.0])
    size = len(problem.pools) * problem.slots
    surplus = np.array(draw(st.lists(share, min_size=size, max_size=size)), dtype=np.float64)
    weights = replace(problem.weights, surplus_usd_per_unit_h=0.2)
    shape = (len(problem.pools), problem.slots)
    return replace(problem, surplus=surplus.reshape(shape), weights=weights)


@st.composite
def with_cool_down(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    groups = tuple(replace(one, away_from=draw(st.integers(0, 3))) for one in problem.groups)
    first = replace(groups[0], first_start=draw(st.integers(0, groups[0].latest_start)))
    return replace(problem, groups=(first, *groups[1:]))


@st.composite
def with_running_work(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    running = replace(
        problem.groups[0],
        is_running=True,
        first_start=0,
        lost_h=draw(st.sampled_from([0.0, 0.5, 1.0])),
        data_gb=draw(st.sampled_from([0.0, 1.0])),
    )
    return replace(problem, groups=(running, *problem.groups[1:]))


@st.composite
def with_site_gang(draw: st.DrawFn, problem: PlanningProblem) -> PlanningProblem:
    sites = [draw(st.sampled_from(["north", "south"])) for _ in problem.pools]
    gang = replace(problem.groups[0], jobs=2, is_site_gang=not problem.groups[0].is_running)
    return replace(
        problem,
        pools=tuple(replace(p, site=s) for p, s in zip(problem.pools, sites, strict=True)),
        groups=(gang, *problem.groups[1:]),
    )
