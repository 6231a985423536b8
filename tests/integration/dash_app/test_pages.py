"""Login, logout, language, assets and the shell of the Grid page."""

import gzip
import json
import re

import pytest
from django.core.cache import cache
from django.test import Client

from dash_app.access import entry_of_session
from dash_app.shell import SCRIPTS, format_count
from tests.browser.small_grid import seed_grid
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counts_from_other_tests():
    cache.clear()


def log_in(client, name, password, **extra):
    return client.post("/login/", {"username": name, "password": password, **extra})


@pytest.fixture
def inside(auditor):
    client = Client()
    client.force_login(auditor)
    return client


def test_the_front_door_leads_to_the_grid(client):
    assert client.get("/")["Location"] == "/grid/"


def test_the_right_password_leads_to_the_grid(client, auditor):
    response = log_in(client, "auditor", PASSWORD)

    assert (response.status_code, response["Location"]) == (302, "/grid/")


def test_a_wrong_password_is_said_without_saying_what_was_wrong(client, auditor):
    known = log_in(client, "auditor", "wrong")
    unknown = log_in(client, "nobody", "wrong")

    assert known.status_code == unknown.status_code == 401
    strip = re.compile(r'value="[^"]*"')
    assert strip.sub("", known.content.decode()) == strip.sub("", unknown.content.decode())


def test_after_ten_wrong_passwords_even_the_right_one_has_to_wait(client, auditor):
    for _ in range(10):
        log_in(client, "auditor", "wrong")

    response = log_in(client, "auditor", PASSWORD)

    assert response.status_code == 429
    assert response["Retry-After"]
    assert not entry_of_session(client.session.session_key).is_known


def test_the_right_password_forgets_the_wrong_ones(client, auditor):
    for _ in range(9):
        log_in(client, "auditor", "wrong")
    log_in(client, "auditor", PASSWORD)
    client.logout()

    assert log_in(client, "auditor", "wrong").status_code == 401
    assert log_in(client, "auditor", PASSWORD).status_code == 302


@pytest.mark.parametrize("wish", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_neither_login_nor_language_leads_to_another_site(client, auditor, wish):
    assert client.get("/language/en/", {"next": wish})["Location"] == "/grid/"
    assert log_in(client, "auditor", PASSWORD, next=wish)["Location"] == "/grid/"


def test_the_login_page_is_not_kept_and_has_no_scripts(client):
    response = client.get("/login/")

    assert "no-store" in response["Cache-Control"]
    assert "script-src 'self'" in response["Content-Security-Policy"]
    assert b"<script" not in response.content


def test_logging_out_takes_a_post(inside):
    assert inside.get("/logout/").status_code == 405
    assert inside.post("/logout/")["Location"] == "/login/"
    assert inside.get("/grid/").status_code == 302


@pytest.mark.parametrize(("lang", "words"), [("zh", "登录"), ("en", "Log in")])
def test_a_chosen_language_is_kept(client, lang, words):
    client.get(f"/language/{lang}/", {"next": "/login/"})

    assert words in client.get("/login/").content.decode()


def test_an_unknown_language_is_not_kept(client):
    assert not client.get("/language/xx/").cookies


def test_assets_need_no_login_and_may_be_kept_by_their_hash(client):
    page = client.get("/login/").content.decode()
    address = re.search(r'href="(/grid/assets/control-room\.css\?v=[0-9a-f]{8})"', page).group(1)

    kept = client.get(address, headers={"Accept-Encoding": "gzip"})
    bare = client.get(address.partition("?")[0])

    assert "immutable" in kept["Cache-Control"]
    assert bare["Cache-Control"] == "no-cache"
    assert gzip.decompress(kept.content) == bare.content


def test_the_map_is_served_with_every_province(client):
    response = client.get("/grid/assets/provinces.geojson")

    features = json.loads(response.content)["features"]
    assert len({feature["properties"]["code"] for feature in features}) == 34


@pytest.mark.parametrize("name", ["nothing.js", "../app.py", "topo/../../settings.py", "app.py"])
def test_nothing_else_is_served_as_an_asset(client, name):
    assert client.get(f"/grid/assets/{name}").status_code == 404


def test_the_page_shows_headline_figures_in_its_first_html(inside, grid_time):
    seed_grid(grid_time.now)

    page = inside.get("/grid/", headers={"Accept-Language": "en"}).content.decode()

    assert re.search(r'id="tile-supply".*?tile-value">1,0\d\d<', page, re.DOTALL)
    assert all(f"/grid/assets/{script}?v=" in page for script in SCRIPTS)


def test_an_empty_grid_shows_dashes_and_not_zeros(inside, grid_time):
    page = inside.get("/grid/").content.decode()

    assert re.findall(r'tile-value">([^<]+)<', page) == ["—"] * 4


def test_every_script_of_the_page_is_ours_or_carries_the_nonce(inside, grid_time):
    response = inside.get("/grid/")

    page = response.content.decode()
    nonce = re.search(r"'nonce-([^']+)'", response["Content-Security-Policy"]).group(1)
    scripts = re.findall(r"<script[^>]*>", page)
    code = [tag for tag in scripts if 'type="application/json"' not in tag]
    assert len(code) > 12
    assert all(f'nonce="{nonce}"' in tag for tag in code)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


def test_a_name_cannot_write_into_the_page(client, auditor, grid_time):
    auditor.username = "</script><script>alert(1)</script>"
    auditor.save()
    client.force_login(auditor)

    page = client.get("/grid/").content.decode()

    assert "<script>alert(1)" not in page


def test_the_page_is_refused_in_words_to_people_without_the_role(client, outsider):
    client.force_login(outsider)

    response = client.get("/grid/", headers={"Accept-Language": "en"})

    assert response.status_code == 403
    assert "Not yours to see" in response.content.decode()


class TestSessionOfASocket:
    """What a session key is worth is read anew each time."""

    def test_a_session_with_the_role_may_view(self, inside):
        assert entry_of_session(inside.session.session_key).actor.username == "auditor"

    @pytest.mark.parametrize("key", [None, "", "forged", "x" * 500])
    def test_no_session_is_a_stranger(self, key):
        assert not entry_of_session(key).is_known

    def test_a_logout_ends_it(self, inside):
        key = inside.session.session_key
        inside.post("/logout/")

        assert not entry_of_session(key).is_known

    def test_a_new_password_ends_it(self, inside, auditor):
        auditor.set_password("another-long-password")
        auditor.save()

        assert not entry_of_session(inside.session.session_key).is_known

    def test_a_role_that_was_taken_away_ends_it(self, inside, auditor):
        auditor.membership.delete()

        entry = entry_of_session(inside.session.session_key)
        assert entry.is_known
        assert entry.actor is None

    def test_a_person_who_was_shut_out_is_a_stranger(self, inside, auditor):
        auditor.is_active = False
        auditor.save()

        assert entry_of_session(inside.session.session_key).actor is None


@pytest.mark.parametrize(("value", "words"), [(None, "—"), (0.0, "0"), (1234.6, "1,235")])
def test_counts_are_written_for_people(value, words):
    assert format_count(value) == words
