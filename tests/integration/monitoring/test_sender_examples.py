"""The examples of the API document are what a sender may send, and what it is answered."""

import base64
import json

import pytest
from django.core.management import call_command

from monitoring.api import sender_examples
from monitoring.domain.samples import to_us
from monitoring.models import PoolState
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory

pytestmark = pytest.mark.django_db
OTLP = "/api/v1/otlp/v1/metrics"
# the time that the examples carry
EXAMPLE_AT = GRID_NOW.replace(hour=16, minute=5, day=25)


@pytest.fixture
def pool(grid_time):
    grid_time.set(EXAMPLE_AT)
    return PoolFactory(code="beijing-gpu")


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    target = tmp_path_factory.mktemp("api") / "schema.json"
    call_command("spectacular", fail_on_warn=True, format="openapi-json", file=str(target))
    return json.loads(target.read_text())


def now_of(pool):
    state = PoolState.objects.get(pool=pool)
    return state.capacity, state.allocated, state.queued, to_us(state.measured_at)


def test_the_bodies_of_remote_write_are_stored_as_they_stand(pool, push):
    answers = [
        push(base64.b64decode(sender_examples.V1_BODY), compress=False),
        push(base64.b64decode(sender_examples.V2_BODY), compress=False, content_type=wire.V2_TYPE),
    ]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert now_of(pool) == (216.0, 200.0, 40.0, to_us(EXAMPLE_AT))
    assert answers[1]["X-Prometheus-Remote-Write-Samples-Written"] == "3"


def test_the_body_of_otlp_is_stored_as_it_stands(pool, provider_client):
    answer = provider_client("beiyun").post(OTLP, sender_examples.OTLP_BODY, format="json")

    assert (answer.status_code, answer.json()) == (200, {})
    assert now_of(pool) == (216.0, 200.0, 40.0, to_us(EXAMPLE_AT))


def test_the_answers_look_as_the_document_says(pool, push, provider_client):
    bad = [({"__name__": "up"}, [(to_us(EXAMPLE_AT) // 1000 - 10**9, 1.0)])]
    partly = json.loads(json.dumps(sender_examples.OTLP_BODY))
    points = partly["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][2]["gauge"]["dataPoints"]
    points[0]["timeUnixNano"] = "1684030700000000000"

    refused = push(wire.write_v1(bad)).json()
    partial = provider_client("beiyun").post(OTLP, partly, format="json").json()

    shown = {example.name: example.value for example in sender_examples.WRITE_EXAMPLES}
    assert refused.keys() == shown["partly written"].keys()
    assert refused["errors"][0].keys() == shown["partly written"]["errors"][0].keys()
    (otlp,) = (one.value for one in sender_examples.OTLP_EXAMPLES if one.name == "partial success")
    assert partial == otlp


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/api/v1/prometheus/write", "X-Prometheus-Remote-Write-Samples-Written"),
        ("/api/v1/otlp/v1/metrics", "Retry-After"),
    ],
)
def test_the_document_shows_headers_bodies_and_answers(document, path, told):
    operation = document["paths"][path]["post"]
    contents = [operation["requestBody"], *operation["responses"].values()]
    examples = [
        name
        for content in contents
        for media in content.get("content", {}).values()
        for name in media.get("examples", {})
    ]
    answers = operation["responses"].values()
    headers = {name for answer in answers for name in answer.get("headers", {})}

    assert len(examples) >= 4
    assert told in headers
    assert {"Content-Encoding"} <= {one["name"] for one in operation["parameters"]}
    assert {"400", "413", "415", "429", "503"} <= operation["responses"].keys()
