"""What an operator does from the page: said first, tried dry, done once, in their name."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from taxcontrol.admin.v1.alert_pb2 import Alert
from tests.console import facts
from tests.console.conftest import Stage, Visitor, visiting

SHOP_PAGE = f"/{facts.SHOP}"


def records(stage: Stage, action: str, target: str) -> list[tuple[str, str]]:
    """Who did it and why, as the gateway has it on record."""
    return [
        (one.actor, one.reason)
        for one in stage.gateway.audit
        if (one.action, one.target) == (action, target)
    ]


def ask_for_a_pause(page: Page, reason: str, *, operator: str = "zhang.san") -> None:
    """Fill in the form of a pause until somebody resumes, and look at what it means."""
    page.get_by_label("until somebody resumes them").check()
    page.get_by_label("Why").fill(reason)
    if page.get_by_label("Your name").count():
        page.get_by_label("Your name").fill(operator)
    page.get_by_role("button", name="Show what it means").click()


def test_an_alert_is_acknowledged_with_who_and_why(stage: Stage, visitor: Visitor) -> None:
    page = visitor.open("/alerts")
    page.get_by_role("link", name="Stock is low").click()
    page.get_by_label("What is done about it").fill("Numbers are on their way.")
    page.get_by_label("Your name").fill("li.na")

    page.get_by_role("button", name="Acknowledge").click()

    expect(page.locator(".notice")).to_contain_text("Noted: you look after this alert.")
    expect(page.locator("#acknowledge")).to_contain_text("li.na")
    expect(page.locator("#acknowledge")).to_contain_text("Numbers are on their way.")
    alert = stage.gateway.alerts[facts.LOW]
    assert (alert.state, alert.acknowledged_by) == (Alert.STATE_ACKNOWLEDGED, "li.na")
    assert records(stage, "acknowledge_alert", facts.LOW) == [
        ("li.na", "Numbers are on their way.")
    ]
    page.reload()
    expect(page.locator(".notice")).to_have_count(0)


def test_a_pause_is_tried_dry_stated_and_done_only_when_confirmed(
    stage: Stage, visitor: Visitor
) -> None:
    page = visitor.open(f"/{facts.RAILWAY}")
    page.get_by_role("link", name="Pause uploads…").click()
    ask_for_a_pause(page, "The line is being mended.")

    effect = page.locator(".effect")
    expect(effect).to_contain_text("until somebody resumes the uploads")
    expect(effect).to_contain_text("18,412 events wait")
    expect(effect).to_contain_text("The pause may last until issuing stops.")
    assert [one.reason for one in stage.gateway.dry] == ["The line is being mended."]
    assert records(stage, "pause_uploads", facts.RAILWAY) == []

    page.get_by_role("button", name="Pause uploads").click()

    expect(page.locator(".notice")).to_contain_text("Uploads are paused.")
    expect(page.locator(".steer")).to_contain_text("Uploads paused")
    expect(page.locator(".steer")).to_contain_text("The line is being mended.")
    done = ("zhang.san", "The line is being mended.")
    assert records(stage, "pause_uploads", facts.RAILWAY) == [done]

    page.get_by_role("link", name="Resume uploads…").click()
    page.get_by_role("button", name="Show what it means").click()
    page.get_by_role("button", name="Resume uploads").click()

    expect(page.locator(".steer")).not_to_contain_text("Uploads paused")
    assert records(stage, "resume_uploads", facts.RAILWAY) == [("zhang.san", "")]


def test_cancel_does_nothing(stage: Stage, visitor: Visitor) -> None:
    page = visitor.open(f"/{facts.SCHOOL}/uploads/pause")
    ask_for_a_pause(page, "On second thoughts")

    page.get_by_role("link", name="Cancel").click()

    expect(page).to_have_url(re.compile(facts.SCHOOL + "$"))
    assert records(stage, "pause_uploads", facts.SCHOOL) == []
    assert not stage.gateway.taxpayer(facts.SCHOOL).upload.paused


def test_a_form_that_is_sent_twice_does_it_once(stage: Stage, visitor: Visitor) -> None:
    page = visitor.open(f"{SHOP_PAGE}/uploads/pause")
    ask_for_a_pause(page, "Sent twice")
    page.get_by_role("button", name="Pause uploads").click()
    expect(page.locator(".notice")).to_contain_text("Uploads are paused.")

    page.go_back()
    page.get_by_role("button", name="Pause uploads").click()

    expect(page.locator(".notice")).to_contain_text("That was done already")
    assert len(records(stage, "pause_uploads", facts.SHOP)) == 1


def test_the_rate_is_lowered_and_never_raised(stage: Stage, visitor: Visitor) -> None:
    page = visitor.open(f"/{facts.RAILWAY}/uploads/rate")
    page.get_by_label("in 1 s").fill("11")
    page.get_by_label("Why").fill("Night")
    page.get_by_label("Your name").fill("zhang.san")
    page.get_by_role("button", name="Show what it means").click()
    expect(page.locator(".error")).to_contain_text("A whole number from 1 to 10.")

    page.get_by_label("in 1 s").fill("4")
    page.get_by_role("button", name="Show what it means").click()
    expect(page.locator(".effect")).to_contain_text("At most 4 calls in 1 s, instead of 10.")
    page.get_by_role("button", name="Set the rate").click()

    expect(page.locator(".steer")).to_contain_text("9 of 4 calls in 1 s")
    assert records(stage, "set_upload_rate", facts.RAILWAY) == [("zhang.san", "Night")]


def test_a_refusal_is_named_with_advice_and_the_form_keeps_what_was_typed(
    stage: Stage, visitor: Visitor
) -> None:
    alert = Alert(name="alerts/60", state=Alert.STATE_RAISED, message="gone soon")
    stage.gateway.raise_alert(alert)
    page = visitor.open("/alerts/60")
    page.get_by_label("What is done about it").fill("Too late")
    page.get_by_label("Your name").fill("li.na")
    stage.gateway.resolve_alert("alerts/60")

    page.get_by_role("button", name="Acknowledge").click()

    box = page.locator(".failure")
    expect(box).to_contain_text("ALERT_NOT_OPEN")
    expect(box).to_contain_text("Look at the alert as it is now")
    assert records(stage, "acknowledge_alert", "alerts/60") == []


def test_the_keyboard_alone_takes_an_alert_on(stage: Stage, visitor: Visitor) -> None:
    stage.gateway.raise_alert(
        Alert(
            name="alerts/61",
            kind=Alert.KIND_LEDGER_UNWRITABLE,
            state=Alert.STATE_RAISED,
            severity=Alert.SEVERITY_CRITICAL,
            message="The disk is full.",
        )
    )
    page = visitor.open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "link-61"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"

    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/61")
    tab_to(page, "reason")
    page.keyboard.type("I make room.")
    page.keyboard.press("Tab")
    page.keyboard.type("li.na")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator(".notice")).to_contain_text("Noted")
    assert records(stage, "acknowledge_alert", "alerts/61") == [("li.na", "I make room.")]


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until the element of that id has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == wanted:
            return
    pytest.fail(f"Tab does not lead to {wanted}")


def test_without_script_everything_is_there_but_the_live_updates(
    stage: Stage, browser: Browser
) -> None:
    for visitor in visiting(stage, browser, script=False):
        page = visitor.open("/")
        expect(page.locator(".vitals")).to_contain_text("Un-uploaded")
        page.locator("h3").get_by_role("link", name="浦东新区晨光学校").click()
        page.locator("summary").click()
        expect(page.locator("details table")).to_be_visible()
        page.get_by_role("link", name="Pause uploads…").click()
        ask_for_a_pause(page, "No script", operator="wang.wu")
        page.get_by_role("button", name="Pause uploads").click()
        expect(page.locator(".notice")).to_contain_text("Uploads are paused.")
        page.get_by_role("button", name="中文").click()
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page).to_have_url(re.compile(facts.SCHOOL + "$"))

    assert records(stage, "pause_uploads", facts.SCHOOL) == [("wang.wu", "No script")]
