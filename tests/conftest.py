"""Gives tests a grid clock that they control, the people of the grid and a seeded inventory."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase, override_settings
from hypothesis import settings as hypothesis_settings
from rest_framework.test import APIClient

from controlplane.auth.keys import issue_key
from controlplane.auth.roles import Role
from controlplane.lib.clock import GridClock
from monitoring import services
from tests.factories import make_person

GRID_NOW = dt.datetime(2023, 5, 26, 0, 12, tzinfo=dt.UTC)
_AUDIT_TRIGGER = "gridauth_auditentry_no_truncate"
_TABLES_OF_OUR_OWN = {"monitoring_sampleblock", "monitoring_pointblock"}
# no test changes them, and to make them anew takes longer than to empty all others
_MADE_BY_MIGRATE = {"django_content_type", "auth_permission"}

hypothesis_settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60)
hypothesis_settings.load_profile("ci")


@pytest.fixture(autouse=True, scope="session")
def _var_is_temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the folder of a running grid."""
    var = tmp_path_factory.mktemp("var")
    (var / "static").mkdir()
    with override_settings(VAR_DIR=var, STATIC_ROOT=var / "static", WATCH_FLUSH_S=0):
        yield


@pytest.fixture(autouse=True, scope="session")
def _passwords_are_quick() -> Iterator[None]:
    """Spare each login the third of a second that a stored password is to cost a thief."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Make the partitions that the tests' grid time needs."""
    with django_db_blocker.unblock():
        services.keep_partitions(GRID_NOW, since=GRID_NOW - dt.timedelta(days=60))


@pytest.fixture(scope="module")
def module_db(
    django_db_setup: None, django_db_blocker: Any
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Stores rows once for all tests of a module: `with module_db(): make_grid()`.

    Every test works on top of them in a transaction of its own, and sees nothing of what another
    test did. Objects in memory are not rolled back: read the rows anew for each test. Not for
    modules with transactional tests, which would wait for this transaction for ever.
    """
    around = transaction.atomic()
    # as Django marks its own, so that code which must be outermost runs inside
    around._from_testcase = True
    with django_db_blocker.unblock():
        around.__enter__()
    yield django_db_blocker.unblock
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)


@pytest.fixture(autouse=True, scope="session")
def _flush_reaches_guarded_tables() -> Iterator[None]:
    """Let the flush after a transactional test empty what the database guards.

    The audit table refuses TRUNCATE, and the samples are not Django's.
    """

    def fixture_teardown(self: TransactionTestCase) -> None:
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        emptied = ", ".join(sorted({*names, *_TABLES_OF_OUR_OWN} - _MADE_BY_MIGRATE))
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE gridauth_auditentry DISABLE TRIGGER {_AUDIT_TRIGGER}")
            cursor.execute(f"TRUNCATE {emptied} CASCADE")
            cursor.execute(f"ALTER TABLE gridauth_auditentry ENABLE TRIGGER {_AUDIT_TRIGGER}")

    patch = pytest.MonkeyPatch()
    patch.setattr(TransactionTestCase, "_fixture_teardown", fixture_teardown)
    yield
    patch.undo()


class GridTime:
    """A grid clock that stands still until a test moves it."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings
        self.set(GRID_NOW)

    @property
    def now(self) -> dt.datetime:
        """The present grid time."""
        return self._settings.GRID_CLOCK.at(0.0)

    def set(self, moment: dt.datetime) -> None:
        """Go to a moment."""
        self._settings.GRID_CLOCK = GridClock(anchor_grid_s=moment.timestamp(), rate=0.0)

    def advance(self, **parts: float) -> dt.datetime:
        """Go ahead, as `datetime.timedelta` takes it, and return the new time."""
        self.set(self.now + dt.timedelta(**parts))
        return self.now


@pytest.fixture
def grid_time(settings: Any) -> GridTime:
    """The grid clock, standing at 2023-05-26 08:12 in China."""
    settings.DEMO = True
    return GridTime(settings)


@pytest.fixture
def demo_inventory(db: None, settings: Any) -> dict[str, Any]:
    """The shipped inventory, registered; returns the document."""
    path = settings.FIXTURES_DIR / "grid.json"
    inventory: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    services.register_inventory(inventory, engines={})
    return inventory


@pytest.fixture
def operator(db: None) -> Any:
    """A grid operator."""
    return make_person("operator", Role.OPERATOR)


@pytest.fixture
def operator2(db: None) -> Any:
    """A second grid operator."""
    return make_person("operator2", Role.OPERATOR)


@pytest.fixture
def regional_admin(db: None) -> Callable[[str], Any]:
    """Makes the admin of a region: `regional_admin("CN-BJ")`."""

    def make(region_code: str) -> Any:
        username = f"admin-{region_code.lower()}"
        return make_person(username, Role.REGIONAL_ADMIN, region=region_code)

    return make


@pytest.fixture
def auditor(db: None) -> Any:
    """An auditor."""
    return make_person("auditor", Role.AUDITOR)


@pytest.fixture
def grid_admin(db: None) -> Any:
    """A grid admin."""
    return make_person("grid-admin", Role.GRID_ADMIN)


@pytest.fixture
def provider(db: None) -> Any:
    """A person of the provider beiyun."""
    return make_person("provider-beiyun", Role.PROVIDER, provider="beiyun")


@pytest.fixture
def outsider(db: None) -> Any:
    """Somebody who can log in but has no role."""
    return make_person("outsider", None)


@pytest.fixture
def client_of() -> Callable[[Any], APIClient]:
    """Makes an API client that is logged in as a person; CSRF is not looked at."""

    def make(user: Any) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def provider_client(db: None) -> Callable[[str], APIClient]:
    """Makes an API client that carries a live key of a provider."""

    def make(provider_code: str) -> APIClient:
        client = APIClient()
        key = issue_key(provider_code, actor="system", label="test")
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        return client

    return make
