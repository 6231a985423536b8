"""The guard before Django: what it refuses it refuses unread."""

import asyncio
import json

import pytest
from django.db import OperationalError

from controlplane.body_guard import BodyGuard
from controlplane.overload import Gate, Limits

LIMIT = 100
KEY = [(b"authorization", b"Bearer cg_live_right")]
PUSH = "/api/v1/telemetry"


class Keys:
    """Knows one key, unless the database is away."""

    def __init__(self, *, is_away=False):
        self.is_away = is_away

    async def check(self, key):
        if self.is_away:
            raise OperationalError
        return "beiyun" if key == "cg_live_right" else None

    def last_known(self, key):
        return "beiyun" if key == "cg_live_right" else None


class Exchange:
    """One request to a guarded application that reads its whole body and answers 200."""

    def __init__(self, parts=(b"",), *, path="/api/v1/x", method="POST", headers=(), kind="http"):
        self.scope = {"type": kind, "path": path, "method": method, "headers": list(headers)}
        self.unread = list(parts)
        self.sent = []

    async def receive(self):
        body = self.unread.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self.unread)}

    async def send(self, message):
        self.sent.append(message)

    async def application(self, scope, receive, send):
        while scope["type"] == "http" and (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def run(self, guard=None):
        guard = guard or BodyGuard(self.application, max_bytes=LIMIT, keys=Keys())
        await guard(self.scope, self.receive, self.send)
        return self.sent[0]["status"], json.loads(self.sent[1]["body"])

    def header(self, name):
        return dict(self.sent[0]["headers"]).get(name)


async def test_a_body_within_the_limit_is_passed_on():
    exchange = Exchange([b"x" * 60, b"x" * 40], headers=[(b"Content-Length", b"100")])

    assert await exchange.run() == (200, {})


@pytest.mark.parametrize("length", [b"101", b"9" * 400])
async def test_a_body_that_claims_too_much_is_refused_unread(length):
    exchange = Exchange([b"x"], headers=[(b"content-length", length)])

    status, body = await exchange.run()

    assert (status, body["code"], body["limit_bytes"]) == (413, "body-too-large", LIMIT)
    assert exchange.unread == [b"x"]


async def test_a_body_without_a_length_is_cut_off_at_the_limit():
    exchange = Exchange([b"x" * 60, b"x" * 60, b"x" * 60])

    status, body = await exchange.run()

    assert (status, body["code"]) == (413, "body-too-large")
    assert len(exchange.unread) == 1


@pytest.mark.parametrize("value", [None, b"", b"Basic abc", b"Bearer other", b"cg_live_x"])
async def test_telemetry_without_a_key_is_refused_unread(value):
    headers = [] if value is None else [(b"authorization", value)]
    exchange = Exchange([b"["], path="/api/v1/telemetry", headers=headers)

    status, body = await exchange.run()

    assert (status, body["code"]) == (401, "not-authenticated")
    assert (b"www-authenticate", b"Bearer") in exchange.sent[0]["headers"]
    assert exchange.unread == [b"["]


async def test_a_key_that_is_not_live_is_refused_unread():
    headers = [(b"Authorization", b"bearer cg_live_anything")]
    exchange = Exchange([b"["], path=PUSH, headers=headers)

    status, body = await exchange.run()

    assert (status, body["code"]) == (401, "not-authenticated")
    assert exchange.unread == [b"["]


async def test_telemetry_with_a_live_key_goes_to_django_with_its_body():
    exchange = Exchange([b"x" * 40, b"x" * 40], path=PUSH, headers=KEY)

    assert (await exchange.run())[0] == 200
    assert exchange.unread == []


async def test_a_push_that_grows_past_the_limit_is_cut_off():
    exchange = Exchange([b"x" * 60, b"x" * 60, b"x"], path=PUSH, headers=KEY)

    status, body = await exchange.run()

    assert (status, body["code"]) == (413, "body-too-large")
    assert exchange.unread == [b"x"]


class Slow:
    """An application that works until it is told to end, and notes how many work at once."""

    def __init__(self, status=200):
        self.status, self.inside, self.most = status, 0, 0
        self.may_end = asyncio.Event()

    async def __call__(self, scope, receive, send):
        await receive()
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.may_end.wait()
        self.inside -= 1
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def crowd(application, limits, shed, keys=None):
    return BodyGuard(
        application,
        max_bytes=LIMIT,
        keys=keys or Keys(),
        gate=Gate(limits),
        note_shed=lambda provider, why: shed.append((provider, why)),
    )


async def test_more_than_fits_is_turned_away_unread_and_counted():
    slow, shed = Slow(), []
    guard = crowd(slow, Limits(at_once=2, inside=3, per_provider=9, patience_s=5), shed)
    inside = [Exchange(path=PUSH, headers=KEY) for _ in range(3)]
    running = [asyncio.ensure_future(exchange.run(guard)) for exchange in inside]
    await asyncio.sleep(0.01)
    late = Exchange([b"unread"], path=PUSH, headers=KEY)

    status, body = await late.run(guard)
    slow.may_end.set()
    answers = await asyncio.gather(*running)

    assert (status, body["code"]) == (503, "grid-busy")
    assert 1 <= int(late.header(b"retry-after")) <= 5
    assert late.unread == [b"unread"]
    assert shed == [("beiyun", "grid-busy")]
    assert [code for code, _ in answers] == [200, 200, 200]
    assert slow.most == 2


async def test_one_provider_cannot_take_all_the_room():
    slow, shed = Slow(), []
    guard = crowd(slow, Limits(per_provider=1), shed)
    first = Exchange(path=PUSH, headers=KEY)
    running = asyncio.ensure_future(first.run(guard))
    await asyncio.sleep(0.01)
    second = Exchange(path=PUSH, headers=KEY)

    status, body = await second.run(guard)
    slow.may_end.set()

    assert (status, body["code"]) == (429, "provider-busy")
    assert shed == [("beiyun", "provider-busy")]
    assert (await running)[0] == 200


async def test_pages_pass_while_pushes_are_turned_away():
    slow = Slow()
    guard = crowd(slow, Limits(inside=0), [])
    slow.may_end.set()
    page = Exchange(path="/grid/", method="GET")

    assert (await page.run(guard))[0] == 200


async def test_a_body_that_does_not_arrive_does_not_hold_its_place():
    guard = crowd(Slow(), Limits(body_within_s=0.01), [])
    stuck = Exchange(path=PUSH, headers=KEY)

    async def never():
        await asyncio.Event().wait()

    stuck.receive = never

    status, body = await stuck.run(guard)

    assert (status, body["code"]) == (408, "body-too-slow")
    assert guard._gate.in_flight == 0


async def test_a_sender_is_answered_in_time_and_the_place_is_held_until_the_work_ends():
    slow, shed = Slow(), []
    guard = crowd(slow, Limits(answer_within_s=0.01), shed)
    exchange = Exchange(path=PUSH, headers=KEY)

    running = asyncio.ensure_future(exchange.run(guard))
    await asyncio.sleep(0.05)

    assert exchange.sent[0]["status"] == 503
    assert shed == [("beiyun", "database-away")]
    assert guard._gate.in_flight == 1
    slow.may_end.set()
    await running
    assert len(exchange.sent) == 2
    assert guard._gate.in_flight == 0


async def test_while_the_database_is_away_only_one_request_now_and_then_asks_for_it():
    away, shed = Slow(status=503), []
    away.may_end.set()
    guard = crowd(away, Limits(), shed)
    statuses = [(await Exchange(path=PUSH, headers=KEY).run(guard))[0] for _ in range(20)]

    assert set(statuses) == {503}
    # the first found out by itself, the others were told at the door: all are counted
    assert shed == [("beiyun", "database-away")] * 20
    away.status = 200
    await asyncio.sleep(0.55)
    assert (await Exchange(path=PUSH, headers=KEY).run(guard))[0] == 200
    assert (await Exchange(path=PUSH, headers=KEY).run(guard))[0] == 200


async def test_without_a_database_a_known_senders_request_is_counted_as_shed():
    shed = []
    guard = crowd(Slow(), Limits(), shed, Keys(is_away=True))
    exchange = Exchange([b"unread"], path=PUSH, headers=KEY)

    status, body = await exchange.run(guard)

    assert (status, body["code"]) == (503, "database-away")
    assert shed == [("beiyun", "database-away")]
    assert exchange.unread == [b"unread"]


async def test_other_kinds_of_connection_are_left_alone():
    exchange = Exchange(kind="lifespan")

    assert (await exchange.run())[0] == 200
