"""Several web processes: one port, one sum of metrics."""

import os
import socket
import subprocess
import sys

import pytest
from django.test import RequestFactory

from controlplane import health
from controlplane.runtime.folder import RunFolder, RuntimeProblem, is_port_free
from controlplane.runtime.stack import Servers, tiaodu_stack, web_processes
from controlplane.runtime.web import shared_listener

COUNTS = """
from prometheus_client import Counter
Counter("tiaodu_probe_total", "for a test").inc(3)
"""


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connects(port):
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_when_one_listener_dies_the_others_go_on_at_the_same_port(port):
    first, second = (shared_listener("127.0.0.1", port) for _ in range(2))

    first.close()
    answers = {connects(port) for _ in range(20)}

    assert answers == {True}
    second.close()
    assert not connects(port)


def test_a_port_that_somebody_else_listens_on_is_not_shared(port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()

        with pytest.raises(OSError, match="in use"):
            shared_listener("127.0.0.1", port)
        assert not is_port_free(port)


@pytest.mark.parametrize(("text", "count"), [("", 1), ("1", 1), (" 2 ", 2), ("64", 64)])
def test_the_number_of_web_processes_is_read(text, count):
    assert web_processes({"TIAODU_WEB_PROCESSES": text}) == count


@pytest.mark.parametrize("text", ["0", "65", "two", "-1", "٣", "1.5"])
def test_a_number_of_web_processes_that_makes_no_sense_is_refused(text):
    with pytest.raises(RuntimeProblem, match="TIAODU_WEB_PROCESSES"):
        web_processes({"TIAODU_WEB_PROCESSES": text})


def test_further_web_processes_are_children_like_the_first(tmp_path, port):
    folder = RunFolder(tmp_path)
    folder.make()
    old = folder.run / "metrics" / "counter_1.db"
    old.parent.mkdir()
    old.write_bytes(b"of the last run")
    servers = Servers("postgres://x", "redis://x", (), ())

    specs = tiaodu_stack(folder, servers, environment={"TIAODU_WEB_PROCESSES": "3"}, web_port=port)

    webs = [spec for spec in specs if spec.name.startswith("web")]
    assert [spec.name for spec in webs] == ["web", "web-2", "web-3"]
    assert {spec.command for spec in webs} == {webs[0].command}
    homes = {spec.environment.get("PROMETHEUS_MULTIPROC_DIR") for spec in webs}
    assert homes == {str(old.parent)}
    assert not old.exists()


def test_the_metrics_of_all_processes_are_shown_together(tmp_path, settings):
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNTS], env=environment, check=True)
    settings.METRICS_DIR = str(tmp_path)

    shown = health.metrics(RequestFactory().get("/metrics")).content.decode()

    assert "tiaodu_probe_total 6.0" in shown
