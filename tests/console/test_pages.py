"""Every page in both languages, bright and dark, wide and narrow: for everybody, and from here alone."""

import re
from itertools import pairwise
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.console import facts
from tests.console.conftest import Stage, Visitor, visiting

PATHS = (
    "/",
    "/alerts",
    f"/{facts.LOW}",
    f"/{facts.REJECTED}",
    f"/{facts.RAILWAY}",
    f"/{facts.RAILWAY}/uploads/pause",
    f"/{facts.RAILWAY}/uploads/resume",
    f"/{facts.RAILWAY}/uploads/rate",
    "/devices",
    f"/{facts.DEVICE}",
    "/invoices",
    f"/{facts.INVOICE}",
    "/audit",
    "/operator",
    "/alerts/nothing",
    "/nowhere",
)


WIDTHS = (1280, 390)
# What passes need not be worked out in full.
ONLY_VIOLATIONS = {"resultTypes": ["violations"]}


def settle(page: Page) -> None:
    """Wait until everything is drawn: what only appears later is looked at as well."""
    expect(page.locator("html")).to_have_attribute("data-stream", "open")
    if page.locator("[data-chart]").count():
        expect(page.locator("html")).to_have_attribute("data-charts", "drawn")


@pytest.mark.parametrize(("locale", "scheme"), [("en", "light"), ("zh-CN", "dark")])
def test_nothing_stands_in_the_way_of_anybody(
    stage: Stage, browser: Browser, locale: str, scheme: Literal["light", "dark"]
) -> None:
    found: list[tuple[str, ...]] = []
    for visitor in visiting(stage, browser, locale=locale):
        for path in PATHS:
            page = visitor.open(path)
            page.emulate_media(color_scheme=scheme)
            settle(page)
            assert page.locator("html").get_attribute("lang") == locale
            assert heading_levels_are_in_order(page), path
            violations = Axe().run(page, options=ONLY_VIOLATIONS).response["violations"]
            found += [(path, one["id"], one["nodes"][0]["html"]) for one in violations]
            found += [(path, f"wider than {width}") for width in WIDTHS if too_wide(page, width)]
            page.close()

    assert found == []


def too_wide(page: Page, width: int) -> bool:
    """Whether the page has to be pushed sideways on a screen so wide."""
    page.set_viewport_size({"width": width, "height": 900})
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def heading_levels_are_in_order(page: Page) -> bool:
    """Whether headings begin with one h1 and never leave a level out on the way down."""
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])"
    )
    return (
        levels[0] == 1
        and levels.count(1) == 1
        and all(after - before <= 1 for before, after in pairwise(levels))
    )


def test_a_grade_is_never_said_by_colour_alone(visitor: Visitor) -> None:
    page = visitor.open("/")

    for badge in page.locator(".badge").all():
        assert badge.locator("svg.icon").count() == 1
        assert badge.inner_text().strip()
    for row in page.locator("td.forecast:has(svg.icon)").all():
        assert re.match(r"(Warning|Restricted|Stopped): ", row.text_content() or "")


def test_less_motion_is_given_to_who_asks_for_it(stage: Stage, browser: Browser) -> None:
    for visitor in visiting(stage, browser):
        page = visitor.open("/")
        page.emulate_media(reduced_motion="reduce")
        moving = page.evaluate("getComputedStyle(document.querySelector('.bar .fill')).transition")

        assert moving == "none"


@pytest.mark.parametrize(
    "typed",
    ["011002600111-00000042", "011002600111 00000042", facts.INVOICE, facts.REQUEST_ID],
)
def test_an_invoice_is_found_by_whatever_names_it(visitor: Visitor, typed: str) -> None:
    page = visitor.open("/invoices")
    page.get_by_label("Number, name, request id or QR text").fill(typed)

    page.get_by_role("button", name="Look up").click()

    expect(page).to_have_url(re.compile(facts.INVOICE + "$"))
    expect(page.locator("h1")).to_have_text("011002600111 00000042")
    # What others wrote is text, never mark-up.
    expect(page.locator("main")).to_contain_text("上海<b>远航</b>贸易有限公司")
    assert page.locator("main b:text('远航')").count() == 0


def test_a_qr_text_is_judged_and_stands_in_no_address(visitor: Visitor) -> None:
    page = visitor.open("/invoices")
    field = page.get_by_label("Number, name, request id or QR text")
    field.fill(facts.QR_TEXT)
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#verdict")).to_contain_text("Genuine")
    expect(page).to_have_url(re.compile("/invoices$"))

    field.fill(facts.QR_TEXT.replace("113.00", "999.00"))
    page.get_by_role("button", name="Look up").click()

    expect(page.locator("#verdict")).to_contain_text("Not ours")


def test_an_unknown_invoice_is_refused_by_name_with_advice(visitor: Visitor) -> None:
    page = visitor.open("/invoices")
    page.get_by_label("Number, name, request id or QR text").fill("99999999")

    page.get_by_role("button", name="Look up").click()

    expect(page.locator(".failure")).to_contain_text("INVOICE_NOT_FOUND")
    expect(page.locator(".failure")).to_contain_text("Check code and number.")


def test_the_language_is_kept_and_the_page_with_it(visitor: Visitor) -> None:
    page = visitor.open(f"/{facts.RAILWAY}?hours=72")

    page.get_by_role("button", name="中文").click()

    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page).to_have_url(re.compile(r"\?hours=72$"))
    expect(visitor.open("/devices")).to_have_title("(2) 设备 · 税控台")
