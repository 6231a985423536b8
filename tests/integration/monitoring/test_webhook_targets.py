"""Where messages about alerts may go: never inside, never elsewhere, never for long."""

import http.server
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from controlplane.auth.authentication import actor_of
from controlplane.lib import clock
from monitoring import services, webhooks
from monitoring.domain.alerting.addresses import TargetRefused
from monitoring.models import WebhookTarget
from monitoring.webhooks import sending
from tests.findings import BEIJING, find
from tests.receiver import listening

pytestmark = pytest.mark.django_db


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
