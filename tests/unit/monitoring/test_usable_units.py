"""What may be planned on at most, for every pool alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.headroom import usable_units

SIZES = st.floats(0, 1e6)


@given(capacity=SIZES, contract=SIZES, reserve=SIZES)
def test_usable_capacity_is_never_negative_nor_more_than_declared_or_contracted(
    capacity, contract, reserve
):
    usable = usable_units(capacity, contract=contract, reserve=reserve)

    assert usable is not None
    assert 0.0 <= usable <= min(capacity, contract)


@pytest.mark.parametrize("contract", [0.0, 10.0])
def test_an_unknown_capacity_stays_unknown(contract):
    assert usable_units(None, contract=contract, reserve=0.0) is None
