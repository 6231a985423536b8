"""When mapped points become a wide row, and what the row says of itself."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.domain import assembly
from monitoring.domain.assembly import KnownValues
from monitoring.domain.mapping import Basis, Combine, Rule
from monitoring.domain.samples import QualityRule
from tests import assembly_referee
from tests.assembly_referee import Reading, assemble_columns

POOL = 1
FIELDS = ("capacity", "allocated", "queued")


def rule(field, combine=Combine.SUM, **others):
    return Rule(f"{field} {combine}", field, "p", field, combine=combine, **others)


def reading(series_id, field, tick, value, combine=Combine.SUM, *, at=None, **others):
    at = tick * 60 if at is None else at
    return Reading(POOL, series_id, rule(field, combine, **others), tick, at, value)


def tick_of(number, *, capacity=(60.0, 40.0), allocated=50.0, queued=1.0):
    found = [reading(n, "capacity", number, value) for n, value in enumerate(capacity)]
    found += [reading(10, "allocated", number, allocated)] if allocated is not None else []
    return found + ([reading(11, "queued", number, queued)] if queued is not None else [])


def rows_of(readings, touched, formed=(), known=None):
    return assemble_columns(
        readings, touched=[(POOL, tick) for tick in touched], formed=formed, known=known or {}
    )


def only(number, names=FIELDS, **values):
    return [
        reading(FIELDS.index(name), name, number, values.get(name, 7.0), Combine.ONLY)
        for name in names
    ]


def test_single_series_make_a_row_at_once():
    (row,) = rows_of(only(5, capacity=100.0), [5])

    assert row.values == {"capacity": 100.0, "allocated": 7.0, "queued": 7.0}
    assert (row.tick, row.rule) == (5, QualityRule.NONE)


def test_a_row_that_lacks_a_required_column_waits():
    assert rows_of(only(5, ("capacity", "queued")), [5]) == []


def test_a_sum_waits_in_the_first_tick_since_parts_may_still_come():
    assert rows_of(tick_of(5), [5]) == []


def test_a_sum_is_made_when_all_who_reported_before_report_again():
    (row,) = rows_of(tick_of(4) + tick_of(5), [5], formed=[(POOL, 4)])

    assert (row.tick, row.values["capacity"], row.rule) == (5, 100.0, QualityRule.NONE)


def test_a_sum_that_lacks_a_part_waits_until_two_ticks_later_and_then_says_so():
    before = tick_of(4) + tick_of(5, capacity=(60.0,))

    waiting = rows_of(before + tick_of(6), [5, 6], formed=[(POOL, 4)])
    closed = rows_of(before + tick_of(6) + tick_of(7), [7], formed=[(POOL, 4), (POOL, 6)])

    assert [row.tick for row in waiting] == [6]
    found = {row.tick: (row.values["capacity"], row.rule) for row in closed}
    assert found[5] == (60.0, QualityRule.PARTIAL_TICK)
    assert found[7] == (100.0, QualityRule.NONE)


def test_a_part_that_is_late_for_two_ticks_is_still_missed():
    late = [part for tick in (5, 6) for part in tick_of(tick, capacity=(60.0,))]

    assert rows_of(tick_of(4) + late, [6], formed=[(POOL, 4)]) == []


def test_a_part_that_is_gone_for_longer_is_missed_no_more():
    gone = [part for tick in (5, 6, 7, 8) for part in tick_of(tick, capacity=(60.0,))]

    found = rows_of(tick_of(4) + gone, [8], formed=[(POOL, 4)])

    assert [(row.tick, row.rule) for row in found] == [
        (5, QualityRule.PARTIAL_TICK),
        (6, QualityRule.PARTIAL_TICK),
        (8, QualityRule.NONE),
    ]


def test_the_first_tick_of_a_sum_is_made_once_it_is_closed():
    found = rows_of(tick_of(5) + tick_of(6) + tick_of(7), [7])

    assert [(row.tick, row.rule) for row in found] == [
        (5, QualityRule.NONE),
        (6, QualityRule.NONE),
        (7, QualityRule.NONE),
    ]


def test_a_series_that_has_ended_is_not_waited_for():
    ended = [reading(1, "capacity", 4, math.nan)]
    before = tick_of(4, capacity=(60.0,)) + ended

    (row,) = rows_of(before + tick_of(5, capacity=(60.0,)), [5], formed=[(POOL, 4)])

    assert (row.values["capacity"], row.rule) == (60.0, QualityRule.NONE)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_figure_is_no_value(value):
    assert rows_of(only(5, queued=value), [5]) == []


def test_a_required_column_that_fails_is_carried_forward_for_a_while():
    readings = [part for tick in (5, 6, 7) for part in tick_of(tick, queued=None)]
    known = KnownValues(tick=4, last_tick=10, values=dict.fromkeys(FIELDS, 3.0))

    found = rows_of(readings, [7], known={POOL: known})

    assert [(row.tick, row.rule) for row in found] == [(5, QualityRule.CARRIED_FORWARD)]
    assert found[0].values == {"capacity": 100.0, "allocated": 50.0, "queued": 3.0}


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(None, id="nothing known"),
        pytest.param(KnownValues(5, 10, dict.fromkeys(FIELDS, 3.0)), id="not before it"),
        pytest.param(KnownValues(1, 4, dict.fromkeys(FIELDS, 3.0)), id="too old"),
    ],
)
def test_without_a_recent_row_before_it_nothing_is_carried_forward(known):
    readings = [part for tick in (5, 6, 7) for part in tick_of(tick, queued=None)]

    assert rows_of(readings, [7], known={POOL: known} if known else {}) == []


def test_optional_columns_alone_make_no_row():
    readings = [reading(1, "power_kw", tick, 5.0) for tick in (4, 5, 6, 7)]
    known = KnownValues(3, 20, dict.fromkeys(FIELDS, 3.0))

    assert rows_of(readings, [7], known={POOL: known}) == []


def test_a_tick_that_has_its_row_gets_no_other():
    assert rows_of(only(5), [5], formed=[(POOL, 5)]) == []


@pytest.mark.parametrize(
    ("combine", "expected"),
    [(Combine.SUM, 9.0), (Combine.MAX, 6.0), (Combine.MEAN, 3.0)],
)
def test_several_series_of_a_column_become_one_figure(combine, expected):
    def figures(tick):
        return only(tick) + [
            reading(20 + n, "power_kw", tick, value, combine) for n, value in enumerate((1, 2, 6))
        ]

    (row,) = rows_of(figures(4) + figures(5), [5], formed=[(POOL, 4)])

    assert row.values["power_kw"] == expected


def test_a_factor_below_zero_takes_a_series_off_the_others():
    down = [reading(30, "capacity", tick, 25.0, factor=-1.0) for tick in (4, 5)]

    (row,) = rows_of(tick_of(4) + tick_of(5) + down, [5], formed=[(POOL, 4)])

    assert row.values["capacity"] == 75.0


def test_percent_become_units_of_the_capacity():
    percent = {"factor": 0.01, "basis": Basis.FRACTION_OF_CAPACITY}
    readings = [
        *only(5, ("capacity", "queued"), capacity=200.0),
        reading(9, "allocated", 5, 75.0, Combine.ONLY, **percent),
    ]

    (row,) = rows_of(readings, [5])

    assert row.values["allocated"] == 150.0


def test_of_a_series_the_last_value_in_a_tick_counts():
    readings = [*only(5), reading(0, "capacity", 5, 99.0, Combine.ONLY, at=5 * 60 + 30)]

    (row,) = rows_of(readings[::-1], [5])

    assert row.values["capacity"] == 99.0


@given(st.permutations(tick_of(4) + tick_of(5) + tick_of(6)))
def test_the_order_in_which_points_are_read_makes_no_difference(readings):
    assert rows_of(readings, [6]) == rows_of(tick_of(4) + tick_of(5) + tick_of(6), [6])


@st.composite
def traffic(draw):
    """Points of two pools over some ticks, what was touched and formed, and what is known."""
    rules = draw(
        st.lists(
            st.builds(
                rule,
                st.sampled_from((*FIELDS, "power_kw")),
                st.sampled_from(tuple(Combine)),
                factor=st.sampled_from((1.0, -1.0, 0.1)),
                basis=st.sampled_from((Basis.UNITS, Basis.UNITS, Basis.FRACTION_OF_CAPACITY)),
            ).filter(lambda one: one.field != "capacity" or one.basis is Basis.UNITS),
            min_size=3,
            max_size=7,
        )
    )
    values = st.sampled_from((0.0, 1.0, 2.5, 0.1, 1e16, -3.0, math.nan, math.inf))
    cell = st.tuples(
        st.integers(1, 2),
        st.integers(0, len(rules) - 1),
        st.integers(0, 9),
        st.integers(0, 59),
        values,
    )
    cells = draw(st.lists(cell, min_size=1, max_size=40, unique_by=lambda one: one[:4]))
    # most ticks are whole but for one series: chance alone would never get there
    place = st.tuples(st.integers(1, 2), st.integers(0, 9))
    nearly_whole = draw(st.dictionaries(place, st.integers(0, 2 * len(rules)), max_size=12))
    taken = {one[:4] for one in cells}
    full = [
        (pool, number, tick, 0, 5.0)
        for (pool, tick), absent in nearly_whole.items()
        for number in range(len(rules))
        if number != absent and (pool, number, tick, 0) not in taken
    ]
    readings = sorted(
        (
            Reading(pool, number, rules[number], tick, 60 * tick + second, value)
            for pool, number, tick, second, value in cells + full
        ),
        key=lambda one: (one.series_id, one.measured_us),
    )
    places = sorted({(one.pool_id, one.tick) for one in readings})
    touched = draw(st.lists(st.sampled_from(places), min_size=1, unique=True))
    formed = draw(st.sets(st.sampled_from(places)))
    last = st.builds(
        KnownValues,
        tick=st.integers(-2, 8),
        last_tick=st.integers(0, 12),
        values=st.just(dict.fromkeys(FIELDS, 3.0)),
    )
    return readings, touched, formed, draw(st.dictionaries(st.integers(1, 2), last))


def exactly(rows):
    return sorted(
        (row.pool_id, row.tick, row.rule, sorted((k, repr(v + 0.0)) for k, v in row.values.items()))
        for row in rows
    )


@pytest.mark.parametrize("cells_at_once", [assembly.MAX_CELLS, 40])
@settings(max_examples=80)
@given(traffic())
def test_columns_come_to_what_the_referee_comes_to(cells_at_once, found):
    readings, touched, formed, known = found
    asked = {"touched": touched, "formed": formed, "known": known}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "MAX_CELLS", cells_at_once)
        rows = assemble_columns(readings, **asked)

    assert exactly(rows) == exactly(assembly_referee.assemble(readings, **asked))


def test_sums_beyond_the_largest_number_break_nothing():
    readings = [
        reading(20 + n, "capacity", tick, 1.7e308) for n in range(3) for tick in (5, 6, 7)
    ] + [part for tick in (5, 6, 7) for part in only(tick, ("allocated", "queued"))]

    found = rows_of(readings, [7])

    assert {row.values["capacity"] for row in found} == {math.inf}
