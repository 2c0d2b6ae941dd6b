"""The full red of a blue: made from the blue's own bytes, the same each time it is asked for."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gateway.deadline import Deadline
from gateway.issuing import Ask
from gateway.job import Issued
from invoice import content
from invoice.document import Kind
from invoice.errors import (
    HsmUnavailable,
    InProgress,
    InvalidInvoice,
    InvalidRequest,
    InvoiceError,
    InvoiceNotFound,
    InvoiceNotReversible,
    NumberBlankVoided,
    PointNotFound,
    RedExceedsBlue,
    RedOriginalNotFound,
    RedTypeMismatch,
    RequestIdReused,
    TaxpayerNotFound,
)
from invoice.identifiers import invoice_name
from ledger.records import Entry, Reservation
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest
from tests.gateway.desk import (
    CODES,
    NO_DEADLINE,
    TAX_NUMBER,
    Desk,
    blank_void_of,
    open_desk,
    red,
    reservation,
    void_of,
)

OTHER = "91310115X12J2H3L4B"


def full_red_of(entry: Entry, request_id: str = "red", **facts: str) -> ReverseInvoiceRequest:
    name = invoice_name(entry.tax_number, entry.code, entry.number)
    asked = ReverseInvoiceRequest(request_id=request_id, name=name, red_reason="开票有误")
    for field, value in facts.items():
        setattr(asked, field, value)
    return asked


async def reverse(
    desk: Desk, request: ReverseInvoiceRequest, deadline: Deadline = NO_DEADLINE
) -> Issued | Exception:
    ask = Ask(request.request_id, partial(desk.reversal.prepare, request))
    try:
        return await desk.issuing.one(ask, deadline)
    except InvoiceError as error:
        return error


async def reversed_by(desk: Desk, request: ReverseInvoiceRequest) -> Issued:
    outcome = await reverse(desk, request)
    assert isinstance(outcome, Issued), outcome
    return outcome


async def refused(desk: Desk, request: ReverseInvoiceRequest) -> InvoiceError:
    outcome = await reverse(desk, request)
    assert isinstance(outcome, InvoiceError), outcome
    return outcome


async def test_a_full_red_mirrors_its_blue(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        issued = await reversed_by(desk, full_red_of(blue, clerk="李示例"))

        members = content.read(issued.entry.content)
        assert issued.entry.kind is Kind.RED
        assert (issued.entry.net_fen, issued.entry.tax_fen) == (-blue.net_fen, -blue.tax_fen)
        assert members["original"] == {"code": blue.code, "number": blue.number}
        assert members["red_reason"] == "开票有误"
        assert members["clerk"] == "李示例"


async def test_the_same_request_again_answers_the_red_whatever_became_of_the_blue(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        first = await reversed_by(desk, full_red_of(blue))
        reversed_again = await reversed_by(desk, full_red_of(blue))
        await desk.void(void_of(first.entry, "void-red"))
        await desk.void(void_of(blue, "void-blue"))
        voided_again = await reversed_by(desk, full_red_of(blue))
        desk.signer.down = True
        away_again = await reversed_by(desk, full_red_of(blue))

        for again in (reversed_again, voided_again, away_again):
            assert again.replayed
            assert again.entry.content == first.entry.content
            assert again.entry.signature == first.entry.signature


async def test_another_reversal_under_the_id_is_told_what_differs(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        await reversed_by(desk, full_red_of(blue))
        error = await refused(desk, full_red_of(blue, red_reason="退货", clerk="李示例"))

        assert isinstance(error, RequestIdReused)
        assert error.facts["fields"] == "clerk,red_reason"
        assert isinstance(await refused(desk, full_red_of(blue, "blue")), RequestIdReused)


async def test_64_callers_who_reverse_one_blue_get_one_red(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        answers = await asyncio.gather(
            *(reverse(desk, full_red_of(blue, f"red-{at}")) for at in range(64))
        )

        assert sum(isinstance(one, Issued) for one in answers) == 1
        assert sum(isinstance(one, RedExceedsBlue) for one in answers) == 63


async def test_64_callers_with_one_id_get_the_same_red(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        answers = await asyncio.gather(*(reversed_by(desk, full_red_of(blue)) for _ in range(64)))

        assert len({one.entry.signature for one in answers}) == 1
        assert sum(not one.replayed for one in answers) == 1


async def test_what_cannot_be_reversed_is_refused_by_name(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        gone = (await desk.issue(reservation("gone"))).entry
        await desk.void(void_of(gone))
        await desk.void_blank(blank_void_of("00000003"))
        a_red = (await desk.issue(red("a-red", blue))).entry
        blank = full_red_of(blue, name=f"taxpayers/{TAX_NUMBER}/invoices/{CODES['026']}-00000003")
        absent = full_red_of(blue, name=f"taxpayers/{TAX_NUMBER}/invoices/{CODES['026']}-00000009")

        of_gone = await refused(desk, full_red_of(gone))
        of_blank = await refused(desk, blank)
        of_red = await refused(desk, full_red_of(a_red))

        assert isinstance(of_gone, InvoiceNotReversible)
        assert of_gone.facts["state"] == "VOIDED"
        assert isinstance(of_blank, InvoiceNotReversible)
        assert of_blank.facts["state"] == "BLANK_VOIDED"
        assert isinstance(of_red, RedTypeMismatch)
        assert of_red.facts["original_kind"] == "red"
        assert isinstance(await refused(desk, absent), InvoiceNotFound)


async def test_a_blue_that_waits_for_its_signature_is_refused_until_it_has_it(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        waiting = desk.issuer.submit(reservation("blue"))
        await desk.signer.asked.wait()
        early = await refused(desk, _number_one("red"))
        desk.signer.release()
        await waiting

        assert isinstance(early, InvoiceNotReversible)
        assert early.facts["state"] == "RESERVED"
        assert not (await reversed_by(desk, _number_one("red"))).replayed


async def test_a_type_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    async with open_desk(tmp_path, types=("026", "007", "025")) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        roll = (await desk.issue(reservation("roll", type_="025"))).entry

        mismatch = await refused(desk, full_red_of(blue, type="004"))
        nobodys = await refused(desk, full_red_of(blue, type="999"))
        unnamed = await refused(desk, full_red_of(roll))
        named = await reversed_by(desk, full_red_of(roll, "roll-red", type="007"))

        assert isinstance(mismatch, RedTypeMismatch)
        assert isinstance(nobodys, InvalidInvoice)
        assert ("type", "TYPE_NOT_AUTHORISED") in {
            (one.field, one.rule) for one in nobodys.violations
        }
        assert isinstance(unnamed, InvalidRequest)
        assert unnamed.facts == {"field": "type", "rule": "FIELD_REQUIRED"}
        assert named.entry.type == "007"


async def test_the_point_is_one_of_the_blues_taxpayer(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry

        strange = await refused(desk, full_red_of(blue, point=f"taxpayers/{OTHER}/points/0"))
        absent = await refused(desk, full_red_of(blue, point=f"taxpayers/{TAX_NUMBER}/points/7"))
        unknown = full_red_of(blue, name=f"taxpayers/{OTHER}/invoices/{CODES['026']}-00000001")

        assert isinstance(strange, RedOriginalNotFound)
        assert isinstance(absent, PointNotFound)
        assert isinstance(await refused(desk, unknown), InvoiceNotFound | TaxpayerNotFound)


@pytest.mark.parametrize("reason", ["", "字" * 101])
async def test_the_reason_is_judged_as_in_any_red(tmp_path: Path, reason: str) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        asked = full_red_of(blue)
        asked.red_reason = reason

        error = await refused(desk, asked)

        assert isinstance(error, InvalidInvoice)
        assert [one.field for one in error.violations] == ["red_reason"]


async def test_a_red_left_without_signature_is_finished_under_its_id(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        desk.signer.fail_next(1)
        assert isinstance(await refused(desk, full_red_of(blue)), HsmUnavailable)
        async with asyncio.timeout(10):
            again = await desk.settled("red")

        assert again is not None
        assert (await reversed_by(desk, full_red_of(blue))).entry.number == again.entry.number


async def test_a_given_up_red_is_so_for_ever_and_its_blue_free(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        desk.signer.hold()
        soon = Deadline(asyncio.get_running_loop().time() + 0.05)
        assert isinstance(await reverse(desk, full_red_of(blue), soon), InProgress)
        desk.signer.down = True
        desk.signer.release()
        desk.clock.offset_s = 61.0
        async with asyncio.timeout(10):
            while desk.issuer.busy():  # noqa: ASYNC110 - counters, nothing to await
                await asyncio.sleep(0.001)
        with pytest.raises(HsmUnavailable):
            await desk.void_blank(blank_void_of("00000002"))

        away = await refused(desk, full_red_of(blue))
        desk.signer.down = False
        back = await refused(desk, full_red_of(blue))

        assert isinstance(away, NumberBlankVoided)
        assert isinstance(back, NumberBlankVoided)
        assert not (await reversed_by(desk, full_red_of(blue, "another"))).replayed


def _number_one(request_id: str) -> ReverseInvoiceRequest:
    name = f"taxpayers/{TAX_NUMBER}/invoices/{CODES['026']}-00000001"
    return ReverseInvoiceRequest(request_id=request_id, name=name, red_reason="开票有误")


async def test_a_blue_at_its_size_limit_can_be_reversed(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(at_the_limit(reservation("blue")))).entry
        assert content.SMALL_BYTES_MAX - 400 < len(blue.content) <= content.SMALL_BYTES_MAX

        issued = await reverse(desk, full_red_of(blue))

        # A sign in each line, and an original and a reason in the header.
        assert isinstance(issued, Issued)
        assert len(issued.entry.content) > content.SMALL_BYTES_MAX


def at_the_limit(ticket: Reservation) -> Reservation:
    """The same ticket a hundred times, with as long texts as 64 KiB hold."""
    one = content.document(content.read(b'{"schema":"%b",%b' % (content.INVOICE_TAG, ticket.tail)))
    # A quotation mark takes two bytes in JSON, and one of what a field may have.
    line = replace(
        one.lines[0],
        unit='"' * 20,
        specification='"' * 40,
        own_code='"' * 20,
        preferential=True,
        preferential_policy='"' * 50,
        quantity="1." + "0" * 15,
        unit_price="100." + "0" * 15,
    )
    draft = replace(
        one,
        lines=(line,) * 100,
        net_fen=100 * one.net_fen,
        tax_fen=100 * one.tax_fen,
        gross_fen=100 * one.gross_fen,
    )
    tail = partial(content.tail, taxpayer=TAX_NUMBER, point=0)
    room = content.SMALL_BYTES_MAX - content.HEAD_BYTES_MAX - len(tail(draft))
    longer = replace(line, name='"' * 90)
    count = room // (180 - len(line.name.encode()))
    made = tail(replace(draft, lines=(longer,) * count + (line,) * (100 - count)))
    return replace(
        ticket,
        tail=made,
        fingerprint=content.fingerprint(made),
        net_fen=draft.net_fen,
        tax_fen=draft.tax_fen,
    )
