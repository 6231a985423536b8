"""A grid of which nothing is known yet has no forecast, and says so."""

import pytest

from forecasting import selectors, services
from tests.integration.forecasting.grids import NOW, SMALL

pytestmark = pytest.mark.django_db


def test_nothing_is_issued_before_anything_is_known(db):
    assert services.refresh(NOW) is None
    assert services.train(NOW, rules=SMALL) is None
    assert selectors.latest_run(NOW) is None


def test_there_is_a_404_before_the_first_run(client_of, operator, grid_time):
    assert client_of(operator).get("/api/v1/forecasts").status_code == 404
