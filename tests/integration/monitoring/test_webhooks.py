"""Messages about alerts on their way: signed, grouped, tried again, and never sent inside."""

import datetime as dt
import hashlib
import hmac
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

import pytest
import time_machine

from controlplane.auth.authentication import actor_of
from controlplane.auth.models import AuditEntry
from controlplane.lib import clock
from monitoring import selectors, services, tasks, webhooks
from monitoring.domain.alerting.addresses import TargetRefused
from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerts import Finding, Severity
from monitoring.models import Alert, WebhookGroup, WebhookTarget
from monitoring.webhooks import sending
from tests.conftest import GRID_NOW
from tests.receiver import listening

pytestmark = pytest.mark.django_db
SECOND = dt.timedelta(seconds=1)
(SHORTAGE,) = (rule for rule in DEFAULT_RULES if rule.name == "FORECAST_SHORTAGE")
BEIJING = Finding("region:CN-BJ", Severity.WARNING, "CN-BJ", {"short_units": 7.0})
HUBEI = Finding("region:CN-HB", Severity.CRITICAL, "CN-HB", {"short_units": 70.0})


@pytest.fixture
def traveller():
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


def find(*findings):
    services.sync_alerts(SHORTAGE, findings, clock.now())


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


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(traveller, add, receiver, status):
    add()
    find(BEIJING)
    with listening() as inside:
        receiver.status, receiver.headers = status, {"Location": inside.url}

        services.tell_targets(clock.wall_now())

        assert inside.received == []
    assert f"answered {status}" in WebhookTarget.objects.get().last_error


def test_a_name_is_looked_at_again_when_it_is_used(traveller, add, monkeypatch, settings):
    """A name may lead outside when it is saved and inside when it is used."""
    row = add()
    WebhookTarget.objects.filter(pk=row.pk).update(url="http://rebinding.example/")
    monkeypatch.setattr(sending, "_resolve", lambda _: ["8.8.8.8", "169.254.169.254"])
    find(BEIJING)

    services.tell_targets(clock.wall_now())

    row.refresh_from_db()
    assert "169.254.169.254, which is not public" in row.last_error


def test_the_connection_goes_to_the_address_that_was_looked_at(receiver, monkeypatch, settings):
    """One look-up for each message: a second one could answer otherwise."""
    asked = []

    def resolve(host, port, **_):
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    settings.WEBHOOK_TRUSTED_TARGETS = [f"inside.example:{receiver.port}"]
    monkeypatch.setattr(sending.socket, "getaddrinfo", resolve)
    real = socket.create_connection
    monkeypatch.setattr(
        sending.socket,
        "create_connection",
        lambda address, **more: _connect(address, real, more),
    )

    webhooks.send(f"http://inside.example:{receiver.port}/x", b"{}", secret=b"s", sent_at_s=0)

    assert asked == ["inside.example"]
    (request,) = receiver.received
    assert request.headers["Host"] == f"inside.example:{receiver.port}"


def _connect(address, real, more):
    # the real one would ask the resolver again, which is patched
    assert address[0] == "127.0.0.1"
    raw = socket.socket()
    raw.settimeout(more["timeout"])
    raw.connect(address)
    return raw


def test_a_proxy_of_the_environment_is_not_used(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")

    answer = webhooks.send(receiver.url, b"{}", secret=b"s", sent_at_s=0)

    assert answer.status == 200


def test_a_long_answer_is_not_read_to_its_end(receiver):
    receiver.answer = b"x" * 5_000_000

    answer = webhooks.send(receiver.url, b"{}", secret=b"s", sent_at_s=0)

    assert len(answer.text) == sending.MAX_ANSWER_BYTES


class Trickle(http.server.BaseHTTPRequestHandler):
    """Answers a byte at a time, each in time, for ever."""

    def do_POST(self):
        self.send_response(200)
        try:
            while True:
                self.wfile.write(b"X")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


def test_an_answer_that_trickles_in_is_cut_off(monkeypatch, settings):
    monkeypatch.setattr(sending, "CONNECT_WITHIN_S", 0.2)
    monkeypatch.setattr(sending, "ANSWER_WITHIN_S", 0.3)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trickle)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings.WEBHOOK_TRUSTED_TARGETS = [f"127.0.0.1:{server.server_address[1]}"]
    began = time.monotonic()

    try:
        with pytest.raises(webhooks.NotSent):
            webhooks.send(
                f"http://127.0.0.1:{server.server_address[1]}/", b"{}", secret=b"s", sent_at_s=0
            )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert time.monotonic() - began < 3.0


@pytest.fixture
def secure_port(tmp_path, monkeypatch):
    """A TLS server whose certificate, trusted here, is for inside.example."""
    if shutil.which("openssl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no openssl is installed here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-keyout", key, "-out", certificate),
            *("-subj", "/CN=inside.example", "-addext", "subjectAltName=DNS:inside.example"),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with listening(context) as made:
        yield made.port


@pytest.mark.parametrize(
    ("host", "gets_through"), [("inside.example", True), ("other.example", False)]
)
def test_a_certificate_is_held_against_the_name(
    secure_port, monkeypatch, settings, host, gets_through
):
    settings.WEBHOOK_TRUSTED_TARGETS = [f"{host}:{secure_port}"]
    monkeypatch.setattr(sending, "_resolve", lambda _: ["127.0.0.1"])
    url = f"https://{host}:{secure_port}/hook"

    if gets_through:
        assert webhooks.send(url, b"{}", secret=b"s", sent_at_s=0).status == 200
    else:
        with pytest.raises(webhooks.NotSent, match="certificate"):
            webhooks.send(url, b"{}", secret=b"s", sent_at_s=0)


def test_a_server_without_tls_is_not_spoken_to_in_the_clear(receiver):
    with pytest.raises(webhooks.NotSent):
        webhooks.send(receiver.url.replace("http://", "https://"), b"{}", secret=b"s", sent_at_s=0)

    assert receiver.received == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/", "http://localhost/"],
)
def test_an_address_inside_is_refused_when_it_is_saved(grid_admin, url):
    with pytest.raises(TargetRefused):
        services.add_target(actor_of(grid_admin), {"name": "x", "url": url}, now=clock.wall_now())

    assert WebhookTarget.objects.count() == 0


def test_a_name_that_nobody_knows_is_refused_when_it_is_saved(grid_admin):
    with pytest.raises(webhooks.NotSent):
        services.add_target(
            actor_of(grid_admin),
            {"name": "x", "url": "https://no-such-host.invalid/"},
            now=clock.wall_now(),
        )


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


# --- the real program -----------------------------------------------------------------------


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def alertmanager(tmp_path, receiver):
    """Debian's Alertmanager, which passes on to the receiver; returns its address."""
    path = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Alertmanager is installed here")
    config = tmp_path / "alertmanager.yml"
    config.write_text(
        "route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{receiver.url}'}}]}}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = [path, f"--config.file={config}", f"--storage.path={tmp_path}"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: is_ready(address))
        yield address
    finally:
        process.terminate()
        process.wait(20)


def wait_for(condition, *, seconds=30):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)
    return answer


def is_ready(address):
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def alerts_of(address):
    with urllib.request.urlopen(f"http://{address}/api/v2/alerts", timeout=5) as response:
        return json.loads(response.read())


@pytest.mark.senders
@pytest.mark.slow
def test_a_real_alertmanager_takes_what_fires_and_its_end(
    alertmanager, receiver, grid_admin, settings
):
    settings.WEBHOOK_TRUSTED_TARGETS = [alertmanager, receiver.authority]
    url = f"http://{alertmanager}/api/v2/alerts"
    document = {"name": "manager", "url": url, "form": "alertmanager"}
    services.add_target(actor_of(grid_admin), document, now=clock.wall_now())
    find(BEIJING, HUBEI)

    assert services.tell_targets(clock.wall_now()) == 1

    known = wait_for(lambda: alerts_of(alertmanager))
    assert {alert["labels"]["region"] for alert in known} == {"CN-BJ", "CN-HB"}
    assert {alert["status"]["state"] for alert in known} <= {"active", "unprocessed"}
    wait_for(lambda: receiver.received)
    Alert.objects.update(quiet_since=clock.now() - dt.timedelta(days=1))
    find()
    assert services.tell_targets(clock.wall_now()) == 1
    wait_for(lambda: any(r.document["status"] == "resolved" for r in receiver.received))
    assert alerts_of(alertmanager) == []


@pytest.mark.senders
@pytest.mark.slow
def test_our_messages_have_the_same_shape_as_a_real_alertmanagers(
    alertmanager, receiver, grid_admin, settings
):
    settings.WEBHOOK_TRUSTED_TARGETS = [alertmanager, receiver.authority]
    admin = actor_of(grid_admin)
    theirs = {"name": "manager", "url": f"http://{alertmanager}/api/v2/alerts"}
    services.add_target(admin, theirs | {"form": "alertmanager"}, now=clock.wall_now())
    find(BEIJING, HUBEI)
    services.tell_targets(clock.wall_now())
    wait_for(lambda: receiver.received and len(receiver.received[-1].document["alerts"]) == 2)
    their_body = receiver.received[-1].document
    receiver.take()
    services.add_target(admin, {"name": "hook", "url": receiver.url}, now=clock.wall_now())

    services.tell_targets(clock.wall_now())

    our_body = next(r.document for r in receiver.received if r.document["receiver"] == "hook")
    assert shape(our_body) == shape(their_body)
    same = ("version", "status", "groupKey", "groupLabels", "commonLabels", "truncatedAlerts")
    assert {name: our_body[name] for name in same} == {name: their_body[name] for name in same}
    for ours, other in zip(by_region(our_body), by_region(their_body), strict=True):
        for name in ("status", "labels", "annotations", "endsAt", "generatorURL"):
            assert ours[name] == other[name]


def by_region(body):
    return sorted(body["alerts"], key=lambda alert: alert["labels"]["region"])


def shape(value):
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


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
