"""The Alerts page in a real browser: what is wrong, who takes care, rules by two, who is told."""

import datetime as dt

import pytest

from controlplane.auth.authentication import actor_of
from controlplane.auth.roles import Role
from monitoring import services
from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.models import Alert, AlertRule, WebhookTarget
from tests.browser.conftest import apart
from tests.factories import make_person
from tests.receiver import listening

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def troubled(site, grid_time):
    """The site with alerts that fire, wait and are over."""

    def trouble():
        now = grid_time.now
        services.evaluate_alerts(now - 40 * MINUTE)
        services.evaluate_alerts(now)
        Alert.objects.filter(scope="region:CN-GD").delete()
        over = Alert(
            kind="PROVIDER_SILENT",
            scope="provider:jingchu",
            severity="critical",
            state="RESOLVED",
            pending_at=now - 300 * MINUTE,
            fired_at=now - 295 * MINUTE,
            resolved_at=now - 200 * MINUTE,
            detail={"pools": ["wuhan-gpu"]},
        )
        over.save()

    apart(trouble)
    return site


@pytest.fixture
def grid_admin2(db):
    return make_person("grid-admin-2", Role.GRID_ADMIN)


def open_page(visit, person, **how):
    made = visit(person, "/alerts/", **how)
    made.wait_until_live()
    return made


@pytest.mark.parametrize(("lang", "theme"), [("en", "dark"), ("zh", "light")])
def test_the_page_shows_what_fires_the_rules_and_what_was(visit, troubled, auditor, lang, theme):
    seen = open_page(visit, auditor, lang=lang, theme=theme)
    page = seen.page

    words = {"en": "is short of", "zh": "北京 缺"}[lang]
    assert words in page.inner_text("#al-now")
    assert page.locator("#al-rules tbody tr").count() == len(DEFAULT_RULES)
    was = {"en": "has stopped reporting", "zh": "没有上报"}[lang]
    assert was in page.inner_text("#al-past")
    assert page.locator("#al-now form, #al-rules button, #al-target-form form").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert (seen.complaints, seen.foreign) == ([], [])


def test_an_operator_takes_care_with_a_comment(visit, troubled, operator):
    seen = open_page(visit, operator)
    form = seen.page.locator("#al-now form").first

    form.locator("input").fill("two nodes are coming back")
    form.locator("button").click()

    seen.page.wait_for_selector(".al-taken")
    assert "operator takes care" in seen.page.inner_text("#al-now")
    stored = apart(lambda: Alert.objects.get(acknowledged_by="operator"))
    assert stored.comment == "two nodes are coming back"
    assert seen.complaints == []


def test_a_rule_changes_when_two_admins_agree(visit, troubled, grid_admin, grid_admin2):
    first = open_page(visit, grid_admin)
    first.page.click("#al-edit-CAPACITY_SHORTAGE")
    first.page.locator("#al-rules form input[type=number]").nth(2).fill("5")
    first.page.click("#al-rules form button")
    first.page.wait_for_selector(".al-change")
    assert "waits for another grid admin" in first.page.inner_text("#al-changes")
    assert first.page.locator("[id^=al-confirm-]").count() == 0

    second = open_page(visit, grid_admin2)
    assert "15 min → 5 min" in second.page.inner_text("#al-changes").replace("\n", " ")
    second.page.click("[id^=al-confirm-]")
    second.page.wait_for_selector(".al-change", state="detached")

    rule = apart(lambda: AlertRule.objects.get(name="CAPACITY_SHORTAGE"))
    assert (rule.for_s, rule.version) == (300.0, 2)
    assert first.complaints == second.complaints == []


def test_a_grid_admin_says_who_is_told_and_sees_how_it_goes(visit, troubled, grid_admin, settings):
    with listening() as receiver:
        settings.WEBHOOK_TRUSTED_TARGETS = [receiver.authority]
        seen = open_page(visit, grid_admin)
        page = seen.page
        page.click("#al-target-form summary")
        page.locator("#al-target-form input[type=text]").fill("on-call")
        page.locator("#al-target-form input[type=url]").fill(receiver.url)
        page.click("#al-target-form form button")
        page.wait_for_selector(".al-secret")
        receiver.status = 500
        apart(lambda: services.tell_targets(dt.datetime.now(dt.UTC)))  # noqa: TID251 (wall time)
        page.reload()

        page.wait_for_selector("#al-targets .bad")
        assert "answered 500" in page.inner_text("#al-targets")
    target = apart(lambda: WebhookTarget.objects.get(name="on-call"))
    assert actor_of(grid_admin).may("edit-inventory")
    assert target.failures == 1
    page.click("#al-targets button")
    page.wait_for_selector("#al-targets table", state="detached")
    assert seen.complaints == []
