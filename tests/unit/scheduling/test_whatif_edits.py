"""Edits of a situation: what they change, what they leave alone, and what is refused."""

import datetime as dt

import numpy as np
import pytest

from controlplane.lib.errors import InvalidField
from scheduling.domain.planner.problem import DemandGroup, PlanningProblem, PoolFacts
from scheduling.domain.sovereignty import Reach, SovereigntyRule
from scheduling.domain.whatif.edits import apply_edits, apply_rules, read_edits

POOLS = (
    PoolFacts("bj-a", "bj", "CN-BJ", "CN"),
    PoolFacts("bj-b", "bj", "CN-BJ", "CN"),
    PoolFacts("nm-a", "nm", "CN-NM", "CN"),
)
RULES = (
    SovereigntyRule("S1", "open", "*", "*", Reach.ANYWHERE),
    SovereigntyRule("S3", "restricted", "*", "*", Reach.REGION),
)


def problem():
    group = DemandGroup("g", 0, "open", 2, 3, 1, 1.0, 3, 0.0)
    other = DemandGroup("h", 2, "open", 1, 5, 1, 1.0, 3, 0.0)
    table = np.arange(12.0).reshape(3, 4) + 1
    return PlanningProblem(
        starts_at=dt.datetime(2023, 5, 26, tzinfo=dt.UTC),
        slots=4,
        pools=POOLS,
        groups=(group, other),
        available=table,
        home_available=table,
        energy_usd_per_unit_h=table / 10,
        carbon_kg_per_unit_h=table / 100,
        allowed=np.ones((2, 3), bool),
        egress_usd_per_gb=np.zeros((3, 3)),
        transfer_h_per_gb=np.zeros((3, 3)),
        max_out_units={"CN-BJ": 10.0, "CN-NM": 20.0},
        max_in_units={"CN-BJ": 10.0, "CN-NM": 20.0},
    )


def edited(*edits, **others):
    return apply_edits(problem(), read_edits({"edits": list(edits), **others}))


def test_no_edit_changes_nothing():
    changed = edited()

    assert np.array_equal(changed.available, problem().available)
    assert changed.groups == problem().groups
    assert changed.weights == problem().weights


def test_a_price_changes_for_the_region_and_the_hours_named():
    changed = edited(
        {"kind": "energy-price", "region": "CN-BJ", "factor": 2, "from_h": 1, "until_h": 3}
    )

    ratio = changed.energy_usd_per_unit_h / problem().energy_usd_per_unit_h
    assert ratio.tolist() == [[1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    assert np.array_equal(changed.carbon_kg_per_unit_h, problem().carbon_kg_per_unit_h)


def test_capacity_is_taken_from_guests_and_locals_of_one_pool():
    changed = edited({"kind": "capacity", "pool": "nm-a", "factor": 0})

    assert changed.available[2].tolist() == changed.home_available[2].tolist() == [0, 0, 0, 0]
    assert np.array_equal(changed.available[:2], problem().available[:2])


def test_a_site_closes_with_all_its_pools():
    changed = edited({"kind": "close", "site": "bj", "from_h": 2, "until_h": 24})

    assert changed.closed.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]


def test_demand_repeats_the_work_that_waits_there_and_may_end_it():
    more = edited({"kind": "demand", "pool": "bj-a", "factor": 1.5})
    none = edited({"kind": "demand", "region": "CN-BJ", "factor": 0})

    assert [group.jobs for group in more.groups] == [5, 5]
    assert [group.key for group in none.groups] == ["h"]
    assert none.allowed.shape == (1, 3)


def test_region_limits_grow_for_the_region_named():
    changed = edited({"kind": "region-limit", "region": "CN-NM", "factor": 3})

    assert changed.max_out_units == {"CN-BJ": 10.0, "CN-NM": 60.0}


def test_weights_change_by_name():
    changed = edited(weights={"carbon_usd_per_t": 200})

    assert changed.weights.carbon_usd_per_t == 200
    assert changed.weights.delay_usd_per_unit_h == problem().weights.delay_usd_per_unit_h


def test_rules_are_loosened_and_taken_away():
    edits = read_edits(
        {
            "edits": [
                {"kind": "rule", "rule": "S3", "reach": "JURISDICTION"},
                {"kind": "rule-off", "rule": "S1"},
            ]
        }
    )

    assert apply_rules(RULES, edits) == (
        SovereigntyRule("S3", "restricted", "*", "*", Reach.JURISDICTION),
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"edits": 7}, "edits"),
        ({"edits": [7]}, "edits[0]"),
        ({"edits": [{"kind": "bribe"}]}, "edits[0].kind"),
        ({"edits": [{"kind": "carbon"}]}, "edits[0].factor"),
        ({"edits": [{"kind": "carbon", "factor": True}]}, "edits[0].factor"),
        ({"edits": [{"kind": "carbon", "factor": 1e308}]}, "edits[0].factor"),
        ({"edits": [{"kind": "carbon", "factor": float("nan")}]}, "edits[0].factor"),
        ({"edits": [{"kind": "carbon", "factor": 1, "pool": ["x"]}]}, "edits[0].pool"),
        ({"edits": [{"kind": "carbon", "factor": 1, "pool": "x", "site": "y"}]}, "edits[0].pool"),
        ({"edits": [{"kind": "close", "from_h": 3, "until_h": 3}]}, "edits[0].until_h"),
        ({"edits": [{"kind": "close", "colour": "red"}]}, "edits[0].colour"),
        ({"edits": [{"kind": "rule", "rule": "S1"}]}, "edits[0].reach"),
        ({"weights": {"luck": 1}}, "weights.luck"),
        ({"weights": {"carbon_usd_per_t": -1}}, "weights.carbon_usd_per_t"),
        ({"risk_quantile": 0.2}, "risk_quantile"),
    ],
)
def test_what_cannot_be_read_names_the_field(body, field):
    with pytest.raises(InvalidField) as refused:
        read_edits(body)

    assert refused.value.field == field


def test_a_pool_or_rule_that_is_not_there_is_named():
    with pytest.raises(InvalidField, match="there is no pool mars"):
        edited({"kind": "capacity", "pool": "mars", "factor": 1})
    with pytest.raises(InvalidField, match="there is no rule S9"):
        apply_rules(RULES, read_edits({"edits": [{"kind": "rule-off", "rule": "S9"}]}))
