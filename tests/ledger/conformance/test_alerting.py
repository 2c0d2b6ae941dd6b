"""Alerts are stored once, told in order and to the end, and each webhook has every change it wants."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from invoice.errors import AlertNotFound, AlertNotOpen, RequestIdReused, TaxpayerNotFound
from ledger.alert_records import (
    AlertChangeRecord,
    AlertNews,
    AlertPlace,
    AlertRecord,
    AlertThresholdsRecord,
    DeliveryCounts,
)
from ledger.port import Ledger
from ledger.records import Act, Binding
from tests.ledger import building
from tests.ledger.building import ACT, NOW, OTHER_TAX_NUMBER, TAX_NUMBER, TENANT, TYPE
from tests.ledger.conformance.conftest import Books

STOCK = AlertPlace("STOCK_LOW", TAX_NUMBER, point=0, type=TYPE)
DEVICE = AlertPlace("HSM_UNAVAILABLE", OTHER_TAX_NUMBER, "661000000002")
CLOCK = AlertPlace("CLOCK_SKEW")
NEWEST = 2**63 - 1
SEED = 20_261_201


def nobody(change: AlertChangeRecord) -> Sequence[str]:
    del change
    return ()


def pager(change: AlertChangeRecord) -> Sequence[str]:
    """All to one webhook, what is raised to another too."""
    return ("pager", "chat") if change.what == "RAISED" else ("pager",)


def news(what: str, place: AlertPlace = STOCK, at: float = NOW, **shown: str) -> AlertNews:
    """News of the alert that was raised at ``NOW``."""
    said = AlertNews(
        what=what,
        place=place,
        raised_at=NOW,
        at=at,
        severity="WARNING",
        message="Stock is low.",
        message_zh="库存不足。",
        facts={"available_count": "20"},
        limit_at=NOW + 7200.5,
    )
    return replace(said, **shown)  # type: ignore[arg-type]


async def store(ledger: Ledger, *wanted: AlertNews) -> list[AlertChangeRecord]:
    return await ledger.store_alerts(TENANT, wanted, targets=pager)


async def raise_one(ledger: Ledger, place: AlertPlace = STOCK) -> AlertRecord:
    [change] = await store(ledger, news("RAISED", place))
    return change.alert


async def acknowledge(
    ledger: Ledger,
    alert_id: int,
    bound: Binding | None = None,
    *,
    act: Act = ACT,
    dry_run: bool = False,
) -> tuple[AlertRecord, bool]:
    bound = bound or building.binding("acknowledge_alert", alert_id=alert_id)
    return await ledger.acknowledge_alert(
        alert_id, binding=bound, act=act, targets=pager, dry_run=dry_run
    )


async def told(ledger: Ledger, tenant: str = TENANT, *, after: int = 0) -> list[tuple[int, str]]:
    changes, _ = await ledger.alert_changes(tenant, "", after=after, count_max=1000)
    return [(change.change_number, change.what) for change in changes]


async def listed(ledger: Ledger, tenant: str = TENANT, **asked: object) -> list[int]:
    wanted = {"tax_number": "", "kind": "", "standing_only": False, "before": NEWEST}
    found = await ledger.alerts(tenant, **{**wanted, "count_max": 100, **asked})  # type: ignore[arg-type]
    return [alert.alert_id for alert in found]


async def waiting(ledger: Ledger, target: str) -> list[int]:
    """Have everything a webhook is to have, and answer the changes."""
    had = list[int]()
    for _ in range(100):
        delivery = await ledger.next_delivery(target)
        if delivery is None:
            return had
        had.append(delivery.change.change_number)
        await ledger.end_delivery(delivery.delivery_id, delivered=True, error="", now=NOW + 99)
    raise AssertionError(f"there is no end of what {target} is to have: {had}")


async def test_what_is_raised_stands_as_it_was_told(ledger: Ledger) -> None:
    raised = await raise_one(ledger)

    assert raised == AlertRecord(
        alert_id=1,
        tenant=TENANT,
        place=STOCK,
        state="RAISED",
        severity="WARNING",
        message="Stock is low.",
        message_zh="库存不足。",
        facts={"available_count": "20"},
        limit_at=NOW + 7200.5,
        drained_at=None,
        raised_at=NOW,
        updated_at=NOW,
    )
    assert await ledger.standing_alerts(TENANT) == [raised]
    [change], reached = await ledger.alert_changes(TENANT, "", after=0, count_max=10)
    assert (change.change_number, change.alert, reached) == (1, raised, 1)


async def test_the_same_news_twice_is_once(ledger: Ledger) -> None:
    batch = [
        news("RAISED"),
        news("RAISED", CLOCK),
        news("UPDATED", at=NOW + 1, severity="SERIOUS"),
        news("UPDATED", at=NOW + 2, severity="CRITICAL"),
        news("RESOLVED", CLOCK, NOW + 3),
    ]

    first = await store(ledger, *batch)
    stood = await ledger.standing_alerts(TENANT)
    again = await store(ledger, *batch)

    assert [change.change_number for change in first] == [1, 2, 3, 4, 5]
    assert again == []
    assert await ledger.standing_alerts(TENANT) == stood
    assert await ledger.delivery_counts() == DeliveryCounts(7, NOW)
    [later] = await store(ledger, news("UPDATED", at=NOW + 4))
    assert later.change_number == 6


async def test_news_stored_again_undoes_nothing_that_came_after_it(ledger: Ledger) -> None:
    raised = await raise_one(ledger)
    update = news("UPDATED", at=NOW + 1, message="Stock is lower.")
    await store(ledger, update)
    await acknowledge(ledger, raised.alert_id, act=replace(ACT, at=NOW + 5))
    [before] = await ledger.standing_alerts(TENANT)

    assert await store(ledger, news("RAISED"), update) == []
    assert await ledger.standing_alerts(TENANT) == [before]
    assert before.updated_at == NOW + 5


async def test_only_one_stands_at_a_place_and_the_next_is_another(ledger: Ledger) -> None:
    await raise_one(ledger)
    later = replace(news("RAISED"), raised_at=NOW + 9, at=NOW + 9)

    refused = await store(ledger, later)
    await store(ledger, news("RESOLVED", at=NOW + 8))
    [change] = await store(ledger, later)

    assert refused == []
    assert (change.change_number, change.alert.state) == (3, "RAISED")
    assert await listed(ledger, standing_only=True) == [change.alert.alert_id]
    assert len(await listed(ledger)) == 2


@pytest.mark.parametrize("what", ["UPDATED", "RESOLVED"])
async def test_nothing_becomes_of_what_does_not_stand(ledger: Ledger, what: str) -> None:
    never = await store(ledger, news(what))
    await store(ledger, news("RAISED"), news("RESOLVED", at=NOW + 1))
    over = await store(ledger, news(what, at=NOW + 2))

    assert (never, over) == ([], [])
    assert await told(ledger) == [(1, "RAISED"), (2, "RESOLVED")]


async def test_a_snapshot_and_what_follows_it_miss_nothing_and_tell_nothing_twice(
    storage: Books,
) -> None:
    ledger = await storage.open()
    random = Random(SEED)
    places = [*(STOCK._replace(point=number) for number in range(5)), CLOCK]
    raised_at: dict[AlertPlace, float] = {}
    seen: dict[int, AlertRecord] | None = None
    position, numbers = 0, list[int]()
    for at in range(120):
        place = random.choice(places)
        said = random.choice(("UPDATED", "RESOLVED")) if place in raised_at else "RAISED"
        began = raised_at.setdefault(place, NOW + at)
        await store(ledger, replace(news(said, place, NOW + at), raised_at=began))
        if said == "RESOLVED":
            del raised_at[place]
        if at % 40 == 17:
            ledger = await storage.open()  # the watch is resumed behind a restart
        if seen is None and at == 30:
            stands, position = await ledger.alert_snapshot(TENANT, "")
            seen = {alert.alert_id: alert for alert in stands}
            joined_at = position
        elif seen is not None and random.random() < 0.3:
            changes, position = await ledger.alert_changes(TENANT, "", after=position, count_max=3)
            numbers += [change.change_number for change in changes]
            seen |= {change.alert.alert_id: change.alert for change in changes}
    assert seen is not None
    for _ in range(120):
        changes, position = await ledger.alert_changes(TENANT, "", after=position, count_max=3)
        numbers += [change.change_number for change in changes]
        seen |= {change.alert.alert_id: change.alert for change in changes}

    assert numbers == list(range(joined_at + 1, 121)), SEED
    standing = [alert for _, alert in sorted(seen.items()) if alert.state != "RESOLVED"]
    assert standing == await ledger.standing_alerts(TENANT), SEED
    assert [one for word in ledger.check_books() for one in word.findings] == []


async def test_one_taxpayers_watch_has_its_own_and_the_gateways(ledger: Ledger) -> None:
    await store(ledger, news("RAISED"), news("RAISED", DEVICE), news("RAISED", CLOCK))
    await store(ledger, news("UPDATED", DEVICE, NOW + 1))

    stands, position = await ledger.alert_snapshot(TENANT, TAX_NUMBER)
    changes, reached = await ledger.alert_changes(TENANT, TAX_NUMBER, after=0, count_max=10)
    some, up_to = await ledger.alert_changes(TENANT, TAX_NUMBER, after=0, count_max=1)

    assert ([alert.place for alert in stands], position) == ([STOCK, CLOCK], 4)
    assert ([change.alert.place for change in changes], reached) == ([STOCK, CLOCK], 4)
    assert ([change.change_number for change in some], up_to) == ([1], 1)


async def test_a_change_shows_the_alert_as_it_left_it(ledger: Ledger) -> None:
    alert_id = (await raise_one(ledger)).alert_id
    await store(ledger, news("UPDATED", at=NOW + 1, severity="CRITICAL"))
    await acknowledge(ledger, alert_id, act=replace(ACT, at=NOW + 2))
    await store(ledger, news("RESOLVED", at=NOW + 3))

    changes, _ = await ledger.alert_changes(TENANT, "", after=0, count_max=10)

    assert [
        (change.what, change.at - NOW, change.alert.state, change.alert.severity)
        for change in changes
    ] == [
        ("RAISED", 0, "RAISED", "WARNING"),
        ("UPDATED", 1, "RAISED", "CRITICAL"),
        ("ACKNOWLEDGED", 2, "ACKNOWLEDGED", "CRITICAL"),
        ("RESOLVED", 3, "RESOLVED", "CRITICAL"),
    ]
    last = changes[-1].alert
    assert (last.acknowledged_by, last.acknowledged_at, last.resolved_at) == (
        "operator",
        NOW + 2,
        NOW + 3,
    )


class TestAcknowledging:
    """Who looks after an alert, and why."""

    async def test_it_is_noted_told_and_on_record(self, ledger: Ledger) -> None:
        raised = await raise_one(ledger)
        act = Act(actor="li", reason="refilling", at=NOW + 2)

        alert, replayed = await acknowledge(ledger, raised.alert_id, act=act)

        assert not replayed
        assert (alert.state, alert.acknowledged_by, alert.acknowledge_reason) == (
            "ACKNOWLEDGED",
            "li",
            "refilling",
        )
        assert await ledger.standing_alerts(TENANT) == [alert]
        assert await told(ledger) == [(1, "RAISED"), (2, "ACKNOWLEDGED")]
        assert await waiting(ledger, "pager") == [1, 2]
        [record] = await ledger.audit_records(
            TENANT, parent=f"alerts/{alert.alert_id}", actor="", before=NEWEST, count_max=9
        )
        assert (record.actor, record.action, record.reason, record.at) == (
            "li",
            "acknowledge_alert",
            "refilling",
            NOW + 2,
        )

    async def test_a_retry_is_answered_and_not_done_again(self, ledger: Ledger) -> None:
        raised = await raise_one(ledger)
        bound = building.binding("acknowledge_alert", alert_id=raised.alert_id)

        first, _ = await acknowledge(ledger, raised.alert_id, bound)
        await store(ledger, news("RESOLVED", at=NOW + 1))
        again, replayed = await acknowledge(ledger, raised.alert_id, bound)

        assert replayed
        assert again == replace(first, state="RESOLVED", resolved_at=NOW + 1, updated_at=NOW + 1)
        assert len(await told(ledger)) == 3
        with pytest.raises(RequestIdReused):
            await acknowledge(ledger, 1, replace(bound, request=b'{"alert_id":2}'))

    async def test_what_is_acknowledged_or_over_is_refused(self, ledger: Ledger) -> None:
        raised = await raise_one(ledger)
        await acknowledge(ledger, raised.alert_id)
        with pytest.raises(AlertNotOpen) as acknowledged:
            await acknowledge(ledger, raised.alert_id)
        await store(ledger, news("RESOLVED", at=NOW + 1))
        with pytest.raises(AlertNotOpen) as over:
            await acknowledge(ledger, raised.alert_id)
        with pytest.raises(AlertNotFound):
            await acknowledge(ledger, raised.alert_id + 1)

        states = [refusal.value.facts["state"] for refusal in (acknowledged, over)]
        assert states == ["ACKNOWLEDGED", "RESOLVED"]
        assert len(await told(ledger)) == 3

    async def test_of_64_at_once_one_has_it(self, ledger: Ledger) -> None:
        raised = await raise_one(ledger)

        answers = await asyncio.gather(
            *(acknowledge(ledger, raised.alert_id) for _ in range(64)), return_exceptions=True
        )

        refused = [answer for answer in answers if isinstance(answer, AlertNotOpen)]
        assert (len(refused), len(answers)) == (63, 64)
        assert await told(ledger) == [(1, "RAISED"), (2, "ACKNOWLEDGED")]

    async def test_tried_dry_nothing_changes(self, ledger: Ledger) -> None:
        raised = await raise_one(ledger)
        bound = building.binding("acknowledge_alert", alert_id=raised.alert_id)

        shown, _ = await acknowledge(ledger, raised.alert_id, bound, dry_run=True)

        assert shown.state == "ACKNOWLEDGED"
        assert await ledger.standing_alerts(TENANT) == [raised]
        assert await told(ledger) == [(1, "RAISED")]
        assert await waiting(ledger, "pager") == [1]
        assert await ledger.find_binding(TENANT, bound.request_id) is None
        await acknowledge(ledger, raised.alert_id, bound)
        assert await told(ledger, after=1) == [(2, "ACKNOWLEDGED")]


class TestListing:
    """Those raised last first, a page at a time."""

    async def test_pages_follow_each_other(self, ledger: Ledger) -> None:
        for number in range(7):
            await raise_one(ledger, STOCK._replace(point=number))

        pages, before = list[list[int]](), NEWEST
        for _ in range(4):
            pages.append(await listed(ledger, before=before, count_max=3))
            before = pages[-1][-1] if pages[-1] else before

        assert pages == [[7, 6, 5], [4, 3, 2], [1], []]

    async def test_they_are_chosen_by_taxpayer_kind_and_state(self, ledger: Ledger) -> None:
        await building.register(ledger)
        await store(ledger, news("RAISED"), news("RAISED", DEVICE), news("RAISED", CLOCK))
        await store(ledger, news("RESOLVED", at=NOW + 1))

        assert await listed(ledger) == [3, 2, 1]
        assert await listed(ledger, tax_number=TAX_NUMBER) == [3, 1]
        assert await listed(ledger, kind="HSM_UNAVAILABLE") == [2]
        assert await listed(ledger, standing_only=True) == [3, 2]
        assert await listed(ledger, tax_number=TAX_NUMBER, standing_only=True) == [3]
        with pytest.raises(TaxpayerNotFound):
            await listed(ledger, tax_number=OTHER_TAX_NUMBER)


async def test_tenants_hear_nothing_of_each_other(ledger: Ledger) -> None:
    await building.register(ledger)
    raised = await raise_one(ledger)
    elsewhere = building.binding("acknowledge_alert", tenant="other")
    [own] = await ledger.store_alerts("other", [news("RAISED", CLOCK)], targets=nobody)

    assert await ledger.standing_alerts("other") == [own.alert]
    assert await ledger.standing_alerts(TENANT) == [raised]
    assert await ledger.alert_snapshot("other", "") == ([own.alert], 2)
    assert (await told(ledger, "other"), await told(ledger)) == ([(2, "RAISED")], [(1, "RAISED")])
    assert (await listed(ledger, "other"), await listed(ledger)) == ([2], [1])
    with pytest.raises(TaxpayerNotFound):
        await listed(ledger, "other", tax_number=TAX_NUMBER)
    with pytest.raises(AlertNotFound):
        await acknowledge(ledger, raised.alert_id, elsewhere)
    with pytest.raises(TaxpayerNotFound):
        await ledger.alert_thresholds("other", TAX_NUMBER)
    with pytest.raises(TaxpayerNotFound):
        await set_thresholds(ledger, AlertThresholdsRecord(period_days=3), elsewhere)
    assert await ledger.store_alerts("other", [news("RESOLVED", at=NOW + 1)], targets=nobody) == []


async def set_thresholds(
    ledger: Ledger,
    wanted: AlertThresholdsRecord,
    bound: Binding | None = None,
    *,
    dry_run: bool = False,
) -> bool:
    bound = bound or building.binding("set_alert_thresholds", wanted=str(wanted))
    return await ledger.set_alert_thresholds(
        TAX_NUMBER, wanted, binding=bound, act=ACT, dry_run=dry_run
    )


class TestThresholds:
    """From where on a taxpayer's operators want to hear."""

    async def test_they_are_set_as_a_whole_and_kept(self, storage: Books) -> None:
        ledger = await storage.open()
        await building.register(ledger)
        default = await ledger.alert_thresholds(TENANT, TAX_NUMBER)
        wanted = AlertThresholdsRecord(
            unuploaded_count=1,
            unuploaded_amount_fen=2,
            unuploaded_age_s=3,
            certificate_days=4,
            period_days=5,
        )

        await set_thresholds(ledger, wanted)
        ledger = await storage.open()
        first = await ledger.alert_thresholds(TENANT, TAX_NUMBER)
        await set_thresholds(ledger, AlertThresholdsRecord(certificate_days=9))

        assert (default, first) == (AlertThresholdsRecord(), wanted)
        assert await ledger.all_alert_thresholds() == {
            TAX_NUMBER: AlertThresholdsRecord(certificate_days=9)
        }
        assert [one for word in ledger.check_books() for one in word.findings] == []

    async def test_once_each_and_on_record(self, ledger: Ledger) -> None:
        await building.register(ledger)
        bound = building.binding("set_alert_thresholds")
        wanted = AlertThresholdsRecord(period_days=3)

        replayed = [await set_thresholds(ledger, wanted, bound) for _ in range(2)]

        assert replayed == [False, True]
        [record, _] = await ledger.audit_records(
            TENANT, parent=f"taxpayers/{TAX_NUMBER}", actor="", before=NEWEST, count_max=9
        )
        assert (record.actor, record.action, record.reason) == (
            "operator",
            "set_alert_thresholds",
            "test",
        )

    async def test_tried_dry_nothing_changes(self, ledger: Ledger) -> None:
        await building.register(ledger)
        bound = building.binding("set_alert_thresholds")

        await set_thresholds(ledger, AlertThresholdsRecord(period_days=3), bound, dry_run=True)

        assert await ledger.all_alert_thresholds() == {}
        assert await ledger.find_binding(TENANT, bound.request_id) is None


class TestDeliveries:
    """Each webhook has every change it wants, in order, however often it has to be tried."""

    async def test_each_target_has_its_own_in_order(self, ledger: Ledger) -> None:
        await store(ledger, news("RAISED"), news("RAISED", CLOCK), news("UPDATED", at=NOW + 1))
        first = await ledger.next_delivery("pager")
        assert first is not None
        await ledger.postpone_delivery(first.delivery_id, next_at=NOW + 60, error="500")

        # One that is not there does not hold up the other.
        assert await waiting(ledger, "chat") == [1, 2]
        assert await ledger.delivery_counts() == DeliveryCounts(3, NOW)
        assert await waiting(ledger, "pager") == [1, 2, 3]
        assert await ledger.delivery_counts() == DeliveryCounts(0, 0)

    async def test_it_brings_the_change_as_it_was_told(self, ledger: Ledger) -> None:
        [change] = await store(ledger, news("RAISED"))
        await store(ledger, news("UPDATED", at=NOW + 1, severity="CRITICAL"))

        delivery = await ledger.next_delivery("chat")

        assert delivery is not None
        assert delivery.change == change
        assert (delivery.created_at, delivery.attempt_count, delivery.next_at) == (NOW, 0, NOW)

    async def test_failed_tries_are_counted_over_a_restart(self, storage: Books) -> None:
        ledger = await storage.open()
        await raise_one(ledger)
        for tries in range(2):
            delivery = await ledger.next_delivery("pager")
            assert delivery is not None
            assert delivery.attempt_count == tries
            await ledger.postpone_delivery(
                delivery.delivery_id, next_at=NOW + 10 * tries, error="timed out"
            )
            ledger = await storage.open()

        delivery = await ledger.next_delivery("pager")

        assert delivery is not None
        assert (delivery.attempt_count, delivery.next_at) == (2, NOW + 10)
        assert [one for word in ledger.check_books() for one in word.findings] == []

    async def test_what_is_done_is_done(self, ledger: Ledger) -> None:
        await raise_one(ledger)
        delivery = await ledger.next_delivery("pager")
        assert delivery is not None
        name = delivery.delivery_id

        await ledger.end_delivery(name, delivered=False, error="410", now=NOW + 1)
        await ledger.postpone_delivery(name, next_at=NOW + 2, error="500")
        await ledger.end_delivery(name, delivered=True, error="", now=NOW + 3)

        assert await ledger.next_delivery("pager") is None
        assert await ledger.delivery_counts() == DeliveryCounts(1, NOW)  # chat's

    async def test_what_waits_for_a_target_that_is_gone_is_given_up(self, ledger: Ledger) -> None:
        await store(ledger, news("RAISED"), news("UPDATED", at=NOW + 1))

        await ledger.keep_deliveries(frozenset({"chat"}), now=NOW + 9)

        assert await ledger.next_delivery("pager") is None
        assert await waiting(ledger, "chat") == [1]

    async def test_nothing_is_to_be_delivered_of_what_nobody_wants(self, ledger: Ledger) -> None:
        await ledger.store_alerts(TENANT, [news("RAISED")], targets=nobody)

        assert await ledger.delivery_counts() == DeliveryCounts(0, 0)
        assert await told(ledger) == [(1, "RAISED")]
