"""Measures what an operator waits for on the Grid page of a running grid.

    python benchmarks/page.py --url http://127.0.0.1:8000 --var var [--rounds 5] [--json FILE]

Headless Chromium logs in with an empty cache each round and reports, in ms from the click: first
contentful paint (the shell with its figures), the map with all provinces, the first live frame.
Needs Chromium on PATH and the demo's password in the run folder.
"""

import argparse
import json
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# the page's CSP forbids evaluated strings, so the last of the 34 provinces is waited for by locator
LAST_PROVINCE = ".choroplethlayer path >> nth=33"


def one_round(browser, url, password):
    context = browser.new_context(viewport={"width": 1680, "height": 1000})
    page = context.new_page()
    page.goto(f"{url}/login/")
    page.fill("input[name=username]", "operator")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/grid/**")
    page.locator(LAST_PROVINCE).wait_for(state="attached", timeout=60_000)
    drawn_ms = page.evaluate("performance.now()")
    paint_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.reload()
    page.locator(LAST_PROVINCE).wait_for(state="attached", timeout=60_000)
    again_ms = page.evaluate("performance.now()")
    context.close()
    return {"paint_ms": paint_ms, "map_ms": drawn_ms, "map_again_ms": again_ms}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--var", type=Path, default=Path("var"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    password = (options.var / "run" / "demo_password").read_text(encoding="utf-8").strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        rounds = [one_round(browser, options.url, password) for _ in range(options.rounds)]
        browser.close()
    result = {
        name: {
            "min": round(min(row[name] for row in rounds)),
            "median": round(statistics.median(row[name] for row in rounds)),
            "max": round(max(row[name] for row in rounds)),
        }
        for name in rounds[0]
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
