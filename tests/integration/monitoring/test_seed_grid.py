"""Seeding a demo: everything once, nothing twice, nothing outside a demo."""

import datetime as dt
import json
import stat

import pandas as pd
import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command

from controlplane.auth.authentication import actor_of
from controlplane.auth.keys import provider_of_key, revoke_keys
from controlplane.auth.models import ProviderKey
from controlplane.auth.roles import Role
from monitoring import selectors
from monitoring.models import Pool, PoolHour, Sample
from tests.conftest import GRID_NOW

pytestmark = pytest.mark.django_db
PASSWORD = "a demo password of tests"  # noqa: S105
NEW_PASSWORD = "another demo password"  # noqa: S105
WRONG_PASSWORD = "wrong"  # noqa: S105


@pytest.fixture
def var(tmp_path, settings, grid_time):
    settings.VAR_DIR = tmp_path
    settings.DEMO_PASSWORD = PASSWORD
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "endpoints.json").write_text('{"beiyun": "http://127.0.0.1:41234"}')
    (tmp_path / "simulator").mkdir()
    times = pd.date_range(GRID_NOW - dt.timedelta(days=1), periods=24, freq="1h")
    frame = pd.DataFrame({"pool": "beijing-gpu", "measured_at": times})
    frame = frame.assign(capacity=216.0, allocated=200.0, queued=20.0)
    frame.to_parquet(tmp_path / "simulator" / "history.parquet")
    return tmp_path


def seed():
    call_command("seed_grid", verbosity=0)


def test_a_first_run_fills_everything(var):
    seed()

    assert Pool.objects.count() == 17
    urls = dict(Pool.objects.values_list("code", "engine_url"))
    assert urls["beijing-gpu"] == urls["horinger-gpu"] == "http://127.0.0.1:41234"
    assert urls["wuhan-gpu"] == ""
    assert Sample.objects.filter(source="history").count() == 24
    logins = json.loads((var / "run" / "logins.json").read_text())
    assert len(logins) == 4 + 34 + 6
    assert {"username": "admin-cn-gs", "role": "REGIONAL_ADMIN", "scope": "CN-GS"} in logins
    key_file = var / "run" / "keys" / "huadong.key"
    assert provider_of_key(key_file.read_text().strip()) == "huadong"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((var / "run" / "logins.json").stat().st_mode) == 0o600


def test_every_login_opens_with_the_demo_password_in_its_role(var):
    seed()

    user = authenticate(username="admin-cn-gz", password=PASSWORD)

    actor = actor_of(user)
    assert (actor.role, actor.region_code) == (Role.REGIONAL_ADMIN, "CN-GZ")
    assert actor_of(authenticate(username="operator2", password=PASSWORD)).role is Role.OPERATOR
    assert authenticate(username="operator", password=WRONG_PASSWORD) is None


def test_a_second_run_changes_nothing(var):
    seed()
    keys = {path.name: path.read_text() for path in (var / "run" / "keys").iterdir()}
    hours = list(PoolHour.objects.values())
    passwords = list(get_user_model().objects.order_by("pk").values_list("password", flat=True))
    Pool.objects.filter(code="wuhan-gpu").update(contract=24.0)

    seed()

    assert {path.name: path.read_text() for path in (var / "run" / "keys").iterdir()} == keys
    assert ProviderKey.objects.count() == 6
    assert list(PoolHour.objects.values()) == hours
    again = get_user_model().objects.order_by("pk").values_list("password", flat=True)
    assert list(again) == passwords
    # what a grid admin has set stays
    assert Pool.objects.get(code="wuhan-gpu").contract == 24.0


def test_a_key_that_is_dead_is_replaced_and_no_stray_one_stays_live(var):
    seed()
    revoke_keys("xibu", actor="system")
    (var / "run" / "keys" / "bashu.key").unlink()

    seed()

    for code in ("xibu", "bashu"):
        key = (var / "run" / "keys" / f"{code}.key").read_text().strip()
        assert provider_of_key(key) == code
        assert ProviderKey.objects.filter(provider_code=code, revoked_at=None).count() == 1


def test_a_new_demo_password_replaces_the_old_one_everywhere(var, settings):
    seed()
    settings.DEMO_PASSWORD = NEW_PASSWORD

    seed()

    assert authenticate(username="auditor", password=PASSWORD) is None
    assert authenticate(username="auditor", password=NEW_PASSWORD) is not None


def test_without_history_the_grid_is_seeded_all_the_same(var):
    (var / "simulator" / "history.parquet").unlink()

    seed()

    assert not selectors.has_history()
    assert Pool.objects.count() == 17


def test_history_with_a_bad_sample_is_refused_whole(var):
    path = var / "simulator" / "history.parquet"
    frame = pd.read_parquet(path)
    frame.loc[3, "queued"] = -1.0
    frame.to_parquet(path)

    with pytest.raises(CommandError, match="negative"):
        seed()


def test_outside_a_demo_nothing_is_seeded(var, settings):
    settings.DEMO = False

    with pytest.raises(CommandError, match="demos only"):
        seed()

    assert not Pool.objects.exists()
