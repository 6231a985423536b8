"""Finds the machine's Chromium for tests marked `browser`: loaded with `-p tests.plugins.browser`.

Where there is none these tests are skipped and say so; in CI they fail, for there a skipped test
would pass for a tested page.
"""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium on PATH (Debian: apt install chromium fonts-noto-cjk)"


def find_chromium() -> str | None:
    """Return the path of the machine's Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") is None or find_chromium() is not None:
        return
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return the path that Playwright takes as `executable_path`."""
    path = find_chromium()
    if path is None:
        pytest.skip(MISSING)
    return path
