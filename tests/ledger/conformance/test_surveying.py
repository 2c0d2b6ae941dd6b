"""What the desk reads and remembers: one look at everything, counted once, kept for eight days."""

from ledger.port import Ledger
from ledger.survey_records import BacklogSample, CounterPlace, ThresholdRecord
from stock.forecast import HOUR_S
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT, TYPE
from tests.ledger.conformance.conftest import Books

HOUR = int(NOW // HOUR_S)
DAY_S = 86_400


def a_threshold(low: int, *, point: int | None = 0, target: int = 500) -> ThresholdRecord:
    return ThresholdRecord(
        tax_number=TAX_NUMBER,
        point=point,
        type=TYPE,
        low_count=low,
        target_count=target,
        auto_draw=True,
    )


async def set_threshold(ledger: Ledger, wanted: ThresholdRecord, *, dry_run: bool = False) -> bool:
    bound = building.binding("set_stock_threshold", point=wanted.point, low=wanted.low_count)
    return await ledger.set_stock_threshold(wanted, binding=bound, act=ACT, dry_run=dry_run)


async def test_a_look_shows_stock_meters_devices_and_what_is_on_its_way(ledger: Ledger) -> None:
    await building.open_shop(ledger, 100)
    await building.draw(ledger, 50, 501)
    await building.issue(ledger, "r-1", "r-2", "r-3")
    await building.upload(ledger, "s-1", rejected=["00000002"])
    await building.issue(ledger, "r-4", "r-5")

    seen = (await ledger.survey(NOW)).taxpayers[TAX_NUMBER]

    assert [(shelf.place.point, shelf.available_count) for shelf in seen.shelves] == [
        (None, 50),
        (0, 95),
    ]
    assert sum(meter.unuploaded_count for meter in seen.meters) == 2
    assert (seen.pending_count, seen.submitted_count, seen.in_doubt_count) == (2, 0, 0)
    assert (seen.rejected_count, seen.signature_rejected_count) == (1, 0)
    assert [device.key_id for device in seen.devices] == [building.KEY_ID]


async def test_numbers_are_counted_once_each_also_over_a_restart(storage: Books) -> None:
    ledger = await storage.open()
    await building.open_shop(ledger, 100)
    await building.issue(ledger, "r-1", "r-2")
    await ledger.record_samples([], now=NOW)
    await building.issue(ledger, "r-3")
    ledger = await storage.open()
    await ledger.record_samples([], now=NOW)
    await ledger.record_samples([], now=NOW + HOUR_S)
    await building.issue(ledger, "r-4")
    await ledger.record_samples([], now=NOW + HOUR_S)

    burn = await ledger.burn_history(TENANT, TAX_NUMBER, start=0, count_max=99)
    [shelf] = (await ledger.survey(NOW + HOUR_S)).taxpayers[TAX_NUMBER].shelves

    assert [(one.hour, one.taken_count) for one in burn] == [(HOUR, 3), (HOUR + 1, 1)]
    assert shelf.taken_count == 4
    assert dict(shelf.burn.taken.items()) == {HOUR: 3, HOUR + 1: 1}
    assert [finding for word in ledger.check_books() for finding in word.findings] == []


async def test_what_was_taken_a_moment_ago_is_seen_before_it_is_counted(ledger: Ledger) -> None:
    await building.open_shop(ledger, 3)
    await building.issue(ledger, "r-1")
    await ledger.record_samples([], now=NOW)
    await building.issue(ledger, "r-2", "r-3")

    [shelf] = (await ledger.survey(NOW)).taxpayers[TAX_NUMBER].shelves

    assert (shelf.available_count, shelf.taken_count) == (0, 3)
    assert dict(shelf.burn.taken.items()) == {HOUR: 3}


async def test_what_a_recall_takes_back_was_not_used(ledger: Ledger) -> None:
    await building.open_shop(ledger, 100)
    await building.issue(ledger, "r-1", "r-2")
    bound = building.binding("recall_stock")
    await ledger.recall(tax_number=TAX_NUMBER, point=0, type=TYPE, count=98, binding=bound, act=ACT)
    await ledger.record_samples([], now=NOW)

    at_point = (await ledger.survey(NOW)).taxpayers[TAX_NUMBER].shelves[1]

    assert (at_point.available_count, at_point.taken_count) == (0, 2)


async def test_a_point_that_is_used_up_stays_in_view(ledger: Ledger) -> None:
    await building.open_shop(ledger, 2)
    await building.issue(ledger, "r-1", "r-2")
    await ledger.record_samples([], now=NOW)

    shelves = (await ledger.survey(NOW + 30 * DAY_S)).taxpayers[TAX_NUMBER].shelves

    assert [(shelf.place, shelf.available_count) for shelf in shelves] == [
        (CounterPlace(TAX_NUMBER, 0, TYPE), 0)
    ]


async def test_samples_are_kept_for_eight_days(ledger: Ledger) -> None:
    await building.open_shop(ledger, 100)
    await building.issue(ledger, "r-1")
    old, fresh = (
        BacklogSample(TAX_NUMBER, int(NOW) + passed_s, 1, 100, passed_s, 7)
        for passed_s in (0, DAY_S)
    )
    await ledger.record_samples([old], now=NOW)
    await ledger.record_samples([old, fresh], now=NOW + DAY_S)
    both = await ledger.backlog_history(TENANT, TAX_NUMBER, start=0)
    await ledger.record_samples([], now=NOW + 8.5 * DAY_S)

    kept = await ledger.backlog_history(TENANT, TAX_NUMBER, start=0)

    assert both == [old, fresh]
    assert kept == [fresh]
    assert await ledger.burn_history(TENANT, TAX_NUMBER, start=0, count_max=999) == []


async def test_a_points_threshold_goes_before_its_taxpayers(ledger: Ledger) -> None:
    await building.open_shop(ledger, 100)
    await set_threshold(ledger, a_threshold(10, point=None))
    [of_all] = (await ledger.survey(NOW)).taxpayers[TAX_NUMBER].shelves
    await set_threshold(ledger, a_threshold(20))
    [of_point] = (await ledger.survey(NOW)).taxpayers[TAX_NUMBER].shelves
    await set_threshold(ledger, a_threshold(0))
    [again] = (await ledger.survey(NOW)).taxpayers[TAX_NUMBER].shelves

    assert of_all.threshold == a_threshold(10, point=None)
    assert of_point.threshold == a_threshold(20)
    assert again.threshold == of_all.threshold
    assert await ledger.stock_thresholds(TENANT, TAX_NUMBER) == [a_threshold(10, point=None)]


async def test_a_threshold_tried_dry_changes_nothing_and_done_is_on_record(ledger: Ledger) -> None:
    await building.open_shop(ledger, 100)

    await set_threshold(ledger, a_threshold(10), dry_run=True)
    dry = await ledger.stock_thresholds(TENANT, TAX_NUMBER)
    await set_threshold(ledger, a_threshold(10))

    assert dry == []
    [record] = await ledger.audit_records(
        TENANT, parent=f"taxpayers/{TAX_NUMBER}/points/0", actor="", before=2**63 - 1, count_max=1
    )
    assert (record.actor, record.action, record.reason) == (
        "operator",
        "set_stock_threshold",
        "test",
    )


async def test_the_audit_record_is_read_by_resource_and_by_who(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.register(ledger, building.OTHER_TAX_NUMBER)
    await building.draw(ledger, 10)

    async def listed(**asked: str) -> list[str]:
        found = await ledger.audit_records(
            TENANT, **{"parent": "", "actor": "", **asked}, before=2**63 - 1, count_max=10
        )
        return [record.action for record in found]

    assert await listed() == ["draw", "register", "register"]
    assert await listed(parent=f"taxpayers/{TAX_NUMBER}") == ["draw", "register"]
    assert await listed(parent=f"taxpayers/{TAX_NUMBER[:-1]}") == []
    assert await listed(actor="somebody") == []
