"""Hypothesis strategies that several test modules share."""

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from monitoring.domain.samples import FIELD_NAMES

UTC_MOMENTS = st.datetimes(
    min_value=dt.datetime(2000, 1, 1),  # noqa: DTZ001 (the zone is added by `timezones`)
    max_value=dt.datetime(2099, 12, 31),  # noqa: DTZ001
    timezones=st.just(dt.UTC),
)
# what a hostile or broken sender may put where a number belongs
NOT_PLAIN_NUMBERS: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.text(max_size=8),
    st.sampled_from(["1_000", " 7 ", "١٢", "１２", "0x10", "NaN", "1e5"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
UNITS = st.one_of(
    st.integers(0, 10**9),
    st.floats(0, 1e9, allow_nan=False, allow_infinity=False),
)


def good_samples(pool: str, moment: dt.datetime) -> st.SearchStrategy[dict[str, Any]]:
    """Samples of one pool at one time that a grid takes."""
    return st.fixed_dictionaries(
        {
            "pool": st.just(pool),
            "measured_at": st.just(moment.isoformat()),
            **dict.fromkeys(FIELD_NAMES[:3], UNITS),
        },
        optional={name: st.one_of(st.none(), UNITS) for name in FIELD_NAMES[3:]},
    )
