"""How points are laid out in blocks, and which of several points of a series and time stays."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitoring.formats.blocks import PointColumns, from_blocks, settle, to_blocks

point = st.tuples(
    st.integers(250, 262), st.integers(0, 3), st.sampled_from((0.0, 1.0, 2.0, math.nan))
)


def columns(points):
    series_id, measured_us, value = zip(*points, strict=True) if points else ((), (), ())
    return PointColumns(
        np.array(series_id, np.int64), np.array(measured_us, np.int64), np.array(value, np.float64)
    )


def plain(points):
    keys = zip(points.series_id.tolist(), points.measured_us.tolist(), strict=True)
    return dict(zip(keys, map(repr, points.value.tolist()), strict=True))


@given(st.lists(point, max_size=40))
def test_points_come_back_from_their_blocks(points):
    merged = settle(columns(points)).merged

    blocks, block_of = to_blocks(merged)
    read = from_blocks(
        blocks.shelf, blocks.measured_us, b"".join(blocks.members), b"".join(blocks.values)
    )

    assert plain(read) == plain(merged)
    assert len(set(zip(blocks.shelf.tolist(), blocks.measured_us.tolist(), strict=True))) == len(
        blocks
    )
    assert blocks.shelf[block_of].tolist() == (merged.series_id // 128).tolist()


@given(st.lists(point, max_size=30), st.lists(point, max_size=30))
def test_the_first_value_of_a_series_and_time_stays(stored, new):
    before = settle(columns(stored)).merged
    kept = plain(before)
    expected = []
    for series_id, at, value in new:
        is_new = (series_id, at) not in kept
        first = kept.setdefault((series_id, at), repr(value))
        expected.append((is_new, not is_new and float(first) != value and first != repr(value)))

    found = settle(columns(new), before)

    assert list(zip(found.is_new.tolist(), found.is_conflict.tolist(), strict=True)) == expected
    assert plain(found.merged) == kept
    assert int(found.gained.sum()) == sum(is_new for is_new, _ in expected)


def test_every_bit_of_a_value_is_kept():
    stale = np.array([0x7FF0000000000002, 0x8000000000000000, 1], np.uint64).view(np.float64)
    points = PointColumns(np.arange(3), np.zeros(3, np.int64), stale)

    blocks, _ = to_blocks(points)
    read = from_blocks(
        blocks.shelf, blocks.measured_us, *map(b"".join, (blocks.members, blocks.values))
    )

    assert read.value.tobytes() == stale.tobytes()
