"""The account of a plan adds up, and flatters nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.planner.problem import Weights
from scheduling.domain.settlement import Passage, Stay, settle

WEIGHTS = Weights(carbon_usd_per_t=50, delay_usd_per_unit_h=0.5, churn_usd_per_job=0.25)


def passage(**changes):
    values = {
        "units": 8.0,
        "predicted_home": Stay(energy_usd=4.0, carbon_kg=40.0, egress_usd=0.0, delay_h=10.0),
        "predicted_away": Stay(energy_usd=2.0, carbon_kg=10.0, egress_usd=1.0, delay_h=1.0),
        "realised": Stay(energy_usd=1.0, carbon_kg=5.0, egress_usd=1.0, delay_h=2.0),
        "predicted_h": 10.0,
        "realised_h": 5.0,
    }
    return Passage(**{**values, **changes})


def line(report, part):
    return next(row for row in report.lines if row.part == part)


def test_energy_is_compared_over_the_hours_that_really_ran():
    report = settle([passage()], WEIGHTS, finished=1)

    energy = line(report, "energy")
    assert (energy.predicted_home, energy.predicted_away, energy.realised_away) == (2.0, 1.0, 1.0)
    assert energy.realised_saving == 1.0


def test_delay_is_counted_in_units_and_hours():
    delay = line(settle([passage()], WEIGHTS, finished=1), "delay")

    assert delay.predicted_saving == pytest.approx(9 * 8 * 0.5)
    assert delay.realised_saving == pytest.approx(8 * 8 * 0.5)


def test_a_workload_that_has_not_started_counts_for_nothing_yet():
    report = settle([passage(realised=None, realised_h=0.0)], WEIGHTS, finished=0)

    assert (report.workloads, report.started, report.realised_saving_usd) == (1, 0, 0.0)


STAYS = st.builds(
    Stay,
    energy_usd=st.floats(-100, 100),
    carbon_kg=st.floats(0, 100),
    egress_usd=st.floats(0, 100),
    delay_h=st.floats(0, 100),
    unmet_usd=st.floats(0, 100),
)
PASSAGES = st.lists(
    st.builds(
        Passage,
        units=st.floats(1, 32),
        predicted_home=STAYS,
        predicted_away=STAYS,
        realised=st.none() | STAYS,
        predicted_h=st.floats(0.25, 100),
        realised_h=st.floats(0, 100),
    ),
    max_size=5,
)


@given(PASSAGES)
def test_the_parts_add_up_to_the_whole_to_the_cent(passages):
    report = settle(passages, WEIGHTS, finished=0)

    assert sum(row.predicted_saving for row in report.lines) == pytest.approx(
        report.predicted_saving_usd, abs=0.005
    )
    assert sum(row.realised_saving for row in report.lines) == pytest.approx(
        report.realised_saving_usd, abs=0.005
    )
    for row in report.lines:
        assert row.predicted_saving == pytest.approx(row.predicted_home - row.predicted_away)


@given(STAYS, st.floats(0.25, 100), st.floats(1, 32))
def test_what_goes_exactly_as_predicted_saves_exactly_as_predicted(stay, hours, units):
    exact = Passage(
        units=units,
        predicted_home=stay,
        predicted_away=stay,
        realised=stay,
        predicted_h=hours,
        realised_h=hours,
    )

    report = settle([exact], WEIGHTS, finished=1)

    assert report.realised_saving_usd == pytest.approx(report.predicted_saving_usd, abs=1e-6)
