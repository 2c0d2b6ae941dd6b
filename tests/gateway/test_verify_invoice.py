"""A stranger learns whether what he holds fits in every part, and from a misfit nothing else."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest

from invoice import marks
from invoice.content import SHANGHAI
from invoice.errors import InvalidRequest, RateLimited
from ledger import printed
from ledger.opening import connect_reader
from ledger.records import Entry
from taxcontrol.v1 import invoice_query_pb2 as pb2
from tests.gateway.reading_desk import Desk, open_desk
from tests.ledger import building

GENUINE = pb2.VerifyInvoiceResponse.VERDICT_GENUINE
VOIDED = pb2.VerifyInvoiceResponse.VERDICT_VOIDED
REVERSED = pb2.VerifyInvoiceResponse.VERDICT_REVERSED
NOT_OURS = pb2.VerifyInvoiceResponse.VERDICT_NOT_OURS
PEER = "ipv4:10.0.0.1:1"


def day(entry: Entry) -> date:
    return datetime.fromtimestamp(entry.issue_time, SHANGHAI).date()


def as_printed(entry: Entry, **other: Any) -> pb2.VerifyInvoiceRequest:
    """What is printed on an invoice, but for what is said otherwise."""
    parts = {
        "code": entry.code,
        "number": entry.number,
        "issue_date": day(entry).isoformat(),
        "net_fen": entry.net_fen,
        "check_code": entry.check_code,
    }
    return pb2.VerifyInvoiceRequest(printed=pb2.PrintedInvoice(**{**parts, **other}))


def as_qr(entry: Entry, **other: Any) -> pb2.VerifyInvoiceRequest:
    """Its QR text, but for what is said otherwise."""
    parts = {
        "type_code": entry.type,
        "code": entry.code,
        "number": entry.number,
        "net_fen": entry.net_fen,
        "issue_date": day(entry),
        "check_code": entry.check_code,
    }
    return pb2.VerifyInvoiceRequest(qr_text=marks.qr_text(**{**parts, **other}))


async def verdict(desk: Desk, request: pb2.VerifyInvoiceRequest, peer: str = PEER) -> int:
    return (await desk.verifier.verify(request, peer)).verdict


def steps_of(reader: apsw.Connection, ask: Callable[[], object]) -> tuple[int, int]:
    """How many statements were run, and how many steps they took."""
    counted: list[int] = []

    def note(traced: dict[str, Any]) -> None:
        counted.append(traced["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

    reader.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)
    ask()
    reader.trace_v2(0, None)
    return len(counted), sum(counted)


async def shop(desk: Desk) -> list[Entry]:
    """One invoice of each type that the family shop sells, by type."""
    await building.open_family_shop(desk.ledger)
    drafts = (building.a_reservation(f"r-{type_}", type=type_) for type_ in ("007", "026", "028"))
    return await building.issue_all(desk.ledger, *drafts)


async def test_what_is_as_printed_is_genuine(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        for entry in await shop(desk):
            assert await verdict(desk, as_printed(entry)) == GENUINE
            assert await verdict(desk, as_qr(entry)) == GENUINE
            text = as_qr(entry).qr_text[:-5]  # without the last comma, as one vendor has it
            other = f"{text},{marks.crc16(text.encode()):04X}"
            assert await verdict(desk, pb2.VerifyInvoiceRequest(qr_text=other)) == GENUINE


async def test_the_last_six_of_the_check_code_will_do(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        general, _, special = await shop(desk)

        assert (
            await verdict(desk, as_printed(general, check_code=general.check_code[-6:])) == GENUINE
        )
        assert special.check_code == ""
        assert await verdict(desk, as_printed(special, check_code="123456")) == NOT_OURS


@pytest.mark.parametrize(
    "misfit",
    [
        {"net_fen": 20_001},
        {"net_fen": -20_000},
        {"issue_date": "2027-01-14"},
        {"number": "00000002"},
        {"number": "99999999"},
        {"code": "011002600199"},
        {"code": "", "number": "26110000000000000001"},
        {"check_code": ""},
        {"check_code": "1" * 20},
        {"check_code": "1" * 6},
        {"check_code": "abcdef"},
    ],
)
async def test_one_misfit_and_it_is_not_ours(tmp_path: Path, misfit: dict[str, Any]) -> None:
    async with open_desk(tmp_path) as desk:
        general, *_ = await shop(desk)
        assert general.net_fen == 20_000
        assert day(general).isoformat() == "2027-01-15"

        assert await verdict(desk, as_printed(general, **misfit)) == NOT_OURS


async def test_the_kind_of_the_qr_text_must_fit(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        general, electronic, _ = await shop(desk)

        assert await verdict(desk, as_qr(general, type_code=electronic.type)) == NOT_OURS


async def test_what_became_of_it_since(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_family_shop(desk.ledger)
        whole, part, gone, decided = await building.issue_all(
            desk.ledger, *(building.a_reservation(f"r-{at}", type="007") for at in range(4))
        )
        (red, _) = await building.issue_all(
            desk.ledger, building.a_red("red-1", whole), building.a_red("red-2", part, 100)
        )
        await building.void(desk.ledger, gone)
        await building.decide_void(desk.ledger, decided)

        verdicts = [
            await verdict(desk, as_printed(entry)) for entry in (whole, part, gone, decided, red)
        ]

        assert verdicts == [REVERSED, REVERSED, VOIDED, GENUINE, GENUINE]


async def test_a_number_without_a_signature_is_nobodys(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        (reserved,) = await building.reserve(desk.ledger, building.a_reservation("a"))
        blank = await building.void_blank(desk.ledger, "00000002")
        unused = replace(reserved, number="00000003")
        signed = building.signed(reserved)

        for entry in (
            replace(reserved, check_code=signed.check_code),
            replace(reserved, number=blank.number, net_fen=0, check_code="0" * 20),
            replace(unused, check_code="0" * 20),
        ):
            for request in (as_printed(entry), as_qr(entry)):
                assert await verdict(desk, request) == NOT_OURS


async def test_any_sellers_invoice_is_found(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger, 10)
        await building.open_shop(
            desk.ledger, 10, first=11, tax_number=building.OTHER_TAX_NUMBER, tenant="another"
        )
        (mine,) = await building.issue(desk.ledger, "a")
        (other,) = await building.issue_all(
            desk.ledger,
            building.a_reservation("b", tax_number=building.OTHER_TAX_NUMBER, tenant="another"),
        )

        assert await verdict(desk, as_printed(mine)) == GENUINE
        assert await verdict(desk, as_printed(other)) == GENUINE


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (pb2.VerifyInvoiceRequest(), "key: FIELD_REQUIRED"),
        (pb2.VerifyInvoiceRequest(qr_text="x"), "qr_text: FIELD_FORMAT"),
        (pb2.VerifyInvoiceRequest(qr_text=""), "qr_text: FIELD_FORMAT"),
    ],
)
async def test_what_cannot_be_read_is_named(
    tmp_path: Path, asked: pb2.VerifyInvoiceRequest, said: str
) -> None:
    async with open_desk(tmp_path) as desk:
        with pytest.raises(InvalidRequest, match=said):
            await verdict(desk, asked)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"number": ""}, "printed.number: FIELD_REQUIRED"),
        ({"number": "1"}, "printed.number: FIELD_FORMAT"),
        ({"number": "0000000x"}, "printed.number: FIELD_FORMAT"),
        ({"code": "1"}, "printed.code: FIELD_FORMAT"),
        ({"code": ""}, "printed.number: FIELD_FORMAT"),
        ({"issue_date": ""}, "printed.issue_date: FIELD_REQUIRED"),
        ({"issue_date": "2027-02-30"}, "printed.issue_date: FIELD_FORMAT"),
        ({"issue_date": "20270115"}, "printed.issue_date: FIELD_FORMAT"),
        ({"check_code": "12345"}, "printed.check_code: FIELD_FORMAT"),
    ],
)
async def test_what_is_printed_wrongly_is_named(
    tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    async with open_desk(tmp_path) as desk:
        entry, *_ = await shop(desk)

        with pytest.raises(InvalidRequest, match=said):
            await verdict(desk, as_printed(entry, **other))


async def test_asking_too_often_is_refused_for_that_caller_only(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        entry, *_ = await shop(desk)
        request = as_printed(entry)
        await asyncio.gather(*(verdict(desk, request) for _ in range(1_000)))

        with pytest.raises(RateLimited):
            await verdict(desk, request)
        with pytest.raises(RateLimited):  # what cannot be read counts too
            await verdict(desk, pb2.VerifyInvoiceRequest())

        assert await verdict(desk, request, "ipv4:10.0.0.2:1") == GENUINE


async def test_a_stranger_costs_the_same_whatever_he_asks(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger, 100)
        (entry,) = await building.issue(desk.ledger, "a")
        await building.reserve(desk.ledger, building.a_reservation("b"))
    reader = connect_reader(apsw.Connection, tmp_path / "ledger.db")
    asked: dict[str, Callable[[], object]] = {
        "known": lambda: printed.find_printed(reader, entry.code, entry.number),
        "reserved": lambda: printed.find_printed(reader, entry.code, "00000002"),
        "unused": lambda: printed.find_printed(reader, entry.code, "00000003"),
        "unknown": lambda: printed.find_printed(reader, "999999999999", "00000001"),
    }
    steps = {name: steps_of(reader, ask) for name, ask in asked.items()}
    reader.close()

    assert {count for count, _ in steps.values()} == {2}
    assert max(total for _, total in steps.values()) < 100, steps
