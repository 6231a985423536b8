"""Puts files of tests that take long first, so that no worker is left alone with one at the end.

Loaded with `-p tests.plugins.long_first`. How long a file takes is told from the marks of its
tests, not from stored times, which rot. Files that take about as long stay in the order they were
shuffled into, and so do the tests of a file.
"""

import math

import pytest

SECONDS = {"supervisor": 2.0, "senders": 4.0, "browser": 2.0, "slow": 1.0, "django_db": 0.1}
SECONDS_OF_OTHERS = 0.02
# who asks for a longer time limit usually takes a tenth of it
SHARE_OF_LIMIT = 0.1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds: dict[str, float] = {}
    for item in items:
        seconds[_file_of(item)] = seconds.get(_file_of(item), 0.0) + expected_s(item)
    places = {file: place for place, file in enumerate(seconds)}
    items.sort(key=lambda item: (-_about(seconds[_file_of(item)]), places[_file_of(item)]))


def expected_s(item: pytest.Item) -> float:
    """Return about how long a test takes, in seconds."""
    marked = sum(length for name, length in SECONDS.items() if item.get_closest_marker(name))
    limit = item.get_closest_marker("timeout")
    asked = SHARE_OF_LIMIT * float(limit.args[0]) if limit is not None and limit.args else 0.0
    return marked + asked or SECONDS_OF_OTHERS


def _file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _about(seconds: float) -> int:
    return math.floor(math.log2(seconds))
