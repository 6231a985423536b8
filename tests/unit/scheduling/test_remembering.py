"""The memory of a plan survives storage; what cannot be read is as if it were not there."""

import datetime as dt
import zlib

import numpy as np
import pytest

from scheduling.domain.planner.outcome import PlanMemory
from scheduling.domain.remembering import pack_memory, unpack_memory

MEMORY = PlanMemory(
    starts_at=dt.datetime(2023, 5, 26, tzinfo=dt.UTC),
    slotted={"capacity[a]": np.array([0.5, 0.0, 1.25])},
    single={"max_out[CN-BJ]": 2.5},
    starts=(("g", "a", 3, 2),),
)


def test_a_memory_is_read_as_it_was_written():
    again = unpack_memory(pack_memory(MEMORY))

    assert again.starts_at == MEMORY.starts_at
    assert again.slotted["capacity[a]"].tolist() == [0.5, 0.0, 1.25]
    assert (again.single, again.starts) == (MEMORY.single, MEMORY.starts)


def test_the_same_memory_gives_the_same_bytes():
    assert pack_memory(MEMORY) == pack_memory(unpack_memory(pack_memory(MEMORY)))


@pytest.mark.parametrize("packed", [b"", b"nonsense", zlib.compress(b"[]"), zlib.compress(b"{}")])
def test_what_cannot_be_read_is_no_memory(packed):
    assert unpack_memory(packed) is None
