"""A page without a database says so, and when to come again."""

import pytest
from django.db import OperationalError
from django.test import RequestFactory
from psycopg_pool import PoolTimeout

from controlplane.outage import OutageMiddleware


@pytest.fixture
def middleware():
    return OutageMiddleware(lambda _request: None)


@pytest.mark.parametrize("error", [OperationalError, PoolTimeout])
def test_a_person_gets_a_page_in_both_languages_that_tries_again(middleware, error):
    request = RequestFactory().get("/grid/", headers={"accept": "text/html,*/*"})

    response = middleware.process_exception(request, error())

    assert response.status_code == 503
    assert 1 <= int(response["Retry-After"]) <= 5
    text = response.content.decode()
    assert "数据库" in text
    assert f'content="{response["Retry-After"]}"' in text


def test_a_program_gets_a_problem(middleware):
    request = RequestFactory().get("/grid/timeline.json")

    response = middleware.process_exception(request, OperationalError())

    assert response.status_code == 503
    assert response["Content-Type"] == "application/problem+json"
    assert "Retry-After" in response


def test_a_defect_of_ours_is_left_to_django(middleware):
    assert middleware.process_exception(RequestFactory().get("/"), ValueError()) is None
