"""Runs the whole site on a real port over the test database, and headless Chromium against it.

Chromium can reach nothing but this machine, and every page's complaints are collected: console
errors, page errors, requests to elsewhere, violations of the page policy.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.small_grid import proposed_plan, seed_grid

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE_MS = 20_000


@dataclass
class Site:
    """The running site."""

    url: str


@dataclass
class Visit:
    """One person's look at the page, and what the browser complained of."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Collect complaints and foreign requests from now on."""
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note_request)

    def open_grid(self) -> None:
        """Open the Grid page and wait until it is live and drawn."""
        self.page.goto(f"{self.base}/grid/")
        self.wait_until_drawn()

    def wait_until_live(self) -> None:
        """Wait for the first frame over the socket."""
        self.page.wait_for_selector("#connection[data-state=live]", timeout=PATIENCE_MS)

    def wait_until_drawn(self) -> None:
        """Wait for the first frame over the socket and for the map."""
        self.wait_until_live()
        self.page.wait_for_selector(".choroplethlayer path", state="attached", timeout=PATIENCE_MS)

    def _note_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith((f"{self.base}/", "data:", "blob:")):
            self.foreign.append(request.url)


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do work in a thread of its own, where no event loop of playwright is in the way."""

    def run() -> Any:
        try:
            return work(*arguments)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(run).result()


@pytest.fixture(autouse=True)
def _orm_beside_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    # playwright keeps an event loop in this thread, which Django takes for asynchronous code
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


# Not for the session: while playwright is open, its event loop is in the way of other tests.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium; without one the tests are skipped, but never where CI runs them."""
    if CHROMIUM is None:
        message = "There is no Chromium on PATH."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def port() -> int:
    """One port for all tests, so that the browser may keep what it has loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def site(transactional_db: None, grid_time: Any, port: int) -> Iterator[Site]:
    """The site over the test database, in a thread of this process."""
    apart(seed_grid, grid_time.now)
    config = uvicorn.Config(
        "controlplane.asgi:application",
        port=port,
        log_level="warning",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started
    yield Site(f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def plan(site: Site, operator2: Any, grid_time: Any) -> Any:
    """A plan from Beijing to Horinger, proposed by operator2."""
    return apart(proposed_plan, operator2, grid_time.now)


@pytest.fixture(scope="module")
def window(chromium: Browser) -> BrowserContext:
    """One browser window for all tests: its cookies go, what it has loaded stays."""
    context = chromium.new_context(viewport={"width": 1680, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture
def visit(site: Site, window: BrowserContext) -> Iterator[Callable[..., Visit]]:
    """Opens a page for a person: `visit(person, "/alerts/", lang="en", theme="dark")`."""

    def go(person: Any, path: str = "/grid/", *, lang: str = "en", theme: str = "dark") -> Visit:
        client = Client()
        client.force_login(person)
        session = client.cookies["sessionid"].value
        window.add_cookies(
            [
                {"name": "sessionid", "value": session, "url": site.url},
                {"name": "tiaodu_lang", "value": lang, "url": site.url},
                {"name": "tiaodu_theme", "value": theme, "url": site.url},
            ]
        )
        made = Visit(window.new_page(), site.url)
        made.listen()
        made.page.goto(f"{site.url}{path}")
        return made

    yield go
    window.set_offline(False)
    for page in window.pages:
        page.close()
    window.clear_cookies()
