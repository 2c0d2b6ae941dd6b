"""``python -m console.screenshot``: take the pictures of the documentation from a running console.

Needs Playwright and Chromium, which the console itself does not.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Error, expect, sync_playwright

_CHROMIUM: Final = "/usr/bin/chromium"
_ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_FOLDER: Final = Path(__file__).parents[1] / "docs" / "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture. ``path`` is a page's; ``first`` follows the first link that fits, if any."""

    name: str
    path: str = "/"
    first: str = ""
    width: int = 1280
    height: int = 900
    locale: str = "en"
    scheme: Literal["light", "dark"] = "light"


_PICTURES: Final = (
    Picture(name="console-overview"),
    Picture(name="console-taxpayer", first="article h3 a", height=1500, scheme="dark"),
    Picture(name="console-alerts", path="/alerts", height=700),
    Picture(name="console-mobile", width=390, height=1200, locale="zh-CN"),
)


def main() -> int:
    """Take them all; the answer is the exit code."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
            for picture in _PICTURES:
                _take(browser, picture, arguments.url.rstrip("/"), arguments.out)
            browser.close()
    except Error as error:
        print(f"screenshot: {error.message.splitlines()[0]}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _take(browser: Browser, picture: Picture, url: str, folder: Path) -> None:
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        locale=picture.locale,
        color_scheme=picture.scheme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url + picture.path)
    if picture.first:
        page.locator(picture.first).first.click()
    expect(page.locator("html")).to_have_attribute("data-stream", "open")
    if page.locator("[data-chart]").count():
        expect(page.locator("html")).to_have_attribute("data-charts", "drawn")
    page.screenshot(path=folder / f"{picture.name}.png")
    context.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m console.screenshot", description="Take pictures of a running console."
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where the console is")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="where the pictures go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
