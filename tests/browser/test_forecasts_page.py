"""The Forecasts page in a real browser over the real site."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import apart
from tests.browser.small_grid import issued_forecast

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def seen(visit, site, operator, grid_time):
    """An operator's look at the page, with a run of this hour."""
    apart(issued_forecast, grid_time.now)
    made = visit(operator, "/forecasts/")
    made.wait_until_live()
    made.page.wait_for_selector("#fc-chart .main-svg")
    return made


def test_it_shows_what_made_the_forecast_and_asks_nobody_else(seen):
    expect(seen.page.locator("#fc-declaration")).to_contain_text("test-model")
    expect(seen.page.locator("#fc-declaration")).to_contain_text("Made by a program")
    expect(seen.page.locator("#fc-chart .scatterlayer .trace")).not_to_have_count(0)
    assert seen.foreign == []
    assert seen.complaints == []


def test_another_series_and_reach_are_drawn(seen):
    seen.page.select_option("#fc-place", "region|CN-BJ")

    expect(seen.page.locator("#fc-summary")).to_contain_text("the 0.9 quantile passes capacity")


def test_tabs_are_reached_by_keys(seen):
    seen.page.focus("#fc-tab-demand")

    seen.page.keyboard.press("ArrowRight")

    expect(seen.page.locator("#fc-tab-price")).to_be_focused()
    expect(seen.page.locator("#fc-zone")).to_be_visible()


def test_an_operator_announces_demand_and_takes_it_back(seen):
    seen.page.click("#fc-add summary")
    seen.page.fill("#fc-add input[name=units]", "48")
    seen.page.click(".fc-send")

    row = seen.page.locator("#fc-announced tbody tr")
    expect(row).to_contain_text("48")
    row.get_by_role("button").click()
    expect(row).to_contain_text("withdrawn")


def test_an_auditor_looks_and_changes_nothing(visit, site, auditor, grid_time):
    apart(issued_forecast, grid_time.now)
    made = visit(auditor, "/forecasts/", lang="zh", theme="light")

    expect(made.page.locator("h2")).to_have_text("需求预测")
    expect(made.page.locator("#fc-announced")).to_contain_text("没有预告")
    assert made.page.locator("#fc-add").count() == 0
