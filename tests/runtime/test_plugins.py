"""The plugins of the test run keep their promises, seen in runs of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# Of what is installed only this is loaded: the rest takes longer than the tests.
PLUGINS = ("-p", "xdist", "-p", "no:cacheprovider")


def pytest_command(folder, *options):
    return [
        *(sys.executable, "-m", "pytest", *PLUGINS, "-q", "-c", os.devnull),
        *("--rootdir", str(folder), str(folder), *options),
    ]


def environment_of(**more):
    hidden = {"DATABASE_URL", "DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS"}
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in hidden and not name.startswith("PYTEST_")
    }
    return {**own, "PYTHONPATH": str(PROJECT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **more}


def run_tests(folder, text, *options, **environment):
    (folder / "test_inner.py").write_text(textwrap.dedent(text))
    done = subprocess.run(
        pytest_command(folder, *options),
        env=environment_of(**environment),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def postgres_pids(folder):
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/postgres") and os.fsencode(folder) in b" ".join(words):
                pids.append(int(entry.name))
    return pids


@pytest.mark.supervisor
def test_all_workers_share_one_server_that_is_gone_afterwards(tmp_path):
    text = """
        import os, pathlib, psycopg, pytest

        @pytest.mark.parametrize("number", range(4))
        def test_server(number):
            here = pathlib.Path(os.environ["SEEN"])
            with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
                (here / str(number)).write_text(row[0])
    """

    code, said = run_tests(
        tmp_path, text, "-p", "tests.plugins.embedded_postgres", "-n", "2", SEEN=str(tmp_path)
    )

    assert code == 0, said
    folders = {(tmp_path / str(number)).read_text() for number in range(4)}
    assert len(folders) == 1
    assert not Path(folders.pop()).exists()


@pytest.mark.supervisor
def test_the_server_ends_when_pytest_is_killed_and_the_next_run_clears_its_data(tmp_path):
    text = """
        import os, pathlib, psycopg, time

        def test_hang():
            with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
            pathlib.Path(os.environ["SEEN"], "folder").write_text(row[0])
            time.sleep(60)
    """
    (tmp_path / "test_inner.py").write_text(textwrap.dedent(text))
    plugin = ("-p", "tests.plugins.embedded_postgres")
    killed = subprocess.Popen(
        pytest_command(tmp_path, *plugin),
        env=environment_of(SEEN=str(tmp_path)),
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "folder").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    folder = (tmp_path / "folder").read_text()
    assert postgres_pids(folder)

    killed.send_signal(signal.SIGKILL)
    killed.wait()

    while postgres_pids(folder):
        assert time.monotonic() < deadline + 10
        time.sleep(0.05)
    code, said = run_tests(tmp_path, "def test_nothing():\n    pass\n", *plugin)
    assert code == 0, said
    assert not Path(folder).exists()


def test_a_named_server_is_used_and_none_is_started(tmp_path):
    text = """
        import os

        def test_address():
            assert os.environ["DATABASE_URL"] == "postgresql://127.0.0.1:1/named"
    """

    code, said = run_tests(
        tmp_path,
        text,
        *("-p", "tests.plugins.embedded_postgres"),
        DATABASE_URL="postgresql://127.0.0.1:1/named",
    )

    assert code == 0, said


@pytest.mark.parametrize(
    ("is_ci", "code", "word"),
    [pytest.param("true", 1, "1 error", id="ci"), pytest.param("", 0, "1 skipped", id="elsewhere")],
)
def test_browser_tests_without_a_browser_fail_in_ci_and_are_skipped_elsewhere(
    tmp_path, is_ci, code, word
):
    text = """
        import pytest

        @pytest.mark.browser
        def test_page():
            raise AssertionError("must not run")
    """

    answer, said = run_tests(
        tmp_path, text, *("-ra", "-p", "tests.plugins.browser"), CI=is_ci, PATH=str(tmp_path)
    )

    assert answer == code
    assert word in said
    assert "no Chromium on PATH" in said
