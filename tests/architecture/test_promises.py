"""Every test that the table of promises names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(test_\w+)`", TABLE)))
FILES = sorted(set(re.findall(r"`(?:tests/[\w/]*/)?(test_\w+\.py)`", TABLE)))


@pytest.fixture(scope="module")
def tests():
    return {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py")}


def test_the_tests_that_prove_the_promises_are_there(tests):
    defined = {name for text in tests.values() for name in re.findall(r"def (test_\w+)\(", text)}

    assert len(NAMED) > 50
    assert set(NAMED) <= defined
    assert set(FILES) <= tests.keys()
