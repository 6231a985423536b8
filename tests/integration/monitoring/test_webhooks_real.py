"""Debian's own Alertmanager takes our alerts, and makes the same messages of them."""

import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from controlplane.auth.authentication import actor_of
from controlplane.lib import clock
from monitoring import services
from monitoring.models import Alert
from tests.findings import BEIJING, HUBEI, find

pytestmark = [pytest.mark.django_db, pytest.mark.senders, pytest.mark.slow]


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
