"""What no rule allows is not allowed, whatever the rules are."""

from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.sovereignty import Place, Reach, SovereigntyRule, rule_on

BJ, NM, HK = Place("CN-BJ", "CN"), Place("CN-NM", "CN"), Place("CN-HK", "HK")
RULES = (
    SovereigntyRule("S1", "open", "*", "*", Reach.ANYWHERE),
    SovereigntyRule("S2", "internal", "*", "*", Reach.JURISDICTION),
    SovereigntyRule("S3", "restricted", "*", "*", Reach.REGION),
)


def test_each_class_goes_as_far_as_its_rule_says():
    reach = {
        name: [rule_on(RULES, name, BJ, to).is_allowed for to in (BJ, NM, HK)]
        for name in ("open", "internal", "restricted", "unheard-of")
    }

    assert reach == {
        "open": [True, True, True],
        "internal": [True, True, False],
        "restricted": [True, False, False],
        "unheard-of": [True, False, False],
    }


def test_the_ruling_names_its_rule():
    assert rule_on(RULES, "internal", BJ, NM).rule == "S2"
    assert rule_on(RULES, "restricted", BJ, NM).rule == "S3"


PLACES = st.builds(
    Place, st.sampled_from(["CN-BJ", "CN-NM", "CN-HK"]), st.sampled_from(["CN", "HK"])
)
ANY_RULES = st.lists(
    st.builds(
        SovereigntyRule,
        st.sampled_from(["A", "B", "C"]),
        st.sampled_from(["open", "internal", "restricted", "*"]),
        st.sampled_from(["CN", "HK", "*", ""]),
        st.sampled_from(["CN", "HK", "*", ""]),
        st.sampled_from(Reach),
    ),
    max_size=6,
)


@given(ANY_RULES, st.sampled_from(["open", "internal", "restricted"]), PLACES, PLACES)
def test_leaving_a_region_needs_a_rule_of_that_class_that_reaches_as_far(
    rules, data_class, source, destination
):
    ruling = rule_on(rules, data_class, source, destination)

    if ruling.is_allowed and source.region != destination.region:
        [rule] = [r for r in rules if r.name == ruling.rule and r.data_class == data_class][:1]
        matching = [
            r
            for r in rules
            if r.data_class == data_class
            and r.from_jurisdiction in ("*", source.jurisdiction)
            and r.to_jurisdiction in ("*", destination.jurisdiction)
        ]
        far_enough = {Reach.ANYWHERE}
        if source.jurisdiction == destination.jurisdiction:
            far_enough.add(Reach.JURISDICTION)
        assert rule is not None
        assert any(r.reach in far_enough for r in matching)


@given(ANY_RULES, st.sampled_from(["open", "internal", "restricted"]), PLACES, PLACES)
def test_more_rules_never_forbid_what_fewer_allowed(rules, data_class, source, destination):
    fewer = rule_on(rules[:-1], data_class, source, destination)
    more = rule_on(rules, data_class, source, destination)

    assert more.is_allowed or not fewer.is_allowed
