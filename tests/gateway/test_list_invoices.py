"""A list's filter is checked field by field, its pages fit a message, its tokens fit their list."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.list_invoices import PAGE_BYTES_MAX
from invoice import content
from invoice.errors import InvalidRequest, PointNotFound, TaxpayerNotFound
from ledger.queries import InvoiceFilter
from ledger.records import Reservation
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1 import invoice_query_pb2 as pb2
from tests.gateway.reading_desk import PARENT, Desk, open_desk
from tests.ledger import building

CODE = building.CODE


def asked(**fields: Any) -> pb2.ListInvoicesRequest:
    return pb2.ListInvoicesRequest(**{"parent": PARENT, **fields})


async def whole(desk: Desk, **fields: Any) -> list[str]:
    """Numbers of all pages."""
    numbers: list[str] = []
    token = ""
    while True:
        page = await desk.lister.page(asked(page_token=token, **fields))
        numbers += [invoice.issued.number for invoice in page.invoices]
        token = page.next_page_token
        if not token:
            return numbers


def a_large_one(request_id: str) -> Reservation:
    """One draft whose content is close to a mebibyte."""
    draft = building.a_draft(type="007")
    line = replace(draft.lines[0], name="项" * 30, specification="规" * 13, unit="个" * 6)
    draft = replace(draft, lines=(line,) * 1_900)
    tail = content.tail(draft, taxpayer=building.TAX_NUMBER, point=0)
    return replace(
        building.a_reservation(request_id, type="007"),
        fingerprint=content.fingerprint(tail),
        tail=tail,
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"parent": ""}, "parent: FIELD_REQUIRED"),
        ({"parent": "taxpayers/x"}, "parent: FIELD_FORMAT"),
        ({"parent": f"{PARENT}/points/65536"}, "parent: FIELD_FORMAT"),
        ({"type": "999"}, "type: FIELD_FORMAT"),
        ({"code": "01100260011"}, "code: FIELD_FORMAT"),
        ({"code": "01100260011x"}, "code: FIELD_FORMAT"),
        ({"code": CODE, "type": "082"}, "code: FIELD_FORMAT"),
        ({"first_number": "00000001"}, "code: FIELD_REQUIRED"),
        ({"last_number": "00000001"}, "code: FIELD_REQUIRED"),
        ({"code": CODE, "first_number": "1"}, "first_number: FIELD_FORMAT"),
        ({"code": CODE, "first_number": "0000000x"}, "first_number: FIELD_FORMAT"),
        ({"code": CODE, "first_number": "0" * 20}, "code: FIELD_FORMAT"),
        (
            {"code": CODE, "first_number": "00000001", "last_number": "2"},
            "last_number: FIELD_FORMAT",
        ),
        (
            {"first_number": "0" * 20, "last_number": "0" * 8},
            "last_number: FIELD_FORMAT",
        ),
        (
            {"code": CODE, "first_number": "00000002", "last_number": "00000001"},
            "last_number: FIELD_RANGE",
        ),
        ({"issued_from": Timestamp(seconds=10**15)}, "issued_from: FIELD_RANGE"),
        ({"issued_before": Timestamp(nanos=-1)}, "issued_before: FIELD_RANGE"),
        (
            {"issued_from": Timestamp(seconds=2), "issued_before": Timestamp(seconds=1)},
            "issued_before: FIELD_RANGE",
        ),
        ({"state": 99}, "state: FIELD_FORMAT"),
        ({"upload_state": 99}, "upload_state: FIELD_FORMAT"),
        ({"buyer_tax_number": "123"}, "buyer_tax_number: FIELD_FORMAT"),
        ({"page_size": -1}, "page_size: FIELD_RANGE"),
        ({"page_token": "nonsense"}, "page_token: FIELD_FORMAT"),
    ],
)
async def test_what_is_malformed_is_named(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    async with open_desk(tmp_path) as desk:
        await building.register(desk.ledger)

        with pytest.raises(InvalidRequest, match=said):
            await desk.lister.page(asked(**fields))


async def test_who_is_not_there_is_named(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.register(desk.ledger)

        with pytest.raises(TaxpayerNotFound):
            await desk.lister.page(asked(parent=f"taxpayers/{building.OTHER_TAX_NUMBER}"))
        with pytest.raises(PointNotFound):
            await desk.lister.page(asked(parent=f"{PARENT}/points/2"))


async def test_digital_numbers_need_no_code(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger, code="", prefix="26110", width=20)
        await building.issue(desk.ledger, "a", "b", "c")

        first = "26110" + "2".zfill(15)
        assert await whole(desk, first_number=first) == [first, "26110" + "3".zfill(15)]


async def test_times_between_two_seconds(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        second = int(building.NOW)
        for at in range(3):
            await building.issue(desk.ledger, f"r-{at}", now=second + at)

        half = Timestamp(seconds=second, nanos=500_000_000)
        assert await whole(desk, issued_from=half) == ["00000002", "00000003"]
        assert await whole(desk, issued_before=half) == ["00000001"]
        assert await whole(desk, issued_from=Timestamp(seconds=-(10**9))) == [
            "00000001",
            "00000002",
            "00000003",
        ]


async def test_an_empty_list_is_one_empty_page(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.register(desk.ledger)

        assert await desk.lister.page(asked()) == pb2.ListInvoicesResponse()


async def test_fifty_unless_said_and_five_hundred_at_most(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        await building.issue(desk.ledger, *(f"r-{at}" for at in range(600)))

        assert len((await desk.lister.page(asked())).invoices) == 50
        assert len((await desk.lister.page(asked(page_size=501))).invoices) == 500
        assert len(await whole(desk, page_size=7)) == 600


async def test_no_page_is_larger_than_a_message_may_be(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.register(desk.ledger, types=("007",))
        await building.draw(desk.ledger, 20, type="007")
        await building.assign(desk.ledger, 20, type="007")
        entries = await building.issue_all(
            desk.ledger, *(a_large_one(f"r-{at}") for at in range(9))
        )
        assert len(entries[0].content) > 600_000
        pages = []
        token = ""
        while True:
            page = await desk.lister.page(asked(page_token=token))
            pages.append(page)
            token = page.next_page_token
            if not token:
                break

        assert max(page.ByteSize() for page in pages) <= PAGE_BYTES_MAX
        # However much the ledger gives, what a message does not hold comes with the next one.
        wanted = InvoiceFilter(tax_number=building.TAX_NUMBER)
        given = await desk.ledger.list_invoices(
            building.TENANT, wanted, count_max=50, bytes_max=10 * PAGE_BYTES_MAX
        )
        made = desk.lister._response(given, b"bound")
        assert len(given.records) == 9
        assert made.ByteSize() <= PAGE_BYTES_MAX
        assert made.next_page_token
        assert len(pages) <= 3
        assert [invoice.issued.content for page in pages for invoice in page.invoices] == [
            entry.content for entry in entries
        ]


@pytest.mark.parametrize(
    "other",
    [
        {"newest_first": True},
        {"type": "026"},
        {"state": invoice_pb2.Invoice.STATE_ISSUED},
        {"parent": f"{PARENT}/points/0"},
        {"code": CODE, "first_number": "00000001"},
    ],
)
async def test_a_token_fits_its_own_list_only(tmp_path: Path, other: dict[str, Any]) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        await building.issue(desk.ledger, "a", "b")
        token = (await desk.lister.page(asked(page_size=1))).next_page_token

        with pytest.raises(InvalidRequest, match="page_token: TOKEN_MISMATCH"):
            await desk.lister.page(asked(page_token=token, **other))
        # The size is not part of the question.
        assert len((await desk.lister.page(asked(page_token=token, page_size=9))).invoices) == 1


async def test_a_token_holds_over_a_restart(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        await building.issue(desk.ledger, "a", "b")
        token = (await desk.lister.page(asked(page_size=1))).next_page_token

    async with open_desk(tmp_path) as desk:
        page = await desk.lister.page(asked(page_token=token))

    assert [invoice.issued.request_id for invoice in page.invoices] == ["b"]


async def test_a_listed_invoice_says_where_it_stands(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_family_shop(desk.ledger)
        blue, gone = await building.issue_all(
            desk.ledger,
            *(building.a_reservation(request_id, type="007") for request_id in ("blue", "gone")),
        )
        await building.issue_all(desk.ledger, building.a_red("red", blue, 5_000, 450))
        await building.void(desk.ledger, gone)
        await building.void_blank(desk.ledger, "00000004", code=blue.code, type="007")

        listed = (await desk.lister.page(asked())).invoices

        whose = {invoice.issued.request_id: invoice for invoice in listed}
        states = invoice_pb2.Invoice
        assert whose["blue"].state == states.STATE_PARTLY_REVERSED
        assert (whose["blue"].reversed_net_fen, whose["blue"].reversed_tax_fen) == (5_000, 450)
        assert whose["red"].original == whose["blue"].issued.name
        assert whose["red"].kind == invoice_pb2.INVOICE_KIND_RED
        assert whose["gone"].state == states.STATE_VOIDED
        assert whose["gone"].void_statement.invoice == whose["gone"].issued.name
        assert whose["gone"].void_statement.signature
        blank = whose[""]
        assert blank.state == states.STATE_BLANK_VOIDED
        assert (blank.issued.number, blank.issued.content) == ("00000004", b"")
        assert blank.void_statement.content
        assert not any(invoice.certificate or invoice.void_certificate for invoice in listed)
