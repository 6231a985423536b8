"""Whatever the API document allows, and what it does not, is answered without a server error."""

import os
import types
from urllib.parse import quote, urlencode

import orjson
import pytest
from django.db import transaction
from django.test import override_settings
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from rest_framework.test import APIClient

from controlplane.auth.key_cache import known_keys
from controlplane.auth.keys import issue_key
from controlplane.auth.roles import Role
from controlplane.lib.clock import GridClock
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_person

try:
    import schemathesis
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("schemathesis is not installed", allow_module_level=True)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PROTOBUF, OCTETS = "application/x-protobuf", "application/octet-stream"
# an answer that says "not now" on purpose
EXPECTED = frozenset({503})


def operations():
    text = orjson.dumps(SchemaGenerator().get_schema(public=True), default=str)
    # schemathesis makes bytes of this type only; they are sent as what they stand for
    document = orjson.loads(text.replace(PROTOBUF.encode(), OCTETS.encode()))
    schema = schemathesis.openapi.from_dict(document)
    return [result.ok() for result in schema.get_all_operations()]


OPERATIONS = operations()


@pytest.fixture(scope="module")
def acting(module_db):
    """A client with a provider's key, and one of a person of each role that acts."""
    clock = GridClock(anchor_grid_s=GRID_NOW.timestamp(), rate=0.0)
    with override_settings(DEMO=True, GRID_CLOCK=clock), module_db():
        PoolFactory()
        by_key = APIClient()
        key = issue_key("beiyun", actor="system")
        by_key.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        found = [by_key]
        for role in (Role.OPERATOR, Role.GRID_ADMIN):
            client = APIClient()
            client.force_login(make_person(f"any-{role.value.lower()}", role))
            found.append(client)
    return found


@pytest.fixture
def callers(acting, db, grid_time):
    known_keys.forget()
    return acting


def send(client, case):
    path = case.formatted_path
    if case.query:
        path += "?" + urlencode(case.query, doseq=True)
    headers = {name: quote(str(value)) for name, value in (case.headers or {}).items()}
    headers.pop("Authorization", None)
    kind = (case.media_type or "application/json").replace(OCTETS, PROTOBUF)
    body = b""
    if not isinstance(case.body, type(schemathesis.core.NOT_SET)):
        raw = getattr(case.body, "data", case.body)
        body = raw if isinstance(raw, bytes) else orjson.dumps(raw, default=str)
    return client.generic(case.method, path, body, content_type=kind, headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_nothing_that_is_sent_breaks_the_server(operation, callers):
    examples = types.SimpleNamespace(sent=0)

    @settings(
        max_examples=4,
        # what fails is shown as it came: making it smaller takes longer than finding it
        phases=(Phase.generate,),
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case):
        for client in callers:
            with transaction.atomic():
                response = send(client, case)
                transaction.set_rollback(True)
            assert response.status_code < 500 or response.status_code in EXPECTED, response.content
            examples.sent += 1

    run()

    assert examples.sent >= 3


def test_every_path_of_the_api_is_in_the_document():
    paths = {operation.path for operation in OPERATIONS}

    assert len(paths) >= 40
    assert {"/api/v1/telemetry", "/api/v1/provider/status", "/api/v1/mapping/check"} <= paths
