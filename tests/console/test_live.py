"""What is on the page follows the gateway by itself, for every tab, and over a restart of it."""

import re
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from taxcontrol.admin.v1.alert_pb2 import Alert
from tests.console import facts
from tests.console.conftest import Stage, Visitor, console


def marked(page: Page) -> bool:
    """Whether the page is the document it was when ``mark`` was called: nothing has loaded it anew."""
    return bool(page.evaluate("window.stillHere === true"))


def mark(page: Page) -> None:
    """Mark the document."""
    page.evaluate("window.stillHere = true")


def test_figures_follow_without_a_reload(stage: Stage, visitor: Visitor) -> None:
    page = visitor.open("/")
    mark(page)
    expect(page.locator(".vitals")).to_contain_text("1,284")

    def change() -> None:
        stage.gateway.view.issued_per_minute = 4321
        stage.gateway.taxpayer(facts.RAILWAY).stock[1].available_count = 1234

    stage.gateway.changing(change)

    expect(page.locator(".vitals")).to_contain_text("4,321")
    row = page.locator(f"#stock-{facts.RAILWAY.split('/')[1]}-0-026")
    expect(row).to_contain_text("1,234")
    assert marked(page)


def test_focus_and_what_is_drawn_stay_where_they_are(stage: Stage, visitor: Visitor) -> None:
    page = visitor.open("/")
    expect(page.locator("html")).to_have_attribute("data-charts", "drawn")
    page.locator("#link-7").focus()

    def change() -> None:
        stage.gateway.view.uploaded_per_minute = 777

    stage.gateway.changing(change)

    expect(page.locator(".vitals")).to_contain_text("777")
    assert page.evaluate("document.activeElement.id") == "link-7"
    assert page.locator(".chart canvas").count() == 3


def test_a_new_alert_is_shown_counted_and_announced_and_goes_when_it_is_over(
    stage: Stage, visitor: Visitor
) -> None:
    page = visitor.open("/alerts")
    expect(page.locator("html")).to_have_attribute("data-stream", "open")
    expect(page).to_have_title("(2) Alerts · Tax desk")

    stage.gateway.raise_alert(
        Alert(
            name="alerts/50",
            kind=Alert.KIND_HSM_UNAVAILABLE,
            state=Alert.STATE_RAISED,
            severity=Alert.SEVERITY_CRITICAL,
            message="Device <1> does not sign.",
            raise_time=facts.at(time.time()),
        )
    )

    expect(page.locator(".alert").first).to_contain_text("Device <1> does not sign.")
    expect(page.locator("#news")).to_contain_text("New alert, Critical: Device <1> does not sign.")
    expect(page).to_have_title("(3) Alerts · Tax desk")

    stage.gateway.resolve_alert("alerts/50")

    expect(page.locator("#row-50")).to_have_count(0)
    expect(page).to_have_title("(2) Alerts · Tax desk")


def test_all_tabs_share_one_watch_of_the_gateway(stage: Stage, visitor: Visitor) -> None:
    pages = [visitor.open("/") for _ in range(3)]
    for page in pages:
        expect(page.locator("html")).to_have_attribute("data-stream", "open")

    assert stage.gateway.watch_count == 1


def test_the_page_stays_while_the_gateway_restarts_and_heals_by_itself(
    stage: Stage, visitor: Visitor
) -> None:
    page = visitor.open(f"/{facts.RAILWAY}")
    mark(page)
    expect(page.locator("html")).to_have_attribute("data-charts", "drawn")

    stage.serving.stop()

    banner = page.locator(".banner")
    expect(banner).to_contain_text(re.compile(r"The gateway has been away since \d\d:\d\d"))
    expect(page.locator(".pill")).to_contain_text("Gateway away")
    expect(page.locator("main")).to_contain_text("18,412")
    expect(page.locator(".stale")).to_have_count(1)
    elsewhere = visitor.open("/audit")
    expect(elsewhere.locator(".failure")).to_contain_text("UNAVAILABLE")
    elsewhere.close()

    stage.gateway.changing(lambda: stage.gateway.alerts.pop("alerts/9", None) and None)
    stage.serving.start()

    expect(banner).to_have_count(0)
    expect(page.locator(".stale")).to_have_count(0)
    expect(page.locator(".pill")).to_contain_text("Live")
    expect(page.locator("#row-9")).to_have_count(0)
    assert marked(page)


def test_a_tab_that_nobody_looks_at_holds_no_stream_and_is_whole_when_looked_at(
    stage: Stage, visitor: Visitor
) -> None:
    page = visitor.open("/")
    expect(page.locator("html")).to_have_attribute("data-stream", "open")
    look_away(page, hidden=True)

    def change() -> None:
        stage.gateway.view.issued_per_minute = 9_999

    with page.expect_request("**/live/overview"):
        stage.gateway.changing(change)
        watcher = visitor.open("/")
        expect(watcher.locator(".vitals")).to_contain_text("9,999")
        assert "9,999" not in page.locator(".vitals").inner_text()
        look_away(page, hidden=False)

    expect(page.locator(".vitals")).to_contain_text("9,999")


def look_away(page: Page, *, hidden: bool) -> None:
    """What a browser tells a page whose tab is left, or come back to."""
    page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_the_page_heals_over_a_restart_of_the_console(
    stage: Stage, visitor: Visitor, tmp_path: Path
) -> None:
    first = console(tmp_path / "first.log", "--target", stage.serving.target)
    address = first.start()
    second = console(tmp_path / "second.log", "--target", stage.serving.target, "--listen", address)
    visitor.origin = f"http://{address}"
    page = visitor.open("/")
    try:
        expect(page.locator("html")).to_have_attribute("data-stream", "open")
        assert first.stop() == 0
        expect(page.locator(".pill")).to_contain_text("Console not reached; trying again")
        second.start()
        expect(page.locator(".pill")).to_contain_text("Live")
        page.close()
    finally:
        second.stop()
