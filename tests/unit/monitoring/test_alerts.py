"""The life of an alert: every state against every observation, with hold times."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerts import (
    AlertState,
    HoldTimes,
    Observation,
    Spell,
    advance,
    end,
)

T0 = dt.datetime(2023, 5, 26, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
HOLD = HoldTimes(before_firing=10 * MINUTE, before_resolving=20 * MINUTE)
PENDING = Spell(AlertState.PENDING, pending_at=T0)
FIRING = Spell(AlertState.FIRING, pending_at=T0, fired_at=T0 + 10 * MINUTE)
QUIET = Spell(
    AlertState.FIRING, pending_at=T0, fired_at=T0 + 10 * MINUTE, quiet_since=T0 + 30 * MINUTE
)
RESOLVED = Spell(AlertState.RESOLVED, pending_at=T0, resolved_at=T0 + 5 * MINUTE)
TROUBLE, CLEAR, UNKNOWN = Observation.TROUBLE, Observation.CLEAR, Observation.UNKNOWN


@pytest.mark.parametrize(
    ("spell", "seen", "minutes", "state"),
    [
        pytest.param(None, TROUBLE, 0, AlertState.PENDING, id="trouble begins"),
        pytest.param(None, CLEAR, 0, None, id="nothing and nothing"),
        pytest.param(None, UNKNOWN, 0, None, id="missing data starts nothing"),
        pytest.param(PENDING, TROUBLE, 9, AlertState.PENDING, id="not long enough"),
        pytest.param(PENDING, TROUBLE, 10, AlertState.FIRING, id="long enough"),
        pytest.param(PENDING, CLEAR, 5, AlertState.RESOLVED, id="over before it fired"),
        pytest.param(PENDING, UNKNOWN, 99, AlertState.PENDING, id="missing data fires nothing"),
        pytest.param(FIRING, TROUBLE, 60, AlertState.FIRING, id="goes on"),
        pytest.param(FIRING, CLEAR, 60, AlertState.FIRING, id="quiet begins"),
        pytest.param(FIRING, UNKNOWN, 99, AlertState.FIRING, id="missing data resolves nothing"),
        pytest.param(QUIET, CLEAR, 49, AlertState.FIRING, id="not quiet long enough"),
        pytest.param(QUIET, CLEAR, 50, AlertState.RESOLVED, id="quiet long enough"),
        pytest.param(QUIET, TROUBLE, 50, AlertState.FIRING, id="trouble again"),
        pytest.param(QUIET, UNKNOWN, 99, AlertState.FIRING, id="quiet was not seen through"),
        pytest.param(RESOLVED, TROUBLE, 60, AlertState.PENDING, id="a new spell"),
        pytest.param(RESOLVED, CLEAR, 60, AlertState.RESOLVED, id="stays over"),
        pytest.param(RESOLVED, UNKNOWN, 60, AlertState.RESOLVED, id="stays over unseen"),
    ],
)
def test_each_state_answers_each_observation(spell, seen, minutes, state):
    after = advance(spell, seen, hold=HOLD, now=T0 + minutes * MINUTE)

    assert (after.state if after else None) == state


def test_trouble_after_quiet_starts_the_quiet_time_anew():
    again = advance(QUIET, TROUBLE, hold=HOLD, now=T0 + 40 * MINUTE)
    later = advance(again, CLEAR, hold=HOLD, now=T0 + 45 * MINUTE)

    assert again.quiet_since is None
    assert later.quiet_since == T0 + 45 * MINUTE


def test_a_rule_without_a_hold_time_fires_at_first_sight():
    hold = HoldTimes(before_firing=0 * MINUTE, before_resolving=60 * MINUTE)

    spell = advance(None, TROUBLE, hold=hold, now=T0)

    assert (spell.state, spell.fired_at) == (AlertState.FIRING, T0)


@pytest.mark.parametrize("rule", DEFAULT_RULES, ids=lambda rule: rule.name)
def test_no_rule_that_comes_along_flaps(rule):
    assert rule.hold.before_firing <= rule.hold.before_resolving


@pytest.mark.parametrize("spell", [PENDING, FIRING])
def test_missing_data_is_marked_from_its_first_look_to_its_last(spell):
    unseen = advance(spell, UNKNOWN, hold=HOLD, now=T0 + 11 * MINUTE)
    still = advance(unseen, UNKNOWN, hold=HOLD, now=T0 + 12 * MINUTE)
    seen = advance(still, TROUBLE, hold=HOLD, now=T0 + 13 * MINUTE)

    assert (unseen.unknown_since, still.unknown_since) == (T0 + 11 * MINUTE, T0 + 11 * MINUTE)
    assert seen.unknown_since is None


@pytest.mark.parametrize("spell", [PENDING, FIRING, QUIET])
def test_an_end_without_looking_is_at_once(spell):
    ended = end(spell, now=T0 + 31 * MINUTE)

    assert (ended.state, ended.resolved_at) == (AlertState.RESOLVED, T0 + 31 * MINUTE)
    assert ended.fired_at == spell.fired_at


@given(st.lists(st.tuples(st.sampled_from(list(Observation)), st.integers(0, 30)), max_size=30))
def test_any_course_of_events_keeps_the_times_in_order(course):
    spell, now = None, T0
    for seen, minutes in course:
        now += minutes * MINUTE
        before, spell = spell, advance(spell, seen, hold=HOLD, now=now)
        if spell is None:
            continue
        if spell.state is AlertState.FIRING and (before is None or before.fired_at is None):
            assert spell.fired_at - spell.pending_at >= HOLD.before_firing
        if spell.state is AlertState.RESOLVED and spell.fired_at and spell != before:
            assert spell.resolved_at - spell.quiet_since >= HOLD.before_resolving
        if seen is UNKNOWN and before is not None:
            assert spell.state is before.state
