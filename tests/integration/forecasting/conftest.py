"""Grids with history that the tests of a module share, and a cut library to learn from."""

from collections.abc import Iterator

import pytest

from forecasting.management.commands import backtest
from forecasting.services import training
from tests.integration.forecasting.grids import cut_library, make_grid, stored_pools


@pytest.fixture(autouse=True, scope="package")
def _few_traces() -> Iterator[None]:
    """Let models learn from a cut library; what the whole one teaches is tested where it is read."""
    library = cut_library()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "shipped_library", lambda: library)
        patch.setattr(backtest, "shipped_library", lambda: library)
        yield


@pytest.fixture(scope="module")
def stored_grid(module_db):
    with module_db():
        make_grid()


@pytest.fixture
def grid(stored_grid, db):
    """The pools of a small grid whose demand wanders."""
    return stored_pools()
