"""A console of its own process before a fake gateway, and a browser that reports what it must not see."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, sync_playwright

from sandbox.process import Process
from tests.console import scene
from tests.console.fake_gateway import FakeGateway
from tests.console.serving import Serving

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 10_000
# What gRPC's own core writes when a gateway goes away.
_GRPC_CORE = "chttp2_transport.cc"


@dataclass(frozen=True, slots=True)
class Stage:
    """A console and the gateway it looks at."""

    gateway: FakeGateway
    serving: Serving
    url: str


@dataclass
class Visitor:
    """One browser session. ``troubles`` are console errors, CSP violations and foreign requests."""

    context: BrowserContext
    origin: str
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Open a page in a tab of its own."""
        page = self.context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.goto(self.origin + path)
        return page

    def guard(self, route: Route, request: Request) -> None:
        """Let a request of the console's own origin through, and no other."""
        if request.url.startswith(self.origin + "/"):
            route.fallback()
        else:
            self.troubles.append(f"request to {request.url}")
            route.abort()

    def _said(self, kind: str, text: str) -> None:
        # A refusal is sent with its status, which the browser puts on its console; the tests look at it.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.troubles.append(text)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A console that has the scene's desk before it."""
    gateway = scene.make()
    serving = Serving(gateway)
    serving.start()
    log = tmp_path_factory.mktemp("console") / "console.log"
    process = console(log, "--target", serving.target)
    address = process.start()
    try:
        yield Stage(gateway, serving, f"http://{address}")
    finally:
        status = process.stop()
        serving.stop()
    assert status == 0
    said = [line for line in log.read_text().splitlines() if _GRPC_CORE not in line]
    assert said == [], "a console has nothing to say, and nobody's data in its log"


def console(log: Path, *arguments: str) -> Process:
    """A console's process; ``--listen`` a free port unless told otherwise."""
    command = [sys.executable, "-m", "console", "--listen", "127.0.0.1:0", *arguments]
    return Process("console", command, log=log)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def visitor(stage: Stage, browser: Browser) -> Iterator[Visitor]:
    """Somebody who reads English, with a browser that must have nothing to complain of."""
    yield from visiting(stage, browser, locale="en")


def visiting(
    stage: Stage, browser: Browser, *, locale: str = "en", width: int = 1280, script: bool = True
) -> Iterator[Visitor]:
    """A session of a browser; at its end nothing may have gone wrong in it."""
    context = browser.new_context(
        locale=locale,
        viewport={"width": width, "height": 900},
        java_script_enabled=script,
        color_scheme="light",
    )
    made = Visitor(context, stage.url)
    context.route("**/*", made.guard)
    try:
        yield made
    finally:
        context.close()
    assert made.troubles == []


@pytest.fixture
def client(stage: Stage) -> Iterator[httpx.Client]:
    """A client without a browser's manners."""
    with httpx.Client(base_url=stage.url, trust_env=False) as made:
        yield made
