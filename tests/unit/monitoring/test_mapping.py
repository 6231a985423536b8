"""Where a foreign metric belongs, and what a set of rules may say."""

import pytest

from monitoring.domain.mapping import (
    UNMAPPED,
    BadRules,
    Basis,
    Combine,
    Matcher,
    Matching,
    Rule,
    plan_mapping,
    read_rules,
    write_rules,
)
from monitoring.domain.presets import PRESETS, preset_rules


def labels(name, **others):
    return tuple(sorted({"__name__": name, **others}.items()))


def rule(**changes):
    return {"name": "r", "metric": "m", "pool": "p", "field": "capacity", **changes}


def test_a_fixed_pool_takes_every_series_of_the_metric():
    found = plan_mapping(labels("m", a="b"), read_rules([rule()]))

    assert (found.rule.field, found.pool) == ("capacity", "p")


def test_a_template_is_filled_from_labels():
    rules = read_rules([rule(pool="{site}-{kind}")])

    assert plan_mapping(labels("m", site="beijing", kind="gpu"), rules).pool == "beijing-gpu"


@pytest.mark.parametrize("others", [{}, {"site": ""}])
def test_a_template_without_its_label_leads_to_no_pool(others):
    found = plan_mapping(labels("m", **others), read_rules([rule(pool="{site}-gpu")]))

    assert (found.rule is not None, found.pool) == (True, "")


def test_a_label_cannot_smuggle_a_template_in():
    rules = read_rules([rule(pool="{a}-{b}")])

    assert plan_mapping(labels("m", a="{b}", b="x"), rules).pool == "{b}-x"


def test_a_metric_without_a_rule_is_unmapped():
    assert plan_mapping(labels("other"), read_rules([rule()])) is UNMAPPED


def test_the_first_rule_that_takes_a_series_decides():
    rules = read_rules(
        [
            rule(name="gpu", matchers=[{"label": "resource", "values": ["gpu"]}]),
            rule(name="rest", field="queued"),
        ]
    )

    assert plan_mapping(labels("m", resource="gpu"), rules).rule.name == "gpu"
    assert plan_mapping(labels("m", resource="cpu"), rules).rule.name == "rest"


@pytest.mark.parametrize(
    ("how", "value", "holds"),
    [
        (Matching.IS, "a", True),
        (Matching.IS, "c", False),
        (Matching.IS_NOT, "a", False),
        (Matching.IS_NOT, "c", True),
    ],
)
def test_a_matcher_compares_with_each_of_its_values(how, value, holds):
    assert Matcher("x", frozenset("ab"), how).holds({"x": value}) is holds


def test_an_absent_label_is_an_empty_one():
    assert Matcher("x", frozenset({""})).holds({})
    assert not Matcher("x", frozenset({""}), Matching.IS_NOT).holds({})


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_a_set_of_rules_that_can_be_set(name):
    rules = preset_rules(name, "{tiaodu_pool}")

    assert read_rules(write_rules(rules)) == rules


def test_a_waiting_pod_is_queued_and_one_with_a_node_is_allocated():
    rules = preset_rules("kube-state-metrics-gpu", "p")
    metric = "kube_pod_container_resource_requests"

    found = [
        plan_mapping(labels(metric, resource="nvidia_com_gpu", **node), rules).rule.field
        for node in ({"node": "n1"}, {})
    ]

    assert found == ["allocated", "queued"]
    assert plan_mapping(labels(metric, resource="cpu", node="n1"), rules) is UNMAPPED


def test_rules_come_back_from_plain_data():
    rules = (
        Rule(
            "r",
            "m",
            "p",
            "queued",
            (Matcher("a", frozenset({"x", "y"}), Matching.IS_NOT),),
            factor=0.01,
            basis=Basis.FRACTION_OF_CAPACITY,
            combine=Combine.MAX,
        ),
    )

    assert read_rules(write_rules(rules)) == rules


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="no list"),
        pytest.param([rule()] * 201, id="too many"),
        pytest.param(["x"], id="no object"),
        pytest.param([rule(extra=1)], id="unknown attribute"),
        pytest.param([rule(name="")], id="no name"),
        pytest.param([rule(metric=7)], id="metric is no text"),
        pytest.param([rule(pool="p" * 300)], id="pool too long"),
        pytest.param([rule(field="price")], id="no such column"),
        pytest.param([rule(factor=0)], id="factor zero"),
        pytest.param([rule(factor=True)], id="factor is a boolean"),
        pytest.param([rule(factor=float("nan"))], id="factor is no number"),
        pytest.param([rule(basis="percent")], id="no such basis"),
        pytest.param([rule(combine=[])], id="no such combination"),
        pytest.param([rule(matchers={})], id="matchers are no list"),
        pytest.param([rule(matchers=[{"label": "a"}])], id="matcher without values"),
        pytest.param([rule(matchers=[{"label": "", "values": ["a"]}])], id="no label"),
        pytest.param([rule(matchers=[{"label": "a", "values": []}])], id="no values"),
        pytest.param([rule(matchers=[{"label": "a", "values": [1]}])], id="values no text"),
        pytest.param([rule(matchers=[{"label": "a", "values": ["a"], "how": "~"}])], id="how"),
        pytest.param([rule(matchers=[{"x": 1}])], id="strange matcher"),
        pytest.param([rule(), rule()], id="name twice"),
        pytest.param([rule(), rule(name="s", combine="max")], id="combined in two ways"),
        pytest.param([rule(basis="fraction-of-capacity")], id="capacity of itself"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(document):
    with pytest.raises(BadRules):
        read_rules(document)


def test_a_preset_that_does_not_exist_is_refused():
    with pytest.raises(BadRules, match="slurm-vpenso-gpu"):
        preset_rules("slurm", "p")
