"""Hypothesis strategies for planning problems small enough to be solved by enumeration."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from scheduling.domain.problem import DemandGroup, PlanningProblem, PoolFacts, Weights
from tests.builders import ProblemBuilder, a_group

REGIONS = ("CN-BJ", "CN-NM")
MOST_SLOTS = 3


@st.composite
def demand_groups(draw: st.DrawFn, *, index: int, pools: int, slots: int) -> DemandGroup:
    """A group of one or two workloads, some of which outlast the horizon."""
    duration_h = draw(st.sampled_from([0.5, 1.0, 1.5, 2.0, 5.0]))
    return a_group(
        f"g{index}",
        home=draw(st.integers(0, pools - 1)),
        units=draw(st.integers(1, 3)),
        jobs=draw(st.integers(1, 2)),
        duration_slots=int(np.ceil(duration_h)),
        duration_h=duration_h,
        latest_start=draw(st.integers(0, slots - 1)),
        data_gb=draw(st.sampled_from([0.0, 1.0, 30.0])),
    )


@st.composite
def by_slot(draw: st.DrawFn, values: st.SearchStrategy, pools: int, slots: int) -> np.ndarray:
    """(P, T) values, each drawn by itself."""
    size = pools * slots
    drawn = draw(st.lists(values, min_size=size, max_size=size))
    return np.array(drawn, dtype=np.float64).reshape(pools, slots)


@st.composite
def problems(draw: st.DrawFn, *, always_known: bool = False) -> PlanningProblem:
    """Up to three pools, three slots and two groups, everything else free."""
    pools = draw(st.integers(1, 3))
    slots = draw(st.integers(1, MOST_SLOTS))
    facts = tuple(
        PoolFacts(
            code=f"p{n}",
            site=f"s{n}",
            region=draw(st.sampled_from(REGIONS)),
            jurisdiction="CN",
            is_known=always_known or draw(st.integers(0, 9)) > 0,
        )
        for n in range(pools)
    )
    groups = tuple(
        draw(demand_groups(index=n, pools=pools, slots=slots))
        for n in range(draw(st.integers(1, 2)))
    )
    limit = st.dictionaries(st.sampled_from(REGIONS), st.sampled_from([0.0, 2.5, 4.0]))
    capacity = st.sampled_from([0.0, 1.0, 2.0, 2.9, 4.0, 6.0])
    problem = ProblemBuilder(
        groups=groups,
        pools=facts,
        slots=slots,
        available=draw(by_slot(capacity, pools, slots)),
        home_available=draw(by_slot(capacity, pools, slots)),
        energy=draw(by_slot(st.sampled_from([-0.02, 0.0, 0.01, 0.05, 3.0]), pools, slots)),
        carbon=draw(by_slot(st.sampled_from([0.0, 0.2, 0.4]), pools, slots)),
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
    return replace(problem, allowed=allowed | (draw(st.booleans())))


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    """Weights of every kind, also none."""
    return Weights(
        carbon_usd_per_t=draw(st.sampled_from([0.0, 50.0, 500.0])),
        delay_usd_per_unit_h=draw(st.sampled_from([0.0, 0.01, 0.5])),
        churn_usd_per_job=draw(st.sampled_from([0.0, 0.25, 2.0])),
        unmet_usd_per_unit_h=draw(st.sampled_from([0.0, 1.0])),
    )
