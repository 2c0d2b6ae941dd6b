"""Months are summarised by themselves and by hand, once at the authority, whatever is cut off."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.verify import verify
from invoice import content
from invoice.errors import LedgerUnavailable
from ledger.port import Ledger
from taxcontrol.admin.v1 import (
    device_service_pb2,
    period_pb2,
    stock_admin_service_pb2,
    upload_admin_service_pb2,
)
from taxcontrol.v1 import invoice_reversal_pb2
from tests.e2e.sellers import Seller, new_id, new_tax_number
from tests.e2e.test_finance import a_charity, receipt
from tests.e2e.wire import refusal_of
from tests.fakes.month_office import Desk, MonthOffice, open_office

MID_MARCH = "2027-03-15T12:00:00"
APRIL = "2027-04-01T00:00:05"
LATE_MARCH = "2027-03-31T23:59:50"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[MonthOffice]:
    with open_office(tmp_path) as opened:
        yield opened


def _seller() -> Seller:
    return Seller(tax_number=new_tax_number(), types=("026",))


async def _summarise(
    desk: Desk, device: str, period: str = "2027-03", **more: Any
) -> device_service_pb2.SummarisePeriodResponse:
    request = device_service_pb2.SummarisePeriodRequest(
        name=device, period=period, **({"request_id": new_id("summarise")} | more)
    )
    answer: device_service_pb2.SummarisePeriodResponse = await desk.devices.SummarisePeriod(request)
    return answer


async def _refused(work: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await work
    return refusal_of(raised.value)


async def _void(desk: Desk, name: str) -> None:
    await desk.invoices.VoidInvoice(
        invoice_reversal_pb2.VoidInvoiceRequest(
            request_id=new_id("void"), name=name, reason="开具有误"
        )
    )


async def _busy_month(desk: Desk, seller: Seller) -> Any:
    """Two blues that stand, a void, a full red, a blank void and a return; the first blue."""
    first = await desk.issue(seller, net_fen=20_000)
    voided = await desk.issue(seller, net_fen=5_000)
    reversed_ = await desk.issue(seller, net_fen=30_000)
    await desk.invoices.ReverseInvoice(
        invoice_reversal_pb2.ReverseInvoiceRequest(
            request_id=new_id("reverse"),
            name=reversed_.name,
            point=seller.point(),
            red_reason="退货",
        )
    )
    await _void(desk, voided.name)
    await desk.stock.VoidBlankNumber(
        stock_admin_service_pb2.VoidBlankNumberRequest(
            request_id=new_id("blank"),
            point=seller.point(),
            type="026",
            code=first.code,
            number=f"{int(first.number) + 4:08d}",
            reason="纸张污损",
        )
    )
    segments = (
        await desk.stock.ListSegments(
            stock_admin_service_pb2.ListSegmentsRequest(parent=seller.name)
        )
    ).segments
    pool = next(one for one in segments if not one.point)
    await desk.stock.ReturnStock(
        stock_admin_service_pb2.ReturnStockRequest(
            request_id=new_id("return"), parent=seller.name, segment_id=pool.segment_id, count=10
        )
    )
    return first


async def test_a_month_is_closed_by_itself_and_the_authority_knows_the_same(
    office: MonthOffice,
) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        first = await _busy_month(desk, seller)
        await desk.drained(seller)
        early = await _refused(_summarise(desk, device))

        await office.go_to(APRIL)
        month = await desk.summarised(device, "2027-03")

        assert (early.reason, early.facts["cause"]) == ("PERIOD_NOT_CLOSABLE", "NOT_OVER")
        (figures,) = month.statistics
        assert (figures.opening_count, figures.drawn_count, figures.returned_count) == (0, 100, 10)
        assert (figures.blue_count, figures.blue_void_count) == (3, 1)
        assert (figures.red_count, figures.red_void_count, figures.blank_void_count) == (1, 0, 1)
        assert figures.closing_count == 100 - 10 - 3 - 1 - 1
        assert {
            (total.group, total.rate_ppm): (total.invoice_count, total.net_fen, total.tax_fen)
            for total in figures.totals
        } == {
            (period_pb2.RateTotal.GROUP_BLUE, 60_000): (3, 55_000, 3_300),
            (period_pb2.RateTotal.GROUP_BLUE_VOID, 60_000): (1, 5_000, 300),
            (period_pb2.RateTotal.GROUP_RED, 60_000): (1, -30_000, -1_800),
        }
        (summary,) = office.summaries(seller.tax_number)
        assert summary.summary_serial == month.summary_serial
        assert summary.content_digest == hashlib.sha256(month.content).digest()
        late = await _refused(_void(desk, first.name))
        assert (late.reason, late.facts["cause"]) == ("INVOICE_NOT_VOIDABLE", "PERIOD_CLOSED")
        again = await _summarise(desk, device)
        assert (again.period.content, again.replayed) == (month.content, False)
        await desk.issue(seller)
        assert (await desk.month(device, "2027-04")).statistics[0].opening_count == 85
        assert await desk.findings() == []


async def test_two_months_are_closed_in_their_order(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await desk.issue(seller)
        await desk.drained(seller)
    await office.go_to("2027-05-02T09:00:00")
    async with office.gateway() as desk:
        await desk.summarised(device, "2027-04")

        periods = [one.period for one in office.summaries(seller.tax_number)]
        assert periods == ["2027-03", "2027-04"]
        assert await desk.findings() == []


async def test_no_id_of_a_caller_keeps_a_month_from_being_closed(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        machine_number = device.rpartition("/")[2]
        # Ids are one space for all writes, and callers may choose what reads like the gateway's own.
        await desk.issue(seller, request_id=f"period-{machine_number}-2027-03")
        await desk.drained(seller)
        await office.go_to(APRIL)

        month = await desk.summarised(device, "2027-03")

        assert month.statistics[0].blue_count == 1
        assert len(office.summaries(seller.tax_number)) == 1
        assert await desk.findings() == []


@pytest.mark.parametrize("unreachable", [True, False])
async def test_a_clock_that_nobody_has_confirmed_closes_no_month(
    office: MonthOffice, *, unreachable: bool
) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await desk.issue(seller)
        await desk.drained(seller)
    # The machine comes back with a clock in April, and the authority has not told it better yet.
    await asyncio.to_thread(office.simulator.set_faults, unreachable=unreachable)
    office.clock.offset_s += 30 * 86_400
    async with office.gateway() as desk:
        refusal = await _refused(_summarise(desk, device))
        wanted = "AUTHORITY_UNAVAILABLE" if unreachable else "PERIOD_NOT_CLOSABLE"
        assert refusal.reason == wanted
        for _ in range(10):
            assert (await desk.month(device, "2027-03")).state == period_pb2.Period.STATE_OPEN

        await asyncio.to_thread(office.simulator.set_faults)
        await office.go_to("2027-03-15T12:10:00")
        await desk.issue(seller)
        await office.go_to(APRIL)
        month = await desk.summarised(device, "2027-03")

        assert month.statistics[0].blue_count == 2
        assert await desk.findings() == []


async def test_what_is_not_accepted_stands_in_the_way_and_is_counted(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await asyncio.to_thread(office.simulator.set_faults, unreachable=True)
        for _ in range(3):
            await desk.issue(seller)
        await office.go_to(APRIL)

        waiting = await _refused(_summarise(desk, device))
        assert (waiting.reason, waiting.facts["cause"], waiting.facts["count"]) == (
            "PERIOD_NOT_CLOSABLE",
            "UNUPLOADED",
            "3",
        )
        assert (await desk.month(device, "2027-03")).state == period_pb2.Period.STATE_OPEN
        before = await _refused(_summarise(desk, device, "2027-02"))
        assert (before.facts["cause"], before.facts["next_period"]) == ("BEFORE_FIRST", "2027-03")
        await office.go_to("2027-05-02T09:00:00")
        order = await _refused(_summarise(desk, device, "2027-04"))
        assert (order.facts["cause"], order.facts["next_period"]) == ("OUT_OF_ORDER", "2027-03")
        await asyncio.to_thread(office.simulator.set_faults)
        await desk.summarised(device, "2027-03")
        assert await desk.findings() == []


async def test_what_was_refused_stands_in_the_way_until_it_is_accepted(
    office: MonthOffice,
) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await asyncio.to_thread(office.simulator.set_faults, refuse_item_ppm=1_000_000)
        await desk.issue(seller)
        await desk.drained(seller)
        await asyncio.to_thread(office.simulator.set_faults)
        await office.go_to(APRIL)

        refusal = await _refused(_summarise(desk, device))
        await desk.uploads.RetryUploads(
            upload_admin_service_pb2.RetryUploadsRequest(
                request_id=new_id("retry"), parent=seller.name, reason="已更正"
            )
        )
        month = await desk.summarised(device, "2027-03")

        assert (refusal.facts["cause"], refusal.facts["count"]) == ("REJECTED", "1")
        assert month.statistics[0].blue_count == 1
        assert await desk.findings() == []


async def test_a_charity_closes_its_month_at_rate_0(tmp_path: Path) -> None:
    seller = a_charity()
    with open_office(tmp_path, finance=True) as office:
        await office.go_to(MID_MARCH)
        async with office.gateway() as desk:
            device = await desk.open_shop(seller)
            await desk.invoices.IssueInvoice(receipt(seller))
            await desk.drained(seller)
            await office.go_to(APRIL)
            month = await desk.summarised(device, "2027-03")

            (total,) = month.statistics[0].totals
            assert (total.rate_ppm, total.invoice_count, total.net_fen) == (0, 1, 10_000)
            assert len(office.summaries(seller.tax_number)) == 1
            assert await desk.findings() == []


async def test_a_device_that_is_not_is_not_found(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        await desk.open_shop(seller)
        other = f"{seller.name}/devices/661999999999"
        monitored = desk.devices.GetMonitorInfo(
            device_service_pb2.GetMonitorInfoRequest(name=other)
        )

        for work in (_summarise(desk, other), monitored):
            refusal = await _refused(work)
            assert refusal.reason == "DEVICE_NOT_FOUND"
            assert refusal.facts["machine_number"] == "661999999999"


async def test_tried_dry_nothing_changes(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await desk.drained(seller)
        await asyncio.to_thread(office.simulator.set_faults, unreachable=True)
        await office.go_to(APRIL)
        # By itself it is closed at once, and not summarised: nothing is reachable.
        request: dict[str, Any] = {"request_id": new_id("dry"), "validate_only": True}
        answer = await _summarise(desk, device, **request)

        assert answer.period.state == period_pb2.Period.STATE_CLOSING
        assert answer.period.statistics[0].drawn_count == 100
        assert office.summaries(seller.tax_number) == []


async def test_a_lost_answer_leaves_it_closing_and_it_is_asked_for_again(
    office: MonthOffice,
) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await desk.issue(seller)
        await desk.drained(seller)
        await asyncio.to_thread(office.simulator.set_faults, lost_answer_ppm=1_000_000)
        await office.go_to(APRIL)
        lost = await _refused(_summarise(desk, device))
        assert lost.reason == "AUTHORITY_UNAVAILABLE"
        closing = await desk.month(device, "2027-03")

        await asyncio.to_thread(office.simulator.set_faults)
        month = await desk.summarised(device, "2027-03")

        assert closing.state == period_pb2.Period.STATE_CLOSING
        assert (month.content, month.signature) == (closing.content, closing.signature)
        assert len(office.summaries(seller.tax_number)) == 1
        assert await desk.findings() == []


class _Cut:
    """A ledger that is gone for good around one step: before it takes effect, or after."""

    def __init__(self, real: Any, step: str, *, after: bool) -> None:
        self._real, self._step, self._after = real, step, after
        self.cut = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name != self._step:
            return real

        async def cut(*args: Any, **more: Any) -> Any:
            if self._after and not self.cut.is_set():
                await real(*args, **more)
            self.cut.set()
            raise LedgerUnavailable("gone")

        return cut


@pytest.mark.parametrize("step", ["close_period", "sign_period", "summarise_period"])
@pytest.mark.parametrize("after", [False, True])
async def test_cut_off_at_any_step_there_is_one_summary(
    office: MonthOffice, step: str, *, after: bool
) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await desk.issue(seller)
        await desk.drained(seller)
    await office.go_to(APRIL)
    cuts: list[_Cut] = []

    def around(ledger: Ledger) -> Any:
        cuts.append(_Cut(ledger, step, after=after))
        return cuts[0]

    async with office.gateway(around=around) as desk:
        async with asyncio.timeout(20):
            await cuts[0].cut.wait()
    async with office.gateway() as desk:
        month = await desk.summarised(device, "2027-03")

        (summary,) = office.summaries(seller.tax_number)
        assert summary.content_digest == hashlib.sha256(month.content).digest()
        assert await desk.findings() == []


async def test_a_planted_figure_is_refused_and_found(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await desk.issue(seller)
        await desk.drained(seller)
    connection = apsw.Connection(str(office.path))
    connection.execute("UPDATE month_total SET net_fen = net_fen + 100 WHERE rate_ppm = 60000")
    connection.close()
    await office.go_to(APRIL)
    async with office.gateway() as desk:
        refusal = await _refused(_summarise(desk, device))

        assert (refusal.reason, refusal.facts["authority_reason"]) == (
            "AUTHORITY_REFUSED",
            "STATISTICS_MISMATCH",
        )
        assert refusal.facts["field"] == "totals.blue.60000.net_fen"
        assert (refusal.facts["stated"], refusal.facts["known"]) == ("10100", "10000")
        assert any(one.startswith("I10_MONTHS") for one in await desk.findings())
        assert office.summaries(seller.tax_number) == []


async def test_a_number_that_never_arrived_is_named(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await asyncio.to_thread(office.simulator.set_faults, unreachable=True)
        lost = await desk.issue(seller)
        await desk.issue(seller)
    connection = apsw.Connection(str(office.path))
    connection.execute(
        "DELETE FROM outbox WHERE invoice_id = (SELECT min(invoice_id) FROM outbox);"
        "DELETE FROM submission_item; UPDATE submission SET state = 'RELEASED';"
        "UPDATE outbox SET state = 'PENDING', submission_number = NULL, not_before = 0"
    )
    connection.close()
    await asyncio.to_thread(office.simulator.set_faults)
    async with office.gateway() as desk:
        await desk.drained(seller)
        await office.go_to(APRIL)

        refusal = await _refused(_summarise(desk, device))

        assert refusal.facts["authority_reason"] == "PERIOD_INCOMPLETE"
        assert refusal.facts["missing_numbers"] == lost.number
        assert (await desk.month(device, "2027-03")).state == period_pb2.Period.STATE_CLOSING


async def test_issuing_goes_on_over_midnight_and_each_lies_in_its_month(
    office: MonthOffice,
) -> None:
    seller = _seller()
    await office.go_to(LATE_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller, count=60)
        for _ in range(5):
            await desk.issue(seller)
        await office.go_to(APRIL)
        await asyncio.gather(*(desk.issue(seller) for _ in range(20)))
        march = await desk.summarised(device, "2027-03")
        april = await desk.month(device, "2027-04")

        assert march.statistics[0].blue_count == 5
        assert april.statistics[0].blue_count == 20
        assert april.statistics[0].opening_count == march.statistics[0].closing_count
        assert await desk.findings() == []


async def test_a_key_is_changed_under_sixteen_issuers(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller, count=400, assigned=400)
        before = await desk.issue(seller)
        stop = asyncio.Event()
        issued: list[Any] = []

        async def issue_on() -> None:
            while not stop.is_set() and len(issued) < 350:
                issued.append(await desk.issue(seller))

        callers = [asyncio.create_task(issue_on()) for _ in range(16)]
        request = device_service_pb2.RotateKeyRequest(
            request_id=new_id("rotate"), name=device, reason="到期更换"
        )
        rotated = await desk.devices.RotateKey(request)
        fresh = rotated.device.keys[0].key_id
        async with asyncio.timeout(20):
            while not any(one.key_id == fresh for one in issued):
                issued.append(await desk.issue(seller))
        stop.set()
        await asyncio.gather(*callers)
        again = await desk.devices.RotateKey(request)
        await desk.drained(seller)

        assert again.replayed
        keys = {key.key_id: key for key in again.device.keys}
        assert len(keys) == 2
        assert [key.active for key in again.device.keys] == [True, False]
        assert {before.key_id, fresh} == set(keys)
        assert before.key_id != fresh
        assert {one.key_id for one in issued} <= set(keys)
        old = await desk.invoice(before.name)
        assert old.issued.key_id == before.key_id
        assert old.certificate == keys[before.key_id].certificate
        assert await desk.findings() == []


async def test_a_rotation_cut_off_finds_its_key_again(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
    request = device_service_pb2.RotateKeyRequest(
        request_id=new_id("rotate"), name=device, reason="到期更换"
    )
    for after in (False, True):

        def around(ledger: Ledger, *, after: bool = after) -> Any:
            return _Cut(ledger, "rotate_key", after=after)

        async with office.gateway(around=around) as desk:
            refusal = await _refused(desk.devices.RotateKey(request))
            assert refusal.reason == "LEDGER_UNAVAILABLE"
    async with office.gateway() as desk:
        rotated = await desk.devices.RotateKey(request)

        assert rotated.replayed
        assert len(rotated.device.keys) == 2
        assert (await desk.issue(seller)).key_id == rotated.device.keys[0].key_id
        assert await desk.findings() == []


async def test_a_summary_verifies_under_its_key(office: MonthOffice) -> None:
    seller = _seller()
    await office.go_to(MID_MARCH)
    async with office.gateway() as desk:
        device = await desk.open_shop(seller)
        await desk.drained(seller)
        await office.go_to(APRIL)
        month = await desk.summarised(device, "2027-03")
        listed = await desk.devices.ListDevices(device_service_pb2.ListDevicesRequest())
        (key,) = next(one for one in listed.devices if one.name == device).keys

        public = (
            x509.load_der_x509_certificate(key.certificate)
            .public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
        digest = content.digest(content.PERIOD_TAG, month.content)
        assert month.key_id == key.key_id
        assert key.expire_time.seconds > key.activate_time.seconds > 0
        assert verify(public, "P-256", digest, month.signature)
