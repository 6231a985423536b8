"""The quick reader of remote-write against the one that reads field by field."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.points import NO_FAULT
from monitoring.formats import remote_write
from monitoring.formats.heads import HeadMemory, decode_known
from monitoring.formats.protobuf import MalformedProtobuf
from monitoring.formats.remote_write import Message
from tests import wire

AT_MS = 1_700_000_000_000
# the bytes of a sample, as the end of a label
LOOKS_LIKE_A_SAMPLE = b"\x12\x10\x09" + b"\x20" * 8 + b"\x10\x01\x01\x01\x01\x01\x01"
texts = st.sampled_from(("up", "a", "b", "job", "节点", "x" * 130, "\x12\x07\x10", "\x12\x10\t"))
labels = st.dictionaries(texts, texts | st.just(""), max_size=4).map(
    lambda found: {"__name__": "up"} | found
)
times = st.integers(AT_MS, AT_MS + 10) | st.sampled_from((0, -1, 5, 2**35, 2**42 - 1, 2**42))
values = st.sampled_from((0.0, -0.0, 1.5, float("nan"), float("inf"))) | st.floats(width=64)
series = st.tuples(labels, st.lists(st.tuples(times, values), max_size=3))


def facts(points):
    """What a body says, whatever reads it."""
    return (
        [dict(points.series[number]) for number in points.series_of.tolist()],
        points.measured_us.tolist(),
        points.value.tobytes(),
        points.fault.tolist(),
        points.origin.tolist(),
        points.is_histogram.tolist(),
        points.exemplars,
    )


def both(body, memory):
    """Read a body in both ways; None stands for a refusal."""
    found = []
    for known in (None, memory):
        try:
            found.append(facts(remote_write.decode(body, Message.V1, known)))
        except MalformedProtobuf:
            found.append(None)
    return found


@given(st.lists(st.lists(series, max_size=4), min_size=1, max_size=3))
def test_what_is_remembered_changes_nothing_that_is_read(requests):
    memory = HeadMemory()

    for request in requests:
        slow, quick = both(wire.write_v1(request), memory)

        assert quick == slow


@given(st.lists(series, min_size=1, max_size=3), st.data())
def test_a_body_that_is_spoilt_reads_the_same_in_both_ways(request, data):
    memory = HeadMemory()
    body = bytearray(wire.write_v1(request))
    both(bytes(body), memory)
    for _ in range(data.draw(st.integers(1, 2))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))

    slow, quick = both(bytes(body[:cut] if cut % 3 == 0 else body), memory)

    assert quick == slow


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"\x12\x10\x09" + b"\x20" * 8 + b"\x10" + b"\x81" * 5 + b"\x01", id="sample"),
        pytest.param(b"\x12\x07\x10" + b"\x81" * 5 + b"\x01", id="short sample"),
        pytest.param(LOOKS_LIKE_A_SAMPLE, id="other time"),
    ],
)
def test_a_label_that_ends_like_a_sample_is_a_label(end):
    pair = b"\x0a\x01a\x12" + bytes([len(end)]) + end
    inner = b"\x0a" + bytes([len(pair)]) + pair
    body = b"\x0a" + bytes([len(inner)]) + inner

    slow, quick = both(body * 3, HeadMemory())

    assert quick == slow


def test_a_label_that_looks_like_a_sample_at_the_very_end_is_read_as_it_is():
    request = [({"__name__": "up", "up": "\x12\x07\x10"}, [(AT_MS, 0.0)])]

    slow, quick = both(wire.write_v1(request), HeadMemory())

    assert quick == slow
    assert slow is not None


def test_an_ordinary_body_is_read_by_what_is_remembered():
    memory = HeadMemory()
    request = [({"__name__": "up", "n": str(n)}, [(AT_MS, float(n % 3))]) for n in range(300)]
    body = wire.write_v1(request)

    first, second = decode_known(body, memory), decode_known(body, memory)

    assert len(memory) == 300
    assert facts(first) == facts(second) == facts(remote_write.decode(body, Message.V1))
    assert second.spelling.tolist() == list(range(300))
    assert (second.fault == NO_FAULT).all()


def test_several_samples_of_a_series_are_read_under_one_spelling():
    memory = HeadMemory()
    samples = [(AT_MS, 1.0), (AT_MS + 1, 0.0), (AT_MS + 2, 3.0)]

    found = decode_known(wire.write_v1([({"__name__": "up"}, samples)]), memory)

    assert found.value.tolist() == [1.0, 0.0, 3.0]
    assert found.series_of.tolist() == [0, 0, 0]
    assert len(memory) == 1


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"\x1a\x00", id="exemplar"),
        pytest.param(b"\x22\x00", id="histogram"),
        pytest.param(b"\x38\x01", id="unknown field"),
    ],
)
def test_what_is_not_of_the_usual_shape_is_left_to_the_other_reader(tail):
    pair = b"\x0a\x08__name__\x12\x02up"
    sample = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + b"\x80" * 5 + b"\x01"
    inner = b"\x0a" + bytes([len(pair)]) + pair + b"\x12" + bytes([len(sample)]) + sample + tail
    body = b"\x0a" + bytes([len(inner)]) + inner

    assert decode_known(body, HeadMemory()) is None
    slow, quick = both(body, HeadMemory())
    assert quick == slow


def test_noted_keys_hold_for_their_epoch_only():
    memory = HeadMemory()
    spellings = np.array([memory.learn(b"a"), memory.learn(b"b")])
    memory.note(spellings, np.array([7, 8]), 1)

    assert memory.series_ids(spellings, 1).tolist() == [7, 8]
    assert memory.series_ids(spellings, 2).tolist() == [0, 0]
    assert memory.series_ids(spellings, None).tolist() == [0, 0]
    memory.note(spellings[:1], np.array([9]), 2)
    memory.note(spellings, np.array([5, 5]), 1)
    assert memory.series_ids(spellings, 2).tolist() == [9, 0]
    assert memory.series_ids(np.array([-1, 5000]), 2).tolist() == [0, 0]
