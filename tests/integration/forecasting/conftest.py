"""A grid with history that the tests of a module share, and few traces to learn from."""

import pytest

from forecasting.services import training
from tests.integration.forecasting.grids import cut_library, make_grid, stored_pools


@pytest.fixture(autouse=True, scope="module")
def _few_traces():
    """Trainings learn from few of the shipped traces; `backtest` reads them all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "shipped_library", cut_library)
        yield


@pytest.fixture(scope="module")
def stored_grid(module_db):
    with module_db():
        make_grid()


@pytest.fixture
def grid(stored_grid, db):
    """The pools of a small grid whose demand wanders."""
    return stored_pools()
