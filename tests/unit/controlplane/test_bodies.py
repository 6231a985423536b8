"""Strict JSON: what is clear is read as any reader would, what is not is refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.lib.bodies import MalformedBody, strict_json

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON_VALUES, st.sampled_from([None, 1]))
def test_clear_json_is_read_as_any_reader_does(value, indent):
    assert strict_json(json.dumps(value, indent=indent).encode()) == value


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 3))
def test_a_key_that_comes_twice_is_refused_at_any_depth(key, depth):
    name = json.dumps(key)
    body = '[{"a": ' * depth + f"{{{name}: 1, {name} : 2}}" + "}]" * depth

    with pytest.raises(MalformedBody, match="twice"):
        strict_json(body.encode())


def test_a_number_beyond_floats_is_infinite_for_the_caller_to_refuse():
    assert strict_json(b'{"a": 1e400}') == {"a": math.inf}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"[NaN]",
        b"[Infinity]",
        b"[-Infinity]",
        b"[01]",
        b"[1_000]",
        b"[0x10]",
        b"['a']",
        b"[1,]",
        b"[1] [2]",
        b"\xef\xbb\xbf[]",
        b"\xff\xfe[\x00]\x00",
        b"[" + b"9" * 5_000 + b"]",
        b'["\x00"]',
    ],
)
def test_what_is_not_json_is_refused(body):
    with pytest.raises(MalformedBody):
        strict_json(body)
