"""Messages about alerts on their way: signed, grouped, tried again, and seen by people."""

import datetime as dt
import hashlib
import hmac
import json
import socket

import pytest

from controlplane.auth.models import AuditEntry
from controlplane.lib import clock
from monitoring import selectors, services, tasks
from monitoring.models import Alert, WebhookGroup, WebhookTarget
from tests.conftest import GRID_NOW
from tests.findings import BEIJING, HUBEI, find

pytestmark = pytest.mark.django_db
SECOND = dt.timedelta(seconds=1)


def test_a_message_is_signed_and_linked(traveller, add, receiver, settings):
    settings.EXTERNAL_URL = "https://grid.example"
    row = add()
    find(BEIJING)

    assert services.tell_targets(clock.wall_now()) == 1

    (request,) = receiver.received
    signed = hmac.new(
        services.secret_of(row).encode(),
        request.headers["X-Tiaodu-Timestamp"].encode() + b"." + request.body,
        hashlib.sha256,
    )
    assert request.headers["X-Tiaodu-Signature"] == f"sha256={signed.hexdigest()}"
    assert request.headers["X-Tiaodu-Timestamp"] == str(int(GRID_NOW.timestamp()))
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Host"] == receiver.authority
    assert request.path == "/hook"
    body = request.document
    assert body["externalURL"] == "https://grid.example"
    (alert,) = body["alerts"]
    assert alert["generatorURL"] == "https://grid.example/alerts/#FORECAST_SHORTAGE"
    assert alert["fingerprint"] == Alert.objects.get().fingerprint
    assert alert["annotations"]["summary_en"].startswith("CN-BJ may be short of 7 units")


def test_alerts_are_grouped_resent_and_ended_once(traveller, add, receiver):
    add(resend_s=600, group_interval_s=30)
    find(BEIJING, HUBEI)
    story = []
    for second in range(0, 4500, 30):
        traveller.move_to(GRID_NOW + second * SECOND)
        find(*([BEIJING, HUBEI] if second < 90 else []))
        services.tell_targets(clock.wall_now())
        story += [(second, body["status"], len(body["alerts"])) for body in receiver.take()]

    assert story[0] == (0, "firing", 2)
    assert story[1:-1] == [(at, "firing", 2) for at in range(600, 3690, 600)]
    # the rule keeps firing for an hour of quiet, which began at 90 s
    assert story[-1] == (3690, "resolved", 2)
    assert WebhookGroup.objects.count() == 0


def test_a_target_that_fails_is_tried_again_ever_more_slowly(traveller, add, receiver):
    row = add()
    find(BEIJING)
    receiver.status = 503
    tries = []
    for second in range(64):
        traveller.move_to(GRID_NOW + second * SECOND)
        services.tell_targets(clock.wall_now())
        tries += [second] * len(receiver.take())

    row.refresh_from_db()
    assert tries == [0, 2, 6, 14, 30, 62]
    assert (row.failures, row.failed_count, row.sent_count) == (6, 6, 0)
    assert "answered 503" in row.last_error
    assert row.next_try_at == GRID_NOW + (62 + 64) * SECOND
    receiver.status = 200
    traveller.move_to(row.next_try_at)
    assert services.tell_targets(clock.wall_now()) == 1
    row.refresh_from_db()
    assert (row.failures, row.sent_count, row.last_ok_at) == (0, 1, clock.wall_now())


def test_nothing_is_forgotten_over_a_long_outage(traveller, add, receiver):
    add(resend_s=60)
    find(BEIJING)
    services.tell_targets(clock.wall_now())
    receiver.take()
    receiver.status = 500
    for hour in range(1, 5):
        traveller.move_to(GRID_NOW + hour * 3600 * SECOND)
        find()
        services.tell_targets(clock.wall_now())
    receiver.take()
    receiver.status = 200
    traveller.move_to(GRID_NOW + 6 * 3600 * SECOND)

    services.tell_targets(clock.wall_now())

    (body,) = receiver.take()
    assert body["status"] == "resolved"


def test_a_process_that_dies_after_sending_tells_again(traveller, add, receiver, monkeypatch):
    add()
    find(BEIJING)

    def die(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("monitoring.services.webhooks._note_success", die)
        with pytest.raises(SystemExit):
            services.tell_targets(clock.wall_now())
    services.tell_targets(clock.wall_now())

    assert len(receiver.take()) == 2


def test_one_target_that_fails_keeps_nothing_from_another(traveller, add, receiver):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    broken = add()
    WebhookTarget.objects.filter(pk=broken.pk).update(url=f"http://127.0.0.1:{port}/")
    add(name="other")
    find(BEIJING)

    sent = services.tell_targets(clock.wall_now())

    assert sent == 1
    assert len(receiver.take()) == 1
    broken.refresh_from_db()
    assert broken.failures == 1


def test_a_disabled_target_hears_nothing(traveller, add, receiver):
    add(is_enabled=False)
    find(BEIJING)

    assert services.tell_targets(clock.wall_now()) == 0


def test_the_loop_tells(traveller, add, receiver):
    add()
    find(BEIJING)

    tasks.tell_targets()

    assert len(receiver.take()) == 1


def test_secrets_differ_and_are_nowhere_stored(add):
    one, other = add(), add(name="other")

    secrets = [services.secret_of(row) for row in (one, other)]

    assert secrets[0] != secrets[1]
    stored = json.dumps(list(WebhookTarget.objects.values()), default=str)
    audited = json.dumps(list(AuditEntry.objects.values("payload")), default=str)
    assert not any(secret in stored or secret in audited for secret in secrets)


def test_the_audit_names_the_host_only(add, receiver):
    add()

    entry = AuditEntry.objects.get(action="add-webhook")
    assert entry.payload["host"] == receiver.authority
    assert "/hook" not in json.dumps(entry.payload)


def test_health_is_visible(traveller, add, receiver, client_of, grid_admin, auditor):
    add()
    receiver.status = 500
    find(BEIJING)
    services.tell_targets(clock.wall_now())

    (target,) = client_of(grid_admin).get("/api/v1/webhooks").json()["webhooks"]
    (masked,) = client_of(auditor).get("/api/v1/webhooks").json()["webhooks"]

    assert (target["failures"], target["failed_count"]) == (1, 1)
    assert "answered 500" in target["last_error"]
    assert target["url"] == receiver.url
    assert masked["url"] == "http://127.0.0.1"
    assert selectors.webhook_targets()[0].last_ok_at is None
