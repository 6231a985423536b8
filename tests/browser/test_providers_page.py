"""The Providers page in a real browser: how providers stand, keys shown once, the self-test."""

import datetime as dt
import json
import os

import pytest

from controlplane.auth import keys
from controlplane.auth.models import ProviderKey
from controlplane.auth.roles import Role
from monitoring.models import Pool, PoolState, ProviderHealth, ProviderTally, Sample
from monitoring.watch import health
from tests.browser.conftest import apart
from tests.factories import make_person

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OWN = "huadong"


@pytest.fixture
def watched(site, grid_time):
    """The site with a provider whose clock is ahead and some of whose telemetry was refused."""

    def watch():
        now = grid_time.now
        for second in range(8):
            refusals = [
                {
                    "at": (now - dt.timedelta(minutes=second)).isoformat(),
                    "code": ("unknown-pool", "in-the-future", "conflict")[second % 3],
                    "subject": "beijing-gpu",
                    "field": "pool",
                }
            ]
            health.note_request(OWN, lag_s=-7.4, refusals=refusals)
        for _ in range(3):
            health.note_shed(OWN, "grid-busy")
        health.flush()
        ProviderTally.objects.filter(provider_id=OWN).update(
            received=4_203, accepted=4_000, duplicate=120, conflict=2, rejected=78,
            rejected_by_reason={"unknown-pool": 70, "in-the-future": 8},
        )  # fmt: skip
        keys.issue_key(OWN, actor="system", label="rack 4")
        first = Pool.objects.filter(site__provider_id=OWN).order_by("code").first()
        PoolState.objects.filter(pool=first).update(quality="suspect", quality_rule="unit-jump")

    apart(watch)
    return site


@pytest.fixture
def person(db):
    return make_person("provider-huadong", Role.PROVIDER, provider=OWN)


def open_page(visit, who, **how):
    made = visit(who, "/providers/", **how)
    made.page.wait_for_selector("#pv-detail .pv-facts")
    return made


def keep_picture(page, name):
    folder = os.environ.get("TIAODU_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=False)


@pytest.mark.parametrize(("lang", "theme"), [("en", "dark"), ("zh", "light")])
def test_an_operator_sees_all_providers_and_drills_in(visit, watched, operator, lang, theme):
    seen = open_page(visit, operator, lang=lang, theme=theme)
    page = seen.page
    codes = page.locator("#pv-list tbody tr")

    page.click(f"#pv-go-{OWN}")
    page.wait_for_selector(f"#pv-detail .pv-name:has-text('{OWN}')")
    keep_picture(page, f"providers-{theme}")

    assert codes.count() == 6
    assert page.url.endswith(f"#{OWN}")
    assert "7.4 s" in page.text_content("#pv-detail .pv-facts")
    assert "4,203" in page.text_content("#pv-detail .pv-facts")
    assert page.locator("#pv-detail .pv-chip:has-text('unknown-pool')").count() > 1
    assert page.locator("#pv-keys tbody tr").count() == 1
    assert page.locator("#pv-key-issue").count() == 0
    assert (seen.complaints, seen.foreign) == ([], [])


def test_an_operator_confirms_a_level_with_a_reason(visit, watched, operator):
    seen = open_page(visit, operator)
    page = seen.page
    page.click(f"#pv-go-{OWN}")

    page.click(".pv-confirm button")
    page.fill(".pv-confirm input", "four racks were added")
    page.click(".pv-confirm button[type=submit]")
    page.wait_for_selector("#toast.shown")

    assert page.get_attribute("#toast", "data-kind") == "good"
    assert seen.complaints == []


def test_a_provider_lands_on_its_own_page_and_sees_no_other(visit, watched, person):
    seen = visit(person)
    page = seen.page
    page.wait_for_selector("#pv-detail .pv-facts")

    assert page.url.endswith("/providers/")
    assert page.locator("#pv-list").count() == 0
    assert OWN in page.text_content(".pv-name")
    assert page.locator("nav.pages a").count() == 0
    assert (seen.complaints, seen.foreign) == ([], [])


def test_a_new_key_is_shown_once_and_the_old_one_revoked_in_two_clicks(visit, watched, person):
    seen = open_page(visit, person)
    page = seen.page
    page.fill("#pv-key-label", "rack 5")
    page.click("#pv-key-issue")
    page.wait_for_selector("#pv-secret")
    secret = page.text_content("#pv-secret")
    keep_picture(page, "providers-key")

    page.click("#pv-secret-hide")
    page.wait_for_selector("#pv-key-issue[disabled]")
    old = apart(lambda: ProviderKey.objects.get(label="rack 4"))
    page.click(f"#pv-revoke-{old.pk}")
    page.click(f"#pv-revoke-{old.pk}:has-text('Really')")
    page.wait_for_selector("#pv-key-issue:not([disabled])")

    assert apart(keys.provider_of_key, secret) == OWN
    assert secret not in page.content()
    assert apart(lambda: ProviderKey.objects.filter(revoked_at__isnull=True).count()) == 1
    assert seen.complaints == []


def test_the_self_test_says_where_each_sample_would_land(visit, watched, person):
    before = apart(Sample.objects.count)
    seen = open_page(visit, person)
    page = seen.page

    page.click("#pv-test-example")
    page.click("#pv-test-run")
    page.wait_for_selector("#pv-verdict tbody tr")
    page.locator("#pv-test-panel").scroll_into_view_if_needed()
    keep_picture(page, "providers-test")

    words = page.locator("#pv-verdict tbody tr").all_text_contents()
    assert len(words) == 2
    assert "a row" in words[0]
    assert "unknown-pool" in words[1]
    assert apart(Sample.objects.count) == before
    assert seen.complaints == []


def test_an_exporters_text_is_tried_against_draft_rules(visit, watched, person):
    seen = open_page(visit, person)
    page = seen.page
    pool = apart(lambda: Pool.objects.filter(site__provider_id=OWN).first().code)

    page.fill("#pv-test-text", "slurm_gpus_total 128\nslurm_gpus_alloc 96\n")
    page.click("#pv-test-form summary")
    page.fill("#pv-test-rules", json.dumps([{"preset": "slurm-vpenso-gpu", "pool": pool}]))
    page.click("#pv-test-run")
    page.wait_for_selector("#pv-verdict tbody tr")

    assert page.locator("#pv-verdict tbody tr:has-text('capacity')").count() == 1
    assert apart(ProviderHealth.objects.count) == 1
    assert seen.complaints == []
