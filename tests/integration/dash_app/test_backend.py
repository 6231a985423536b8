"""Dash's routes are Django views: guarded, safe from forgery, and right in what they say."""

import gzip
import json
import re
import threading

import pytest
from django.test import Client, RequestFactory

from dash_app.backend import DjangoDashServer, DjangoSite

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("probe_urls")]

DATA_ROUTES = ("/probe/_dash-layout", "/probe/_dash-dependencies", "/probe/_reload-hash")
UPDATE = "/probe/_dash-update-component"


@pytest.fixture
def inside(auditor):
    client = Client()
    client.force_login(auditor)
    return client


def ask(client, body, **headers):
    content = body if isinstance(body, str) else json.dumps(body)
    return client.post(UPDATE, content, content_type="application/json", headers=headers)


def bundles(client) -> list[str]:
    page = client.get("/probe/").content.decode()
    return re.findall(r'src="(/probe/_dash-component-suites/[^"]+)"', page)


@pytest.mark.parametrize("role", ["operator", "auditor", "grid_admin"])
def test_people_who_may_view_the_grid_get_page_and_data(request, role):
    client = Client()
    client.force_login(request.getfixturevalue(role))

    answers = [client.get(path).status_code for path in ("/probe/", *DATA_ROUTES)]

    assert answers == [200] * 4


@pytest.mark.parametrize(
    ("role", "at_the_page"),
    # a provider's person has a page, another one, and is led there
    [("outsider", 403), ("provider", 302)],
)
def test_people_who_may_not_are_refused_everywhere(request, role, at_the_page, question, inside):
    bundle = bundles(inside)[0]
    client = Client()
    client.force_login(request.getfixturevalue(role))

    answers = [client.get(path).status_code for path in ("/probe/", *DATA_ROUTES, bundle)]

    assert answers == [at_the_page, *[403] * 4]
    assert ask(client, question).status_code == 403


def test_a_stranger_is_led_to_the_login_page_but_gets_no_data(client, question, inside):
    bundle = bundles(inside)[0]

    page = client.get("/probe/?from=mail")

    assert (page.status_code, page["Location"]) == (302, "/login/?next=/probe/%3Ffrom%3Dmail")
    assert [client.get(path).status_code for path in (*DATA_ROUTES, bundle)] == [401] * 4
    assert ask(client, question).status_code == 401


def test_a_callback_runs_with_the_database_and_the_person(inside, question):
    response = ask(inside, question)

    assert response.status_code == 200
    assert response.json()["response"] == {"answer": {"children": "how many auditor 1"}}


def test_a_callback_without_the_csrf_token_is_refused(auditor, question):
    client = Client(enforce_csrf_checks=True)
    client.force_login(auditor)
    client.cookies["csrftoken"] = "a" * 32

    bare = ask(client, question)
    marked = ask(client, question, **{"X-CSRFToken": "a" * 32})

    assert (bare.status_code, marked.status_code) == (403, 200)


def test_a_callback_with_nothing_to_say_answers_204(inside, question):
    question["inputs"][0]["value"] = None

    assert ask(inside, question).status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"output": "secret.children"}, id="unknown callback"),
        pytest.param({"outputs": {"id": "secret", "property": "children"}}, id="other output"),
        pytest.param({"inputs": []}, id="no inputs"),
        pytest.param({"inputs": [{"id": "region", "property": "value"}]}, id="other input"),
    ],
)
def test_a_forged_callback_is_refused(inside, question, change):
    response = ask(inside, question | change)

    assert response.status_code == 400
    assert response.json()["code"] == "malformed-callback"


def test_a_body_that_is_no_json_is_refused(inside):
    assert ask(inside, "{").status_code == 400


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(inside, method):
    assert getattr(inside, method)("/probe/_dash-layout").status_code == 405


def test_a_bundle_comes_compressed_and_may_be_kept(inside):
    path = next(path for path in bundles(inside) if "react" in path)

    plain = inside.get(path)
    packed = inside.get(path, headers={"Accept-Encoding": "gzip, br"})

    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert "immutable" in packed["Cache-Control"]
    assert "private" in packed["Cache-Control"]
    assert "Accept-Encoding" in packed["Vary"]


def test_a_bundle_without_a_fingerprint_is_asked_for_anew(inside):
    inside.get("/probe/")
    path = "/probe/_dash-component-suites/dash/dcc/async-graph.js"
    first = inside.get(path)

    again = inside.get(path, headers={"If-None-Match": first["ETag"]})

    assert first.status_code == 200
    assert again.status_code == 304
    assert not again.content


@pytest.mark.parametrize(
    "path",
    [
        "dash/../../settings.py",
        "dash/_utils.py",
        "os/path.py",
        "dash_app/backend.py",
        "dash/dcc/nothing.js",
    ],
)
def test_only_registered_files_are_served(inside, path):
    inside.get("/probe/")

    assert inside.get(f"/probe/_dash-component-suites/{path}").status_code == 404


def test_the_page_has_a_policy_and_a_fresh_nonce_each_time(inside):
    policies = [inside.get("/probe/")["Content-Security-Policy"] for _ in range(2)]

    nonces = [re.search(r"'nonce-([\w-]{20,})'", policy).group(1) for policy in policies]
    assert nonces[0] != nonces[1]
    assert "unsafe-eval" not in policies[0]
    assert "default-src 'self'" in policies[0]
    assert "frame-ancestors 'none'" in policies[0]


def test_first_requests_that_come_together_wait_for_the_set_up(auditor):
    server = DjangoDashServer(DjangoSite("probe"))
    is_set_up = threading.Event()
    steps, seen = [], []

    def slow_step() -> None:
        steps.append(1)
        is_set_up.wait(0.2)
        is_set_up.set()

    def view() -> object:
        seen.append(is_set_up.is_set())
        return server.make_response("ok")

    server.before_request(slow_step)
    guarded = server._view(view, lambda request: None)
    threads = [
        threading.Thread(target=guarded, args=(RequestFactory().get("/"),)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(steps) == 1
    assert seen == [True] * 8


def test_a_set_up_that_failed_is_tried_again():
    server = DjangoDashServer(DjangoSite("probe"))
    tries = []

    def step() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise LookupError

    server.before_request(step)
    view = server._view(lambda: server.make_response("ok"), lambda request: None)
    with pytest.raises(LookupError):
        view(RequestFactory().get("/"))

    assert view(RequestFactory().get("/")).status_code == 200


def test_what_dash_may_not_do_here_is_refused_aloud():
    server = DjangoDashServer(DjangoSite("probe"))

    for forbidden in (
        lambda: server.run(None, "", 0, debug=False),
        lambda: server.after_request(lambda response: response),
        lambda: server.register_callback_api_routes({"/x": lambda: None}),
        server.server,
    ):
        with pytest.raises(NotImplementedError):
            forbidden()
