"""Gives tests of monitoring senders that push, and somebody to tell."""

import pytest
import time_machine

from controlplane.auth.authentication import actor_of
from controlplane.lib import clock
from monitoring import services
from monitoring.models import WebhookTarget
from tests import wire
from tests.conftest import GRID_NOW
from tests.receiver import listening

WRITE_URL = "/api/v1/prometheus/write"


@pytest.fixture
def receiver(settings):
    """A server that writes down what it is sent; the settings trust it."""
    with listening() as made:
        settings.WEBHOOK_TRUSTED_TARGETS = [made.authority]
        yield made


@pytest.fixture
def push(provider_client):
    """Pushes a body by remote-write with beiyun's key: `push(body)`."""
    client = provider_client("beiyun")

    def send(body, *, content_type=wire.PROTOBUF, encoding="snappy", compress=True, **headers):
        payload = wire.snappy(body) if compress else body
        if encoding is not None:
            headers["HTTP_CONTENT_ENCODING"] = encoding
        return client.post(WRITE_URL, payload, content_type=content_type, **headers)

    return send


@pytest.fixture
def push_v2(push):
    """Pushes a `wire.V2Request` by remote-write 2.0."""

    def send(request, **options):
        return push(request.body(), content_type=wire.V2_TYPE, **options)

    return send


@pytest.fixture
def traveller():
    """Moves the wall clock, which stands still: `traveller.move_to(moment)`."""
    with time_machine.travel(GRID_NOW, tick=False) as made:
        yield made


@pytest.fixture
def add(grid_admin, receiver):
    """Adds a target at the receiver: `add(name="hook", ...)`."""

    def make(**terms):
        document = {"name": "hook", "url": receiver.url, **terms}
        view, _ = services.add_target(actor_of(grid_admin), document, now=clock.wall_now())
        return WebhookTarget.objects.get(pk=view.id)

    return make
