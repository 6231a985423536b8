"""Packing wide samples in blocks keeps every bit of every value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.sample_blocks import (
    UnstorableSamples,
    from_blocks,
    join_samples,
    to_blocks,
)
from monitoring.domain.samples import FIELD_NAMES, FIELDS, LARGEST
from monitoring.domain.shelves import SHELF_SLOTS
from monitoring.domain.sums import Rows

US = 1_000_000
START_US = 1_700_000_000 * US
FIGURES = st.one_of(
    st.integers(0, 300).map(float),
    st.sampled_from([0.0, -0.0, 127.0, 128.0, 32_767.0, 32_768.0, LARGEST - 1, LARGEST, 1e-9]),
    st.integers(0, 10**6).map(lambda whole: whole / 1000),
    st.floats(0.0, LARGEST),
)


def rows_of(samples):
    """Return rows of (place, tick, figures), in the order that storing has them in."""
    ordered = sorted(samples, key=lambda one: one[:2])
    figures = np.array([one[2] for one in ordered], float).reshape(len(ordered), len(FIELD_NAMES))
    codes = np.array([one[1] % 5 for one in ordered], np.int16)
    place = np.array([one[0] for one in ordered], np.int64)
    rows = Rows(
        pool_id=place + 7,
        measured_us=np.array([START_US + one[1] * US for one in ordered], np.int64),
        values={name: figures[:, n].copy() for n, name in enumerate(FIELD_NAMES)},
        quality=codes,
        rule=codes + np.int16(1),
    )
    return rows, place


def unpacked(blocks):
    return from_blocks(
        blocks.shelf,
        blocks.measured_us,
        blocks.members,
        kinds=blocks.kinds,
        values=b"".join(blocks.values),
    )


def one_row(**figures):
    values = {"capacity": 1.0, "allocated": 1.0, "queued": 1.0, **figures}
    return rows_of([(0, 0, [values.get(name, np.nan) for name in FIELD_NAMES])])


def optional(figure):
    return st.one_of(st.just(float("nan")), figure)


SAMPLES = st.dictionaries(
    st.tuples(st.integers(0, 3 * SHELF_SLOTS), st.integers(0, 4)),
    st.tuples(*(FIGURES if field.is_required else optional(FIGURES) for field in FIELDS)),
    min_size=1,
    max_size=30,
).map(lambda found: [(place, tick, figures) for (place, tick), figures in found.items()])


@given(samples=SAMPLES)
def test_what_is_packed_comes_back_bit_for_bit(samples):
    rows, place = rows_of(samples)

    found = unpacked(to_blocks(rows, place))

    order = np.lexsort((found.measured_us, found.place))
    np.testing.assert_array_equal(found.place[order], place)
    np.testing.assert_array_equal(found.measured_us[order], rows.measured_us)
    np.testing.assert_array_equal(found.quality[order], rows.quality)
    np.testing.assert_array_equal(found.rule[order], rows.rule)
    for name in FIELD_NAMES:
        came, went = found.values[name][order], rows.values[name]
        np.testing.assert_array_equal(np.isnan(came), np.isnan(went))
        known = ~np.isnan(went)
        np.testing.assert_array_equal(came[known].view(np.int64), went[known].view(np.int64))


@given(samples=SAMPLES)
def test_a_block_holds_one_shelf_at_one_moment(samples):
    rows, place = rows_of(samples)

    blocks = to_blocks(rows, place)

    keys = list(zip(blocks.shelf.tolist(), blocks.measured_us.tolist(), strict=True))
    asked = zip((place // SHELF_SLOTS).tolist(), rows.measured_us.tolist(), strict=True)
    assert sorted(keys) == sorted(set(asked))
    assert sum(mask.bit_count() for mask in blocks.members.tolist()) == len(rows)


@pytest.mark.parametrize(
    ("figure", "kind"),
    [
        (float("nan"), "n0"),
        (0.0, "z0"),
        (-0.0, "d0"),
        (127.0, "b0"),
        (128.0, "h0"),
        (32_768.0, "i0"),
        (0.1, "b1"),
        (12.34, "h2"),
        (0.03125, "h5"),
        (1 / 3, "d0"),
        (LARGEST + 0.0, "i0"),
    ],
)
def test_a_column_takes_the_narrowest_kind_that_keeps_it(figure, kind):
    rows, place = one_row(power_kw=figure)

    blocks = to_blocks(rows, place)

    at = 2 * FIELD_NAMES.index("power_kw")
    assert blocks.kinds[at : at + 2] == kind


@pytest.mark.parametrize("poison", [float("inf"), -1.0, 1e308, LARGEST * 1.001])
@pytest.mark.parametrize("field", [field.name for field in FIELDS if not field.may_be_negative])
def test_what_no_judge_lets_through_is_never_packed(field, poison):
    rows, place = one_row(**{field: poison})

    with pytest.raises(UnstorableSamples, match=field):
        to_blocks(rows, place)


@pytest.mark.parametrize("field", [field.name for field in FIELDS if field.is_required])
def test_a_required_figure_is_never_absent(field):
    rows, place = one_row(**{field: float("nan")})

    with pytest.raises(UnstorableSamples, match=field):
        to_blocks(rows, place)


def test_nothing_joined_is_nothing():
    assert len(join_samples([])) == 0
