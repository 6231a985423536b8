"""What is kept of stored rows: good for one version, bounded, the least used go first."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.lib.recent import Recent


def test_what_was_made_of_another_version_is_not_given():
    recent = Recent(most_bytes=100)
    recent.put("day", "old", version=1, size_bytes=10)

    recent.put("day", "new", version=2, size_bytes=20)

    assert recent.get("day", version=1) is None
    assert recent.get("day", version=2) == "new"
    assert recent.size_bytes == 20


def test_what_was_not_asked_for_the_longest_time_goes_first():
    recent = Recent(most_bytes=25)
    for key in ("a", "b"):
        recent.put(key, key, version=1, size_bytes=10)
    recent.get("a", version=1)

    recent.put("c", "c", version=1, size_bytes=10)

    assert [recent.get(key, version=1) for key in "abc"] == ["a", None, "c"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=60))
def test_it_never_keeps_more_than_it_may(puts):
    recent = Recent(most_bytes=100)

    for key, size_bytes in puts:
        recent.put(key, key, version=1, size_bytes=size_bytes)

        assert 0 <= recent.size_bytes <= 100
