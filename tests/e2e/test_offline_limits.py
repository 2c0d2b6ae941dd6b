"""Each limit under 64 concurrent callers: reached exactly, refused by name, and over once its cause is.

The gateway is whole: gRPC client and server, SQLite, the real uploader. Time is where the test puts it.
"""

from collections import Counter
from pathlib import Path

import grpc
import pytest

from quota.offline import OfflineLimits
from quota.period import civil, day_of
from taxcontrol.admin.v1 import offline_pb2
from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.admin.v1.taxpayer_pb2 import OfflineLimits as Wire
from taxcontrol.admin.v1.taxpayer_service_pb2 import GetTaxpayerRequest
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.error_reason_pb2 import ERROR_REASON_OFFLINE_BULK_RESTRICTED
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest, VoidInvoiceRequest
from taxcontrol.v1.invoice_service_pb2 import BatchIssueInvoicesRequest, IssueInvoicesRequest
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from tests.e2e.limited_gateway import (
    CALLER_COUNT,
    MORNING,
    PARENT,
    first_of_next_month,
    limited,
)
from tests.e2e.wire import refused
from tests.gateway import desk

HOUR_S = 3600
DAY_S = 86_400
WHOSE = {"taxpayer": desk.TAX_NUMBER, "machine_number": desk.MACHINE_NUMBER, "type": "026"}


def refusals(reason: str, count: int = CALLER_COUNT) -> Counter[str]:
    return Counter({reason: count})


async def test_the_count_is_reached_exactly_and_issues_again_after_the_uploads(
    tmp_path: Path,
) -> None:
    async with limited(tmp_path, OfflineLimits(count_max=100)) as gateway:
        outcome = await gateway.callers(until_refused=True)

        assert outcome.counts == (100, refusals("OFFLINE_COUNT_EXCEEDED"))
        assert outcome.refusals[0].code is grpc.StatusCode.FAILED_PRECONDITION
        assert outcome.facts == WHOSE | {
            "limit": "100", "used": "100", "left": "0", "until": "", "ends_by": "UPLOAD",
        }  # fmt: skip
        (meter,) = (await gateway.status()).meters
        assert (meter.unuploaded_count, meter.left_count) == (100, 0)
        assert meter.grade == offline_pb2.GRADE_STOP

        await gateway.catch_up()

        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())


async def test_the_amount_is_reached_exactly_and_a_smaller_invoice_still_passes(
    tmp_path: Path,
) -> None:
    async with limited(tmp_path, OfflineLimits(amount_fen_max=1_005_000)) as gateway:
        outcome = await gateway.callers(until_refused=True)

        assert outcome.counts == (100, refusals("OFFLINE_AMOUNT_EXCEEDED"))
        assert outcome.facts == WHOSE | {
            "limit": "1005000", "used": "1000000", "left": "5000", "wanted": "10000",
            "until": "", "ends_by": "UPLOAD",
        }  # fmt: skip
        assert (await gateway.one(net_fen=5_001)).counts[1] == refusals(
            "OFFLINE_AMOUNT_EXCEEDED", 1
        )
        assert (await gateway.one(net_fen=5_000)).counts[0] == 1
        assert (await gateway.one(net_fen=100)).facts["left"] == "0"

        await gateway.catch_up()

        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())


async def test_the_age_of_the_oldest_stops_at_its_hour_and_not_a_second_before(
    tmp_path: Path,
) -> None:
    async with limited(tmp_path, OfflineLimits(age_hours_max=72)) as gateway:
        await gateway.one()
        gateway.clock.pass_until(MORNING + 72 * HOUR_S - 1)
        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())

        gateway.clock.pass_until(MORNING + 72 * HOUR_S)
        outcome = await gateway.callers()

        assert outcome.counts == (0, refusals("OFFLINE_AGE_EXCEEDED"))
        assert outcome.facts == WHOSE | {
            "limit": "72", "used": "72", "left": "0",
            "until": civil(MORNING + 72 * HOUR_S), "ends_by": "UPLOAD",
        }  # fmt: skip

        await gateway.catch_up()

        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())


async def test_only_what_is_oldest_counts_once_that_is_uploaded(tmp_path: Path) -> None:
    """The clock of the age begins anew with the oldest that is left, one that was refused excepted."""
    async with limited(tmp_path, OfflineLimits(age_hours_max=1)) as gateway:
        await gateway.one()
        gateway.authority.refuse_item.add("00000002")
        gateway.clock.pass_by(1800)
        await gateway.one()
        gateway.clock.pass_by(1800)
        assert (await gateway.one()).counts[1] == refusals("OFFLINE_AGE_EXCEEDED", 1)

        await gateway.catch_up()
        gateway.clock.pass_by(HOUR_S)

        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())
        assert (await gateway.status()).rejected_count == 1


async def test_with_hours_of_0_one_at_a_time_is_issued(tmp_path: Path) -> None:
    async with limited(tmp_path, OfflineLimits(age_hours_max=0)) as gateway:
        outcome = await gateway.callers()

        assert outcome.counts == (1, refusals("OFFLINE_NOT_ALLOWED", CALLER_COUNT - 1))
        assert outcome.facts == WHOSE | {
            "limit": "0", "used": "1", "left": "0", "until": "", "ends_by": "UPLOAD",
        }  # fmt: skip

        await gateway.catch_up()

        assert (await gateway.callers()).counts[0] == 1


async def test_the_lock_day_asks_for_the_uploads_and_then_for_the_summary(tmp_path: Path) -> None:
    lock_at = first_of_next_month(MORNING) + 14 * DAY_S
    async with limited(tmp_path, OfflineLimits(lock_day=15)) as gateway:
        await gateway.one()
        gateway.clock.pass_until(lock_at - 1)
        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())

        gateway.clock.pass_until(lock_at)
        locked = await gateway.callers()
        await gateway.catch_up()
        unsummarised = await gateway.callers()

        assert locked.counts == (0, refusals("OFFLINE_LOCK_DAY"))
        assert locked.facts == WHOSE | {
            "limit": "15", "used": "65", "left": "0", "until": civil(lock_at), "ends_by": "UPLOAD",
        }  # fmt: skip
        assert unsummarised.counts == (0, refusals("PERIOD_NOT_SUMMARISED"))
        assert unsummarised.facts == WHOSE | {
            "limit": "15", "used": "15", "left": "0", "until": civil(lock_at),
            "ends_by": "SUMMARY", "period": "2026-11",
        }  # fmt: skip

        await gateway.summarise()

        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())


async def test_a_device_is_locked_after_more_than_90_days_without_a_summary(
    tmp_path: Path,
) -> None:
    async with limited(tmp_path) as gateway:
        gateway.clock.pass_until(MORNING + 90 * DAY_S)
        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())

        gateway.clock.pass_by(1)
        outcome = await gateway.callers()

        assert outcome.counts == (0, refusals("DEVICE_LOCKED"))
        assert outcome.facts == WHOSE | {
            "limit": "90", "used": "90", "left": "0", "until": civil(MORNING + 90 * DAY_S),
            "ends_by": "SUMMARY", "period": "2026-11",
        }  # fmt: skip

        await gateway.summarise()

        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())


async def test_numbers_are_issued_until_their_last_day_ends(tmp_path: Path) -> None:
    today = day_of(MORNING)
    midnight = MORNING // DAY_S * DAY_S + 16 * HOUR_S
    async with limited(tmp_path, numbers=10) as gateway:
        # Behind the ten of each point: a hundred for today, and ten for ever.
        await desk.draw(gateway, "026", 100, "day", code="011002600222", issue_deadline=today)
        await desk.assign(gateway, "026", 100, "day")
        await desk.draw(gateway, "026", 10, "ever", code="011002600333")
        await desk.assign(gateway, "026", 10, "ever")
        gateway.clock.pass_until(midnight - 1)
        before = await gateway.callers()

        gateway.clock.pass_until(midnight)
        after = await gateway.callers(until_refused=True)

        assert before.counts == (10 + 32, refusals("STOCK_EXHAUSTED", 22))
        assert after.counts[0] == 10
        assert after.counts[1] == refusals("ISSUE_DEADLINE_PASSED", 32) + refusals(
            "STOCK_EXHAUSTED", 32
        )
        assert {one.code for one in after.issued} == {"011002600333"}
        [facts] = {
            tuple(sorted(one.facts.items()))
            for one in after.refusals
            if one.reason == "ISSUE_DEADLINE_PASSED"
        }
        assert dict(facts) == WHOSE | {
            "point": "0", "limit": today, "used": "0", "left": "78",
            "until": civil(midnight), "ends_by": "STOCK",
        }  # fmt: skip
        stock = await gateway.stock.GetStock(GetStockRequest(parent=f"{PARENT}/points/0"))
        assert (stock.levels[0].available_count, stock.levels[0].expired_count) == (0, 78)
        assert stock.levels[0].next_number == ""

        await gateway.stock_admin.VoidBlankNumber(
            VoidBlankNumberRequest(
                request_id="void-blank",
                point=f"{PARENT}/points/0",
                type="026",
                code="011002600222",
                number="00000023",
                reason="过期",
            )
        )
        await desk.draw(gateway, "026", 40, "new", code="011002600444")
        await desk.assign(gateway, "026", 40, "new")

        again = await gateway.callers()
        assert again.counts == (32, refusals("STOCK_EXHAUSTED", 32))
        assert {one.code for one in again.issued} == {"011002600444"}


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_clock_off_by_more_than_30_minutes_issues_nothing_until_it_is_set(
    tmp_path: Path, sign: int
) -> None:
    async with limited(tmp_path) as gateway:
        gateway.time.observe(MORNING, gateway.clock.monotonic(), gateway.clock.monotonic())
        gateway.clock.step(sign * 1800)
        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())

        gateway.clock.step(sign)
        outcome = await gateway.callers()

        assert outcome.counts == (0, refusals("CLOCK_SKEW"))
        assert outcome.facts == {
            "skew_s": str(sign * 1801), "skew_s_max": "1800", "ends_by": "CLOCK",
        }  # fmt: skip

        gateway.clock.step(-sign * 1801)

        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())


@pytest.mark.parametrize(("told", "back_s"), [(False, 5), (True, 1800)])
async def test_a_clock_that_runs_back_issues_nothing_beyond_what_can_be_clamped(
    tmp_path: Path, told: bool, back_s: int
) -> None:
    async with limited(tmp_path) as gateway:
        if told:
            gateway.time.observe(MORNING, gateway.clock.monotonic(), gateway.clock.monotonic())
        first = await gateway.one()
        gateway.clock.step(-back_s)
        clamped = await gateway.callers()
        assert clamped.counts == (CALLER_COUNT, Counter())
        assert {one.issue_time.seconds for one in clamped.issued} == {
            first.issued[0].issue_time.seconds
        }

        gateway.clock.step(-1)
        outcome = await gateway.callers()

        assert outcome.counts == (0, refusals("CLOCK_SKEW"))
        assert outcome.facts["skew_s"] == f"-{back_s + 1}"

        gateway.clock.step(back_s + 1)
        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())


async def test_nothing_is_dated_back_into_a_closed_month(tmp_path: Path) -> None:
    december = first_of_next_month(MORNING)
    async with limited(tmp_path) as gateway:
        old = (await gateway.one()).issued[0]
        gateway.clock.pass_until(december + 5)
        await gateway.catch_up()
        await gateway.summarise()
        gateway.clock.step(december - 1800 - gateway.clock.now())
        now_s = gateway.clock.monotonic()
        gateway.time.observe(gateway.clock.now(), now_s, now_s)

        with refused("INVOICE_NOT_VOIDABLE") as caught:
            await gateway.invoices.VoidInvoice(
                VoidInvoiceRequest(request_id="void", name=old.name, reason="开票有误")
            )
        assert caught[0].facts["cause"] == "PERIOD_CLOSED"
        behind = await gateway.callers()
        assert behind.counts == (CALLER_COUNT, Counter())
        assert {one.issue_time.seconds for one in behind.issued} == {december}
        blank = await gateway.stock_admin.VoidBlankNumber(
            VoidBlankNumberRequest(
                request_id="void-blank",
                point=f"{PARENT}/points/0",
                type="026",
                code=old.code,
                number="00000034",
                reason="纸张污损",
            )
        )
        assert blank.void_statement.void_time.seconds == december

        gateway.clock.step(-1)
        assert (await gateway.callers()).counts == (0, refusals("CLOCK_SKEW"))


async def test_bulk_leaves_the_last_tenth_to_people_who_wait(tmp_path: Path) -> None:
    async with limited(tmp_path, OfflineLimits(count_max=100)) as gateway:
        bulk = await gateway.callers(until_refused=True, bulk=True)
        people = await gateway.callers(until_refused=True)

        assert bulk.counts == (90, refusals("OFFLINE_BULK_RESTRICTED"))
        assert bulk.facts == WHOSE | {
            "limit": "100", "used": "90", "left": "10", "until": "", "ends_by": "UPLOAD",
            "limit_reason": "OFFLINE_COUNT_EXCEEDED",
        }  # fmt: skip
        assert people.counts == (10, refusals("OFFLINE_COUNT_EXCEEDED"))

        await gateway.catch_up()

        assert (await gateway.callers(bulk=True)).counts == (CALLER_COUNT, Counter())


async def test_a_replay_is_answered_whatever_the_limits_say(tmp_path: Path) -> None:
    async with limited(tmp_path, OfflineLimits(count_max=1)) as gateway:
        request = gateway.request()
        first = await gateway.invoices.IssueInvoice(request)
        assert (await gateway.one()).counts[1] == refusals("OFFLINE_COUNT_EXCEEDED", 1)

        again = await gateway.invoices.IssueInvoice(request)

        assert again.replayed
        assert again.issued == first.issued


async def test_an_operator_lowers_limits_from_the_next_invoice_on(tmp_path: Path) -> None:
    async with limited(tmp_path, OfflineLimits(count_max=100, age_hours_max=72)) as gateway:
        assert (await gateway.callers()).counts == (CALLER_COUNT, Counter())

        lowered = await gateway.lower("lower", Wire(count_max=70))
        outcome = await gateway.callers(until_refused=True)

        assert lowered.offline_limits.count_max == 70
        assert lowered.offline_limits.age_hours_max == 72
        assert not lowered.offline_limits.HasField("lock_day")
        assert outcome.counts == (6, refusals("OFFLINE_COUNT_EXCEEDED"))
        assert outcome.facts["limit"] == "70"
        with refused("INVALID_REQUEST") as caught:
            await gateway.lower("raise", Wire(count_max=101))
        assert caught[0].violations == {("FIELD_RANGE", "offline_limits.count_max")}

        again = await gateway.lower("give-back", Wire())

        assert again.offline_limits.count_max == 100
        assert (await gateway.callers(until_refused=True)).counts[0] == 30


async def test_an_operators_limits_are_named_tried_dry_and_put_on_record(tmp_path: Path) -> None:
    async with limited(tmp_path, OfflineLimits(age_hours_max=72)) as gateway:
        for wrong, field in (
            (Wire(age_hours_max=-1), "age_hours_max"),
            (Wire(age_hours_max=73), "age_hours_max"),
            (Wire(amount_fen_max=-1), "amount_fen_max"),
            (Wire(count_max=-1), "count_max"),
            (Wire(lock_day=32), "lock_day"),
        ):
            with refused("INVALID_REQUEST") as caught:
                await gateway.lower("wrong", wrong)
            assert caught[0].violations == {("FIELD_RANGE", f"offline_limits.{field}")}
        with refused("INVALID_REQUEST") as caught:
            await gateway.lower("no-reason", Wire(count_max=0), reason=" ")
        assert caught[0].violations == {("FIELD_REQUIRED", "reason")}

        tried = await gateway.lower("one", Wire(count_max=0), validate_only=True)
        assert tried.offline_limits.count_max == 0
        assert (await gateway.one()).counts == (1, Counter())
        assert await gateway.audited("set_offline_limits") == []

        done = await gateway.lower("one", Wire(count_max=0))
        again = await gateway.lower("one", Wire(count_max=0))
        assert (done.replayed, again.replayed) == (False, True)
        assert done.offline_limits == again.offline_limits == tried.offline_limits
        with refused("REQUEST_ID_REUSED"):
            await gateway.lower("one", Wire(count_max=1))
        assert await gateway.audited("set_offline_limits") == [("operator", PARENT, "a holiday")]

        shown = await gateway.taxpayers.GetTaxpayer(GetTaxpayerRequest(name=PARENT))
        assert shown.taxpayer.offline_limits == done.offline_limits
        assert not shown.taxpayer.granted_offline_limits.HasField("count_max")
        (meter,) = (await gateway.status()).meters
        assert (meter.left_count, meter.grade) == (0, offline_pb2.GRADE_STOP)


async def test_the_upload_status_tells_how_near_each_limit_is(tmp_path: Path) -> None:
    limits = OfflineLimits(age_hours_max=10, count_max=100, amount_fen_max=1_000_000, lock_day=15)
    async with limited(tmp_path, limits) as gateway:
        await gateway.callers()
        gateway.clock.pass_until(MORNING + 7 * HOUR_S)
        (meter,) = (await gateway.status()).meters

        assert meter.oldest_issue_time.seconds == MORNING
        assert meter.grade == offline_pb2.GRADE_WARN
        found = {
            offline_pb2.LimitUse.Limit.Name(use.limit): (use.used, use.left, use.grade)
            for use in meter.limits
            if use.limit != offline_pb2.LimitUse.LIMIT_SUMMARY_AGE
        }
        assert found == {
            "LIMIT_AGE": (7 * HOUR_S, 3 * HOUR_S, offline_pb2.GRADE_WARN),
            "LIMIT_COUNT": (64, 36, offline_pb2.GRADE_OK),
            "LIMIT_AMOUNT": (640_000, 360_000, offline_pb2.GRADE_OK),
        }
        [age] = [use for use in meter.limits if use.limit == offline_pb2.LimitUse.LIMIT_AGE]
        assert age.limit_time.seconds == MORNING + 10 * HOUR_S
        assert age.used_ppm == 700_000


async def test_a_stream_a_batch_and_a_reversal_may_be_bulk(tmp_path: Path) -> None:
    async with limited(tmp_path, OfflineLimits(count_max=10)) as gateway:
        await gateway.callers(until_refused=True, bulk=True)
        batch = await gateway.invoices.BatchIssueInvoices(
            BatchIssueInvoicesRequest(
                requests=[gateway.request(bulk=True), gateway.request(bulk=False)]
            )
        )
        [refused_item, issued_item] = batch.results
        assert refused_item.failure.reason == ERROR_REASON_OFFLINE_BULK_RESTRICTED
        assert issued_item.HasField("issued")

        await gateway.catch_up()
        await gateway.lower("lower", Wire(count_max=1))
        call = gateway.invoices.IssueInvoices()
        await call.write(IssueInvoicesRequest(request=gateway.request(bulk=True)))
        await call.done_writing()
        assert [one.result.HasField("issued") async for one in call] == [True]
        with refused("OFFLINE_COUNT_EXCEEDED"):
            await gateway.invoices.IssueInvoice(gateway.request(bulk=True))

        await gateway.catch_up()
        await gateway.lower("back", Wire())
        await gateway.callers(until_refused=True, bulk=True)
        reversal = ReverseInvoiceRequest(
            request_id="red",
            name=issued_item.issued.name,
            red_reason="退票",
            priority=invoice_pb2.PRIORITY_BULK,
        )
        with refused("OFFLINE_BULK_RESTRICTED"):
            await gateway.invoices.ReverseInvoice(reversal)
        reversal.priority = invoice_pb2.PRIORITY_INTERACTIVE
        assert (await gateway.invoices.ReverseInvoice(reversal)).issued.number
