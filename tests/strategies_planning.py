"""Hypothesis strategies for planning problems small enough to be solved by enumeration."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from scheduling.domain.planner.problem import DemandGroup, PlanningProblem, PoolFacts, Weights
from tests.builders import ProblemBuilder, a_group

REGIONS = ("CN-BJ", "CN-NM")
MOST_SLOTS = 3


@st.composite
def demand_groups(draw: st.DrawFn, *, index: int, pools: int, slots: int) -> DemandGroup:
    """A group of one or two workloads, some of which outlast the horizon."""
    duration_h = draw(st.sampled_from([0.5, 1.0, 1.5, 2.0, 5.0]))
    return a_group(
        f"g{index}",
        home=min(draw(st.sampled_from([0, 0, 1])), pools - 1),
        units=draw(st.integers(1, 3)),
        jobs=draw(st.integers(1, 2)),
        duration_slots=int(np.ceil(duration_h)),
        duration_h=duration_h,
        latest_start=draw(st.integers(0, slots - 1)),
        data_gb=draw(st.sampled_from([0.0, 1.0, 1.0, 30.0])),
    )


@st.composite
def by_slot(draw: st.DrawFn, values: st.SearchStrategy, pools: int, slots: int) -> np.ndarray:
    """(P, T) values that stay the same over the slots of a pool, except in one cell or all."""
    steady = np.array(draw(st.lists(values, min_size=pools, max_size=pools)), dtype=np.float64)
    array = np.repeat(steady[:, None], slots, axis=1)
    if draw(st.integers(0, 3)) == 3:
        size = pools * slots
        jagged = draw(st.lists(values, min_size=size, max_size=size))
        return np.array(jagged, dtype=np.float64).reshape(pools, slots)
    array[draw(st.integers(0, pools - 1)), draw(st.integers(0, slots - 1))] = draw(values)
    return array


@st.composite
def problems(draw: st.DrawFn) -> PlanningProblem:
    """Up to three pools, three slots and two groups; the first pool is often short of capacity."""
    pools = draw(st.sampled_from([3, 2, 3, 2, 3, 1]))
    slots = draw(st.sampled_from([MOST_SLOTS, 2, 1]))
    facts = tuple(
        PoolFacts(
            code=f"p{n}",
            site=f"s{n}",
            region=draw(st.sampled_from(REGIONS)),
            jurisdiction="CN",
            is_known=draw(st.integers(0, 19)) < 19,
        )
        for n in range(pools)
    )
    groups = tuple(
        draw(demand_groups(index=n, pools=pools, slots=slots))
        for n in range(draw(st.integers(1, 2)))
    )
    limit = st.dictionaries(st.sampled_from(REGIONS), st.sampled_from([6.0, 4.0, 2.5, 0.0]))
    capacity = st.sampled_from([6.0, 4.0, 8.0, 2.9, 6.0, 4.0, 2.0, 0.0])
    available = draw(by_slot(capacity, pools, slots))
    home_available = draw(by_slot(capacity, pools, slots))
    if draw(st.integers(0, 3)) > 0:
        scarce = draw(st.sampled_from([0.0, 1.0, 2.0]))
        available[0], home_available[0] = scarce, np.minimum(home_available[0], scarce + 1.0)
    problem = ProblemBuilder(
        groups=groups,
        pools=facts,
        slots=slots,
        available=available,
        home_available=home_available,
        energy=draw(by_slot(st.sampled_from([0.01, 0.05, 0.0, -0.02, 0.9]), pools, slots)),
        carbon=draw(by_slot(st.sampled_from([0.2, 0.4, 0.0]), pools, slots)),
        egress=draw(st.sampled_from([0.0, 0.05])),
        transfer_h_per_gb=draw(st.sampled_from([0.0, 0.04])),
        max_out_units=draw(limit),
        max_in_units=draw(limit),
        weights=draw(weights()),
    ).build()
    flags = draw(
        st.lists(st.booleans(), min_size=len(groups) * pools, max_size=len(groups) * pools)
    )
    allowed = np.array(flags, dtype=np.bool_).reshape(len(groups), pools)
    return replace(problem, allowed=allowed | draw(st.sampled_from([True, True, True, False])))


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    """Weights of every kind, also none."""
    return Weights(
        carbon_usd_per_t=draw(st.sampled_from([0.0, 50.0, 500.0])),
        delay_usd_per_unit_h=draw(st.sampled_from([0.5, 0.5, 0.01, 0.0])),
        churn_usd_per_job=draw(st.sampled_from([0.25, 0.0, 2.0])),
        unmet_usd_per_unit_h=draw(st.sampled_from([1.0, 0.0])),
    )
