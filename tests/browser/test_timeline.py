"""The map's time slider in a real browser over the real site."""

import httpx
import pytest
from playwright.sync_api import expect

from controlplane.auth.keys import issue_key
from monitoring.models import Pool
from tests.browser.conftest import apart
from tests.browser.small_grid import issued_forecast, reported

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LOOK = """() => {
  const paths = [...document.querySelectorAll(".choroplethlayer path, .scattergeo path.point")];
  return paths.map((path) => getComputedStyle(path).fill + path.style.strokeDasharray).join();
}"""
HATCHED = '.choroplethlayer path[style*="hatch-forecast"]'
UNKNOWN = '.choroplethlayer path[style*="hatch-unknown"]'
DASHED_CIRCLES = 'path.point[style*="stroke-dasharray: 3"]'


@pytest.fixture
def forecast(site, grid_time):
    """A forecast run of this hour, 08:00 in China."""
    return apart(issued_forecast, grid_time.now)


@pytest.fixture
def seen(visit, auditor, forecast):
    """An auditor's look at the page."""
    made = visit(auditor)
    made.wait_until_drawn()
    made.page.wait_for_selector("#timeline-range")
    expect(made.page.locator(UNKNOWN)).to_have_count(1)
    return made


def slide(seen, position):
    seen.page.locator("#timeline-range").fill(str(position))


def banner(seen):
    return seen.page.locator("#timeline-banner")


def wait_for_other_look(seen, look):
    for _ in range(100):
        if seen.page.evaluate(LOOK) != look:
            return seen.page.evaluate(LOOK)
        seen.page.wait_for_timeout(50)
    pytest.fail("The map looks the same.")


def test_a_past_hour_recolors_the_map_and_says_which_hour_it_is(seen):
    live = seen.page.evaluate(LOOK)

    slide(seen, -20)

    expect(banner(seen)).to_contain_text("Showing 05-25 12:00–13:00 · past")
    expect(banner(seen)).to_contain_text("measured, hourly mean")
    expect(banner(seen)).to_contain_text("stay live")
    assert wait_for_other_look(seen, live)
    expect(seen.page.locator(HATCHED)).to_have_count(0)
    assert seen.complaints == []


def test_an_hour_ahead_is_drawn_as_estimated_with_its_run(seen, forecast):
    places = Pool.objects.values_list("site__region", flat=True).distinct().count()

    slide(seen, 2)

    expect(banner(seen)).to_contain_text("Forecast for 05-26 09:00–10:00")
    expect(banner(seen)).to_contain_text("forecast, median")
    expect(banner(seen)).to_contain_text("issued 05-26 08:00 · model test-model 1")
    # the region whose only pool is silent has no known capacity, so it stays unknown
    expect(seen.page.locator(HATCHED)).to_have_count(places - 1)
    expect(seen.page.locator(UNKNOWN)).to_have_count(1)
    assert seen.page.locator(DASHED_CIRCLES).count() >= 15
    assert seen.complaints == []


def test_where_the_upper_quantile_passes_capacity_the_table_marks_it(seen):
    slide(seen, 2)
    expect(banner(seen)).to_contain_text("Forecast for")

    seen.page.click(".map-table summary")

    beijing = seen.page.locator("#region-table tr", has_text="Beijing").locator("td")
    hohhot = seen.page.locator("#region-table tr", has_text="Inner Mongolia").locator("td")
    expect(beijing.last).to_have_text("▲ 259")
    expect(hohhot.last).to_have_text("187")


def test_live_returns_to_the_present_look(seen):
    live = seen.page.evaluate(LOOK)
    slide(seen, 24)
    expect(banner(seen)).to_contain_text("Forecast for")
    ahead = wait_for_other_look(seen, live)

    seen.page.click("#timeline-live")

    expect(banner(seen)).to_be_hidden()
    assert wait_for_other_look(seen, ahead) == live
    expect(seen.page.locator("#timeline-range")).to_have_value("0")


def test_arrow_keys_step_by_hours_and_escape_returns(seen):
    seen.page.focus("#timeline-range")

    seen.page.keyboard.press("ArrowLeft")
    expect(banner(seen)).to_contain_text("Showing 05-26 07:00–08:00")
    seen.page.keyboard.press("ArrowLeft")
    expect(banner(seen)).to_contain_text("Showing 05-26 06:00–07:00")
    spoken = seen.page.get_attribute("#timeline-range", "aria-valuetext")
    seen.page.keyboard.press("End")
    expect(banner(seen)).to_contain_text("Forecast for 05-27 07:00–08:00")
    seen.page.keyboard.press("Escape")

    assert spoken == "Showing 05-26 06:00–07:00 · past"
    expect(seen.page.locator("#timeline-range")).to_have_value("0")
    expect(banner(seen)).to_be_hidden()
    assert seen.page.evaluate("document.activeElement.id") == "timeline-range"


def test_the_live_push_goes_on_behind_and_moves_nothing(seen, grid_time):
    slide(seen, -3)
    expect(banner(seen)).to_contain_text("Showing 05-26 05:00–06:00")
    value = seen.page.locator("#tile-demand .tile-value")
    before, look = value.inner_text(), seen.page.evaluate(LOOK)
    grid_time.advance(hours=1)
    rows = [
        reported(pool, grid_time.now, share=1.0)
        for pool in Pool.objects.filter(site__provider="huadong")
    ]
    key = issue_key("huadong", actor="system", label="test")

    answer = httpx.post(
        f"{seen.base}/api/v1/telemetry",
        json={"samples": rows},
        headers={"Authorization": f"Bearer {key}"},
    )

    assert answer.status_code == 200
    expect(value).not_to_have_text(before)
    expect(banner(seen)).to_contain_text("Newer data are there")
    expect(banner(seen)).to_contain_text("Showing 05-26 05:00–06:00")
    expect(seen.page.locator("#timeline-range")).to_have_value("-3")
    assert seen.page.evaluate(LOOK) == look


def test_play_goes_on_by_itself_stops_at_the_end_and_pauses(seen):
    slider = seen.page.locator("#timeline-range")
    slide(seen, 22)
    expect(banner(seen)).to_contain_text("Forecast for 05-27 05:00–06:00")

    seen.page.click("#timeline-play")

    # nobody touches it, and at the end it stops
    expect(slider).to_have_value("24")
    expect(seen.page.get_by_role("button", name="Play hour by hour")).to_be_visible()
    seen.page.get_by_role("button", name="Play hour by hour").click()
    expect(banner(seen)).to_contain_text("past")
    seen.page.get_by_role("button", name="Pause").click()
    expect(seen.page.get_by_role("button", name="Play hour by hour")).to_be_visible()
    assert int(slider.input_value()) < 0


def test_without_a_forecast_an_hour_ahead_is_unknown(visit, auditor):
    seen = visit(auditor, lang="zh")
    seen.wait_until_drawn()
    places = Pool.objects.values_list("site__region", flat=True).distinct().count()

    slide(seen, 5)

    expect(banner(seen)).to_contain_text("还没有预测")
    expect(seen.page.locator(UNKNOWN)).to_have_count(places)


def test_hours_that_cannot_be_read_are_said_and_the_map_stays_live(seen):
    seen.page.route("**/timeline.json", lambda route: route.abort())

    slide(seen, -4)

    expect(banner(seen)).to_contain_text("could not be read")
    expect(seen.page.locator("#timeline-range")).to_have_value("0")
