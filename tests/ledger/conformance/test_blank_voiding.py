"""A number is given up only where nobody can become an invoice of it, and stays in the books."""

import pytest

from invoice.errors import (
    ClockSkew,
    NumberNotBlank,
    PointNotFound,
    RequestIdReused,
    TaxpayerNotFound,
)
from invoice.lifecycle import InvoiceState, UploadState
from invoice.statements import StatementKind, facts
from ledger.port import Ledger
from ledger.records import Entry, InvoiceRecord, MeterRecord
from tests.ledger import building
from tests.ledger.building import (
    ACT,
    CODE,
    NOW,
    TAX_NUMBER,
    TENANT,
    WORKER,
    a_red,
    a_reservation,
    binding,
    decide_blank_void,
    settle_statement,
)
from tests.ledger.conformance.conftest import Books


async def _shown(ledger: Ledger, number: str, code: str = CODE) -> InvoiceRecord:
    record = await ledger.find_invoice(TENANT, TAX_NUMBER, code, number)
    assert record is not None
    return record


async def _meter(ledger: Ledger, type: str = building.TYPE) -> MeterRecord:
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    return next(meter for meter in backlog.meters if meter.type == type)


async def _refusal(ledger: Ledger, number: str, now: float = NOW) -> dict[str, str]:
    with pytest.raises(NumberNotBlank) as refused:
        await decide_blank_void(ledger, number, now=now)
    return refused.value.facts


async def _left(ledger: Ledger, point: int = 0) -> int:
    levels = await ledger.stock(TENANT, TAX_NUMBER, point=point)
    return sum(level.available_count for level in levels)


async def test_the_next_number_leaves_its_segment(ledger: Ledger) -> None:
    await building.open_shop(ledger, 3)
    await building.issue(ledger, "r-1")

    statement = await decide_blank_void(ledger, "00000002", request_id="blank-1", now=NOW + 9)
    waiting = await _shown(ledger, "00000002")
    settled = await settle_statement(ledger, statement)
    (following,) = await building.issue(ledger, "r-2", now=NOW + 9)

    assert waiting.entry.state is InvoiceState.BLANK_VOIDED
    assert (waiting.statement, waiting.upload_state) == (None, UploadState.PENDING)
    shown = await _shown(ledger, "00000002")
    assert shown.statement == settled
    assert shown.statement_certificate == b"certificate of 661000000001"
    entry = shown.entry
    assert (entry.content, entry.signature, entry.request_id) == (b"", None, "blank-1")
    assert (entry.net_fen, entry.tax_fen, entry.issue_time) == (0, 0, int(NOW) + 9)
    assert following.number == "00000003"
    assert await ledger.find_request(TENANT, "blank-1") is None


async def test_a_blank_void_says_what_it_voids(ledger: Ledger) -> None:
    await building.open_shop(ledger, 3)

    statement = await decide_blank_void(ledger, "00000001")

    assert facts(StatementKind.BLANK_VOID, statement.content) == (
        "661000000001", CODE, "00000001", int(NOW), TAX_NUMBER, 0, building.TYPE, "", "号码作废",
    )  # fmt: skip
    assert statement.kind is StatementKind.BLANK_VOID


async def test_it_counts_nowhere_and_moves_the_clock(ledger: Ledger) -> None:
    await building.open_shop(ledger, 3)

    await building.void_blank(ledger, "00000001", now=NOW + 50)

    meter = await _meter(ledger)
    assert (meter.unuploaded_count, meter.unuploaded_amount_fen) == (0, 0)
    assert meter.last_issue_time == int(NOW) + 50
    (entry,) = await building.issue(ledger, "r-1", now=NOW)
    assert entry.issue_time == int(NOW) + 50


async def test_only_the_next_number_can_be_given_up(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    await building.issue(ledger, "r-1")

    assert await _refusal(ledger, "00000003") == {
        "next_code": CODE, "next_number": "00000002", "state": "",
    }  # fmt: skip
    assert (await _refusal(ledger, "00000001"))["state"] == "ISSUED"
    await building.void_blank(ledger, "00000002")
    assert await _refusal(ledger, "00000002") == {
        "next_code": CODE, "next_number": "00000003", "state": "BLANK_VOIDED",
    }  # fmt: skip


async def test_where_nothing_is_left_there_is_no_next(ledger: Ledger) -> None:
    await building.open_shop(ledger, 1)
    await building.void_blank(ledger, "00000001")

    assert await _refusal(ledger, "00000002") == {
        "next_code": "", "next_number": "", "state": "",
    }  # fmt: skip


async def test_the_next_number_may_lie_in_the_next_segment(ledger: Ledger) -> None:
    await building.open_shop(ledger, 1)
    await building.draw(ledger, 2, 1, code="031002600111")
    await building.assign(ledger, 2)

    await building.void_blank(ledger, "00000001")
    await building.void_blank(ledger, "00000001", code="031002600111")
    (entry,) = await building.issue(ledger, "r-1")

    assert (entry.code, entry.number) == ("031002600111", "00000002")
    assert await _left(ledger) == 0


async def test_another_points_number_is_not_its_own(ledger: Ledger) -> None:
    await building.open_shop(ledger, 2)

    with pytest.raises(NumberNotBlank):
        await decide_blank_void(ledger, "00000001", point=1)
    with pytest.raises(PointNotFound):
        await decide_blank_void(ledger, "00000001", point=9)
    with pytest.raises(TaxpayerNotFound):
        await ledger.reserve_blank_void(
            tax_number=TAX_NUMBER,
            point=0,
            type=building.TYPE,
            code=CODE,
            number="00000001",
            reason="号码作废",
            binding=binding("void_blank_number", tenant="another"),
            act=ACT,
            worker=WORKER,
            now=NOW,
        )


async def test_a_number_that_waits_for_its_signature_is_given_up_after_a_minute(
    ledger: Ledger,
) -> None:
    await building.open_shop(ledger, 5)
    (entry, other) = await building.reserve(ledger, a_reservation("r-1"), a_reservation("r-2"))

    young = await _refusal(ledger, entry.number, now=NOW + 59.9)
    statement = await decide_blank_void(ledger, entry.number, now=NOW + 60)

    assert young == {"next_code": CODE, "next_number": "00000003", "state": "RESERVED"}
    found = await ledger.find_request(TENANT, "r-1")
    assert found is not None
    assert (found.state, found.content) == (InvoiceState.BLANK_VOIDED, entry.content)
    meter = await _meter(ledger)
    assert (meter.unuploaded_count, meter.unuploaded_amount_fen) == (1, other.net_fen)
    assert meter.last_issue_time == entry.issue_time
    assert statement.statement_time == int(NOW) + 60
    await settle_statement(ledger, statement)
    assert (await _shown(ledger, entry.number)).statement is not None


async def test_a_settle_that_comes_late_stores_nothing(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))
    await decide_blank_void(ledger, entry.number, now=NOW + 60)

    (late,) = (await building.commit(ledger, [building.signed(entry)])).settled
    result = await building.commit(ledger, (), [a_reservation("r-1")])

    assert (late.state, late.signature) == (InvoiceState.BLANK_VOIDED, None)
    again = result.reserved[0]
    assert (again.entry, again.replayed) == (late, True)
    assert await ledger.orphans(worker=WORKER, now=NOW + 90, count_max=9) == []


async def test_a_settle_that_comes_first_wins(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))
    await building.commit(ledger, [building.signed(entry)])

    assert (await _refusal(ledger, entry.number, now=NOW + 60))["state"] == "ISSUED"


async def test_it_waits_at_its_own_point_only(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))

    with pytest.raises(NumberNotBlank):
        await decide_blank_void(ledger, entry.number, point=1, now=NOW + 60)
    with pytest.raises(NumberNotBlank):
        await decide_blank_void(ledger, entry.number, type=building.SPECIAL_TYPE, now=NOW + 60)


async def test_a_red_that_is_given_up_gives_back_at_once(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    (blue,) = await building.issue_all(ledger, a_reservation("blue", type="028"))
    notice = "1234567890123450"
    (red,) = await building.reserve(ledger, a_red("red-1", blue, notice=notice))

    await decide_blank_void(ledger, red.number, code=red.code, type="028", now=NOW + 60)

    result = await building.commit(ledger, (), [a_red("red-2", blue, notice=notice)])
    assert result.reserved[0].error is None
    shown = await _shown(ledger, blue.number, blue.code)
    assert shown.entry.state is InvoiceState.ISSUED
    assert (await _shown(ledger, red.number, red.code)).original is not None


async def test_an_id_stands_for_one_number(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    first = await decide_blank_void(ledger, "00000001", request_id="blank-1")

    assert await decide_blank_void(ledger, "00000001", request_id="blank-1") == first
    with pytest.raises(RequestIdReused, match="number"):
        await decide_blank_void(ledger, "00000002", request_id="blank-1")
    assert await _left(ledger) == 4


async def test_a_dry_run_changes_nothing(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))

    await decide_blank_void(ledger, "00000002", dry_run=True)
    await decide_blank_void(ledger, entry.number, now=NOW + 60, dry_run=True)

    assert await _left(ledger) == 4
    found = await ledger.find_request(TENANT, "r-1")
    assert found is not None
    assert found.state is InvoiceState.RESERVED
    assert (await _meter(ledger)).last_issue_time == int(NOW)


async def test_a_clock_that_cannot_be_trusted_gives_up_nothing(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    await building.issue(ledger, "r-1")

    with pytest.raises(ClockSkew):
        await decide_blank_void(ledger, "00000002", now=int(NOW) - 1_801)
    statement = await decide_blank_void(ledger, "00000002", now=int(NOW) - 1_800)

    assert statement.statement_time == int(NOW)


async def test_a_blank_number_goes_to_the_authority_and_is_accepted(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    statement = await building.void_blank(ledger, "00000001")

    submission = await ledger.prepare_submission(TAX_NUMBER, "s-1", count_max=9, now=NOW)
    assert submission is not None
    (item,) = submission.items
    assert (item.event, item.number, item.original) == ("BLANK_VOID", "00000001", None)
    assert (item.content, item.signature) == (statement.content, statement.signature)
    assert submission.certificates == {building.KEY_ID: b"certificate of 661000000001"}
    await ledger.release_submission("s-1", not_before=0, batch_count_max=9)
    await building.upload(ledger, "s-2")

    shown = await _shown(ledger, "00000001")
    assert (shown.upload_state, shown.acceptance_serial) == (UploadState.ACCEPTED, "serial-s-2")
    assert (await _meter(ledger)).change_number == 2


async def test_it_is_found_after_a_restart(storage: Books) -> None:
    before = await storage.open(worker="before")
    await building.open_shop(before, 5)
    statement = await decide_blank_void(before, "00000001", worker="before")

    after = await storage.open(worker="after", now=NOW + 0.1)

    assert await after.orphan_statements(worker="after", now=NOW + 0.1, count_max=9) == [statement]
    await settle_statement(after, statement)
    entries: list[Entry] = await building.issue(after, "r-1")
    assert entries[0].number == "00000002"
