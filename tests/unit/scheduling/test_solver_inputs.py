"""Inputs that cannot be true never reach the solver, and the refusal names the field."""

from dataclasses import replace

import numpy as np
import pytest

from scheduling.domain.planner.problem import PlanningProblem, Weights
from scheduling.domain.planner.sanity import ProblemNotSane, check_problem
from scheduling.domain.planner.solver import solve
from tests.builders import a_group, a_short_home


@pytest.mark.parametrize(
    "name",
    [
        "available",
        "home_available",
        "energy_usd_per_unit_h",
        "carbon_kg_per_unit_h",
        "egress_usd_per_gb",
        "transfer_h_per_gb",
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_numbers_that_cannot_be_true_are_refused(name, value):
    problem = a_short_home()
    array = getattr(problem, name).copy()
    array[0, 1] = value

    with pytest.raises(ProblemNotSane) as refused:
        solve(replace(problem, **{name: array}))

    assert refused.value.extra["field"] == name


def edited(**changes: object) -> PlanningProblem:
    return replace(a_short_home(), **changes)


@pytest.mark.parametrize(
    ("problem", "field"),
    [
        pytest.param(edited(slots=0), "slots", id="no slot"),
        pytest.param(edited(available=np.zeros((3, 5))), "available", id="wrong shape"),
        pytest.param(edited(available=-np.ones((3, 4))), "available", id="negative capacity"),
        pytest.param(edited(allowed=np.ones((1, 3))), "allowed", id="allowed in numbers"),
        pytest.param(edited(max_out_units={"CN-BJ": np.nan}), "max_out_units", id="limit NaN"),
        pytest.param(
            edited(weights=Weights(delay_usd_per_unit_h=np.nan)),
            "delay_usd_per_unit_h",
            id="weight NaN",
        ),
        pytest.param(edited(groups=(a_group(units=0),)), "groups", id="no units"),
        pytest.param(
            edited(groups=(a_group(), a_group()), allowed=np.ones((2, 3), dtype=np.bool_)),
            "groups",
            id="two groups of one name",
        ),
    ],
)
def test_contradictory_inputs_are_refused_with_the_field(problem, field):
    with pytest.raises(ProblemNotSane) as refused:
        check_problem(problem)

    assert refused.value.extra["field"] == field
