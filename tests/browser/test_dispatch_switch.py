"""What operators do about plans as a whole, in a real browser over the real site."""

import pytest
from playwright.sync_api import expect

from scheduling.models import DispatchSwitch, PlanningRun

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SETTLED = """(id) => {
  const frame = structuredClone(tiaodu.state.frame);
  const plan = frame.plans.find((one) => one.id === id);
  plan.state = "PARTIAL";
  plan.progress = { RUNNING: 2, FINISHED: 1, SKIPPED: 1 };
  plan.realised = {
    is_final: false, predicted_saving_usd: 20.5, realised_saving_usd: 14.25,
    report: {
      started: 3, finished: 1, predicted_saving_usd: 20.5, realised_saving_usd: 14.25,
      lines: [
        { part: "energy", predicted_saving: 6.5, realised_saving: 4.25 },
        { part: "delay", predicted_saving: 14, realised_saving: 10 },
        { part: "unmet", predicted_saving: 0, realised_saving: 0 },
      ],
    },
  };
  tiaodu.accept(frame);
}"""


def test_an_operator_freezes_dispatch_with_a_reason_and_lets_it_go_on(visit, operator):
    seen = visit(operator)
    seen.wait_until_drawn()

    seen.page.click("#freeze")
    expect(seen.page.locator("#freeze-reason")).to_be_focused()
    seen.page.keyboard.type("network works")
    seen.page.keyboard.press("Enter")

    expect(seen.page.locator("#frozen-pill")).to_be_visible()
    bar = seen.page.locator(".frozen-bar")
    expect(bar).to_contain_text("Dispatch frozen since 05-26 08:12 by operator: network works")
    assert DispatchSwitch.objects.get().is_frozen

    bar.get_by_role("button", name="Resume dispatch").click()

    expect(bar).to_have_count(0)
    expect(seen.page.locator("#frozen-pill")).to_be_hidden()
    assert not DispatchSwitch.objects.get().is_frozen
    assert seen.complaints == []


def test_a_freeze_needs_a_reason_and_can_be_left(visit, operator):
    seen = visit(operator, lang="zh")
    seen.wait_until_drawn()

    seen.page.get_by_role("button", name="冻结调度").click()
    seen.page.click("#confirm-freeze")
    seen.page.get_by_role("button", name="返回").click()

    expect(seen.page.locator(".freeze-form")).to_have_count(0)
    assert not DispatchSwitch.objects.exists()


def test_others_see_a_freeze_but_have_no_switch(visit, auditor, site, grid_time):
    DispatchSwitch.objects.create(
        pk=1, is_frozen=True, changed_by="operator", changed_at=grid_time.now, reason="works"
    )

    seen = visit(auditor)
    seen.wait_until_drawn()

    expect(seen.page.locator(".frozen-bar")).to_contain_text("by operator: works")
    expect(seen.page.locator("#unfreeze, #freeze, #plan-now")).to_have_count(0)


def test_an_operator_plans_at_once(visit, operator, plan):
    seen = visit(operator)
    seen.wait_until_drawn()
    before = PlanningRun.objects.count()

    seen.page.get_by_role("button", name="Plan now").click()

    expect(seen.page.locator("#toast")).to_contain_text("Planned: ")
    assert PlanningRun.objects.count() == before + 1
    expect(seen.page.locator("#plan-now")).to_be_enabled()


def test_an_ended_plan_shows_its_progress_and_what_it_realised(visit, auditor, plan):
    seen = visit(auditor)
    seen.wait_until_drawn()
    card = seen.page.locator(f'[data-plan="{plan.pk}"]')

    # the next real frame would take it away again
    seen.page.context.set_offline(True)
    seen.page.evaluate("tiaodu.live.drop()")
    seen.page.evaluate(SETTLED, plan.pk)

    expect(card.locator(".progress")).to_contain_text(
        "1 finished · 2 running there · 1 stayed at home"
    )
    expect(card).to_contain_text("realised so far $14.3")
    card.get_by_text("Predicted and realised, by part").click()
    rows = card.locator(".account tbody tr")
    expect(rows).to_have_text(["energy$6.50$4.25", "delay$14.0$10.0", "total$20.5$14.3"])
