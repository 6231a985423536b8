"""The short way of a read: the same answer as the long one, and nothing for who may not have it."""

import asyncio
import datetime as dt

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection

from controlplane.auth.keys import issue_key, live_key, revoke_keys
from controlplane.auth.models import Membership, ProviderKey
from controlplane.auth.questions import Answer
from controlplane.lib import clock
from controlplane.short_way import ARROW, ReadingDesk, ShortWay
from monitoring.urls import short_reads
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_pool, report, sample

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid_time")]
PLAIN = {"host": "localhost"}
READS = (
    *("telemetry/newest", "telemetry/hours?by=region", "telemetry/samples?pool=beijing-gpu"),
    *("regions", "sites", "pools", "pools?region=CN-HB", "pools/beijing-gpu"),
)
BULK = [what for what in READS if what.startswith("telemetry/")]


@pytest.fixture
def desk():
    return ReadingDesk({f"/api/v1/{path}": read for path, read in short_reads.items()})


@pytest.fixture
def reported():
    """Two pools of two providers with samples."""
    for pool in (
        PoolFactory(code="beijing-gpu"),
        make_pool("wuhan-gpu", region="CN-HB", provider="jingchu"),
    ):
        rows = [sample(pool.code, GRID_NOW - dt.timedelta(minutes=20 * n)) for n in range(9)]
        report(pool.site.provider_id, rows, now=GRID_NOW)


def scope_of(path, *, method="GET", **headers):
    address, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": address,
        "query_string": query.encode(),
        "headers": [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in {**PLAIN, **headers}.items()
        ],
    }


def ask(desk, what, **headers):
    path = what.removeprefix("../") if what.startswith("../") else f"telemetry/{what}"
    scope = scope_of(f"/api/v1/{path}", **headers)
    found = desk.read_for(scope)
    return None if found is None else desk.answer(scope, *found)


def cookie_of(client):
    return f"sessionid={client.cookies['sessionid'].value}"


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize(
    ("what", "accept"),
    [*((what, "application/json") for what in READS), *((what, ARROW) for what in BULK)],
)
def test_the_short_way_answers_as_the_long_one_does(desk, client_of, operator, what, accept):
    client = client_of(operator)

    short = ask(desk, f"../{what}", cookie=cookie_of(client), accept=accept)
    long = client.get(f"/api/v1/{what}", headers={"accept": accept})

    assert (short.content_type, short.body) == (long["Content-Type"], long.content)


@pytest.mark.usefixtures("reported")
def test_its_headers_are_those_of_the_long_way(desk, client_of, operator):
    client = client_of(operator)
    sent = []

    async def send(message):
        sent.append(message)

    class Inline(ReadingDesk):
        def answer(self, scope, read, about):
            return Answer(long.content)

    long = client.get("/api/v1/telemetry/newest")
    way = ShortWay(None, Inline(desk._reads))
    asyncio.run(way(scope_of("/api/v1/telemetry/newest"), None, send))

    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert headers == {name.lower(): value for name, value in long.items()}
    assert (sent[0]["status"], sent[1]["body"]) == (200, long.content)


@pytest.mark.usefixtures("reported")
def test_a_provider_reads_its_own_pools_by_key_and_by_person(desk, client_of, provider):
    key = issue_key("beiyun", actor="test")
    live_key(key)

    for headers in (
        {"authorization": f"Bearer {key}"},
        {"cookie": cookie_of(client_of(provider))},
    ):
        body = ask(desk, "newest", **headers).body
        assert b"beijing-gpu" in body
        assert b"wuhan-gpu" not in body
        assert ask(desk, "samples?pool=wuhan-gpu", **headers) is None


def end_session(client, user):
    Session.objects.all().delete()


def let_session_expire(client, user):
    Session.objects.update(expire_date=clock.wall_now())


def log_out(client, user):
    client.logout()


def change_password(client, user):
    user.set_password("another-long-password")
    user.save()


def shut_account(client, user):
    user.is_active = False
    user.save()


def take_role(client, user):
    Membership.objects.filter(user=user).delete()


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize(
    "end",
    [end_session, let_session_expire, log_out, change_password, shut_account, take_role],
)
def test_who_lost_the_right_to_read_is_refused_with_the_next_request(
    desk, client_of, operator, end
):
    client = client_of(operator)
    cookie = cookie_of(client)
    assert ask(desk, "newest", cookie=cookie) is not None

    end(client, operator)

    assert ask(desk, "newest", cookie=cookie) is None
    assert client.get("/api/v1/telemetry/newest").status_code in (401, 403)


@pytest.mark.usefixtures("reported")
def test_a_role_that_became_smaller_shows_less_with_the_next_request(desk, client_of, operator):
    cookie = cookie_of(client_of(operator))
    assert b"wuhan-gpu" in ask(desk, "newest", cookie=cookie).body

    Membership.objects.filter(user=operator).update(role="PROVIDER", provider_code="beiyun")

    assert b"wuhan-gpu" not in ask(desk, "newest", cookie=cookie).body


@pytest.mark.usefixtures("reported")
def test_a_key_that_was_revoked_reads_nothing_more_on_either_way(desk, provider_client):
    client = provider_client("beiyun")
    assert client.get("/api/v1/telemetry/newest").status_code == 200
    headers = {"authorization": client._credentials["HTTP_AUTHORIZATION"]}
    assert ask(desk, "newest", **headers) is not None

    revoke_keys("beiyun", actor="test")

    assert ask(desk, "newest", **headers) is None
    assert client.get("/api/v1/telemetry/newest").status_code == 401


@pytest.mark.usefixtures("reported")
def test_that_a_key_is_in_use_is_taken_down_by_the_long_way(desk, provider_client):
    client = provider_client("beiyun")
    headers = {"authorization": client._credentials["HTTP_AUTHORIZATION"]}

    assert ask(desk, "newest", **headers) is None
    assert client.get("/api/v1/telemetry/newest").status_code == 200
    assert ask(desk, "newest", **headers) is not None
    assert ProviderKey.objects.get().last_used_at is not None


def test_a_session_that_became_another_persons_is_that_persons(desk, client_of, operator, outsider):
    cookie = cookie_of(client_of(operator))
    assert ask(desk, "newest", cookie=cookie) is not None
    other = Session.objects.get(session_key=cookie_of(client_of(outsider)).partition("=")[2])

    Session.objects.filter(session_key=cookie.partition("=")[2]).update(
        session_data=other.session_data
    )

    assert ask(desk, "newest", cookie=cookie) is None


@pytest.mark.parametrize("what", ["../sites", "../pools", "../regions", "../pools/beijing-gpu"])
@pytest.mark.usefixtures("reported")
def test_who_does_not_see_the_whole_grid_takes_the_long_way(
    desk, client_of, provider, outsider, what
):
    for person in (provider, outsider):
        assert ask(desk, what, cookie=cookie_of(client_of(person))) is None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nobody"),
        pytest.param({"cookie": "sessionid=never-was"}, id="unknown-session"),
        pytest.param({"cookie": "sessionid=a\x00b"}, id="zero-byte"),
        pytest.param({"authorization": "Basic b3A6b3A="}, id="other-scheme"),
        pytest.param({"authorization": "Bearer cg_live_none"}, id="unknown-key"),
    ],
)
def test_strangers_take_the_long_way(desk, headers):
    assert ask(desk, "newest", **headers) is None


@pytest.mark.parametrize(
    ("what", "headers"),
    [
        pytest.param("newest", {"host": "evil.example"}, id="other-host"),
        pytest.param("newest", {"accept": "text/html"}, id="other-type"),
        pytest.param("newest", {"content_length": "5"}, id="with-a-body"),
        pytest.param("newest", {"transfer_encoding": "chunked"}, id="chunked-body"),
        pytest.param("newest?format=arrow", {}, id="type-in-the-query"),
        pytest.param("hours?step=1m", {}, id="refusal"),
        pytest.param("samples?pool=%00", {}, id="zero-byte"),
        pytest.param("newest", {"method": "HEAD"}, id="head"),
        pytest.param("newest/", {}, id="unknown-address"),
        pytest.param("../pools/nowhere", {}, id="unknown-pool"),
        pytest.param("../pools/\x00", {}, id="zero-byte-in-the-address"),
        pytest.param("../pools/beijing-gpu/samples", {}, id="other-address"),
        pytest.param("../sites", {"accept": ARROW}, id="type-that-it-has-not"),
    ],
)
def test_what_is_not_plain_takes_the_long_way(desk, client_of, operator, what, headers):
    assert ask(desk, what, cookie=cookie_of(client_of(operator)), **headers) is None


def test_without_its_database_it_leaves_the_answer_to_the_long_way(desk, client_of, operator):
    def away(_question):
        raise OperationalError

    cookie = cookie_of(client_of(operator))
    scope = scope_of("/api/v1/telemetry/newest", cookie=cookie)
    desk = ReadingDesk({scope["path"]: away}, probe_every_s=60.0)
    found = desk.read_for(scope)

    assert found is not None
    assert desk.answer(scope, *found) is None
    # the next ones do not wait for it in line
    assert desk.read_for(scope) is None


def test_once_the_database_is_back_reads_take_the_short_way_again(
    desk, client_of, operator, monkeypatch
):
    def away(_question):
        raise OperationalError

    # the test's own transaction is on it
    monkeypatch.setattr(connection, "close", lambda: None)
    scope = scope_of("/api/v1/sites", cookie=cookie_of(client_of(operator)))
    desk = ReadingDesk(desk._reads, probe_every_s=0.0)
    assert desk.answer(scope, away, "") is None

    assert desk.answer(scope, *desk.read_for(scope)) is not None
    assert desk.read_for(scope) is not None
