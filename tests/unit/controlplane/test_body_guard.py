"""The guard before Django: what it refuses it refuses unread."""

import json

import pytest

from controlplane.body_guard import BodyGuard

LIMIT = 100


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

    async def run(self):
        guard = BodyGuard(self.application, max_bytes=LIMIT)
        await guard(self.scope, self.receive, self.send)
        return self.sent[0]["status"], json.loads(self.sent[1]["body"])


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


async def test_telemetry_with_a_key_is_for_django_to_judge():
    headers = [(b"Authorization", b"bearer cg_live_anything")]
    exchange = Exchange(path="/api/v1/telemetry", headers=headers)

    assert (await exchange.run())[0] == 200


async def test_other_kinds_of_connection_are_left_alone():
    exchange = Exchange(kind="lifespan")

    assert (await exchange.run())[0] == 200
