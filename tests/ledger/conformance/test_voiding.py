"""A void is decided when it is reserved and seen when it is settled; whoever commits first wins."""

import asyncio
from datetime import datetime

import pytest

from invoice.content import SHANGHAI
from invoice.errors import (
    ClockSkew,
    InvoiceNotFound,
    InvoiceNotReversible,
    InvoiceNotVoidable,
    RequestIdReused,
)
from invoice.lifecycle import InvoiceState, UploadState
from invoice.statements import StatementKind, facts, invoice_digest
from ledger.port import Ledger
from ledger.records import Entry, InvoiceRecord, MeterRecord, StatementRecord
from tests.ledger import building
from tests.ledger.building import (
    ACT,
    NOW,
    TAX_NUMBER,
    TENANT,
    WORKER,
    a_red,
    a_reservation,
    binding,
    decide_void,
    settle_statement,
)
from tests.ledger.conformance.conftest import Books

MONTH_END = datetime(2027, 1, 31, 23, 59, 50, tzinfo=SHANGHAI).timestamp()


async def _issued(ledger: Ledger, now: float = NOW) -> Entry:
    await building.open_family_shop(ledger)
    (entry,) = await building.issue_all(ledger, a_reservation("blue", type="028"), now=now)
    return entry


async def _shown(ledger: Ledger, entry: Entry) -> InvoiceRecord:
    record = await ledger.find_invoice(TENANT, entry.tax_number, entry.code, entry.number)
    assert record is not None
    return record


async def _meter(ledger: Ledger, type: str = "028") -> MeterRecord:
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    return next(meter for meter in backlog.meters if meter.type == type)


async def _cause(ledger: Ledger, entry: Entry, now: float = NOW) -> str:
    with pytest.raises(InvoiceNotVoidable) as refused:
        await decide_void(ledger, entry, now=now)
    assert (refused.value.facts["code"], refused.value.facts["number"]) == (
        entry.code, entry.number,
    )  # fmt: skip
    return refused.value.facts["cause"]


async def test_a_void_is_decided_first_and_seen_once_it_is_signed(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    statement = await decide_void(ledger, blue, request_id="void-1")
    decided = await _shown(ledger, blue)
    settled = await settle_statement(ledger, statement)

    assert (statement.state, statement.signature) == ("RESERVED", None)
    assert (decided.entry.state, decided.statement) == (InvoiceState.ISSUED, None)
    assert settled.state == "SETTLED"
    assert settled.signature == building.seal(
        blue.machine_number, statement.content, tag=StatementKind.VOID.tag
    )
    shown = await _shown(ledger, blue)
    assert shown.entry.state is InvoiceState.VOIDED
    assert shown.statement == settled == await ledger.find_statement(TENANT, "void-1")
    assert shown.statement_certificate == b"certificate of " + blue.machine_number.encode()
    assert shown.statement_algorithm == building.ALGORITHM
    assert shown.upload_state is UploadState.PENDING


async def test_a_void_says_what_it_voids(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    statement = await decide_void(ledger, blue, request_id="void-1", now=NOW + 7)

    told = facts(StatementKind.VOID, statement.content)
    assert told == (
        blue.machine_number, blue.code, blue.number, int(NOW) + 7, TAX_NUMBER, 0, "028",
        invoice_digest(blue.content), "开票有误",
    )  # fmt: skip
    assert (statement.point, statement.type, statement.number) == (0, "028", blue.number)
    assert (statement.statement_time, statement.worker, statement.reserved_at) == (
        int(NOW) + 7, WORKER, NOW + 7,
    )  # fmt: skip


async def test_a_void_counts_nowhere_and_moves_no_clock(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    before = await _meter(ledger)

    await building.void(ledger, blue, now=NOW + 100)

    after = await _meter(ledger)
    assert (after.unuploaded_count, after.unuploaded_amount_fen) == (1, blue.net_fen)
    assert after.last_issue_time == before.last_issue_time
    assert after.change_number == before.change_number + 1


async def test_a_void_again_answers_the_first(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    bound = binding("void_invoice", number=blue.number)

    async def reserve() -> tuple[StatementRecord, bool]:
        return await ledger.reserve_void(
            tax_number=TAX_NUMBER,
            code=blue.code,
            number=blue.number,
            reason="开票有误",
            binding=bound,
            act=ACT,
            worker=WORKER,
            now=NOW,
        )

    first, replayed = await reserve()
    again = await reserve()
    settled = await settle_statement(ledger, first)
    later = await reserve()

    assert not replayed
    assert again == (first, True)
    assert later == (settled, True)


async def test_an_id_stands_for_one_write(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    (other,) = await building.issue_all(ledger, a_reservation("other", type="028"))
    await decide_void(ledger, blue, request_id="void-1")

    with pytest.raises(RequestIdReused, match="number"):
        await decide_void(ledger, other, request_id="void-1")
    with pytest.raises(RequestIdReused, match="action"):
        await decide_void(ledger, other, request_id="blue")
    result = await building.commit(ledger, (), [a_reservation("void-1", type="028")])

    assert isinstance(result.reserved[0].error, RequestIdReused)
    found = await ledger.find_binding(TENANT, "void-1")
    assert found is not None
    assert found.action == "void_invoice"


async def test_the_second_settle_answers_the_first_signature(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    statement = await decide_void(ledger, blue)
    settled = await settle_statement(ledger, statement)

    late = await ledger.settle_statement(statement, signature=b"another", key_id="k", now=NOW)

    assert late == settled
    assert (await _meter(ledger)).change_number == 2


async def test_a_statement_of_nowhere_is_our_bug(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    foreign = await decide_void(ledger, blue, request_id="void-1", dry_run=True)

    with pytest.raises(LookupError, match="void-1"):
        await settle_statement(ledger, foreign)


async def test_an_invoice_that_is_not_there(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    blue.number = "99999999"

    with pytest.raises(InvoiceNotFound) as refused:
        await decide_void(ledger, blue)

    assert refused.value.facts["name"].endswith(f"{blue.code}-99999999")


async def test_another_tenants_invoice_is_not_there(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    with pytest.raises(InvoiceNotFound):
        await ledger.reserve_void(
            tax_number=TAX_NUMBER,
            code=blue.code,
            number=blue.number,
            reason="开票有误",
            binding=binding("void_invoice", tenant="another"),
            act=ACT,
            worker=WORKER,
            now=NOW,
        )


async def test_what_cannot_be_voided(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    (waiting,) = await building.reserve(ledger, a_reservation("waiting", type="028"))
    assert await _cause(ledger, waiting) == "RESERVED"

    statement = await decide_void(ledger, blue)
    assert await _cause(ledger, blue) == "VOIDING"
    await settle_statement(ledger, statement)
    assert await _cause(ledger, blue) == "VOIDED"

    await building.decide_blank_void(
        ledger, waiting.number, code=waiting.code, type="028", now=NOW + 60
    )
    assert await _cause(ledger, waiting) == "BLANK_VOIDED"


async def test_a_blue_with_a_live_red_cannot_be_voided(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    (red,) = await building.reserve(ledger, a_red("red", blue, 100, 9))
    assert await _cause(ledger, blue) == "REVERSED"
    await building.commit(ledger, [building.signed(red)])
    assert await _cause(ledger, blue) == "REVERSED"
    statement = await decide_void(ledger, red)
    assert await _cause(ledger, blue) == "REVERSED"
    await settle_statement(ledger, statement)

    await building.void(ledger, blue)
    assert (await _shown(ledger, blue)).entry.state is InvoiceState.VOIDED


async def test_a_voided_red_gives_back_when_its_void_settles(ledger: Ledger) -> None:
    blue = await _issued(ledger)
    first, second = await building.issue_all(
        ledger, a_red("red-1", blue, 5_000, 450), a_red("red-2", blue, 15_000, 1_350)
    )
    changes = [(await _meter(ledger)).change_number]
    states = []

    for red in (first, second):
        statement = await decide_void(ledger, red)
        result = await building.commit(ledger, (), [a_red("red-3", blue, 1, 0)])
        assert result.reserved[0].error is not None
        await settle_statement(ledger, statement)
        shown = await _shown(ledger, blue)
        states.append((shown.entry.state, shown.reversed_net_fen, shown.reversed_tax_fen))
        changes.append((await _meter(ledger)).change_number)
        if red is first:
            (filler,) = await building.issue_all(ledger, a_red("filler", blue, 5_000, 450))
    await building.void(ledger, filler)

    assert states == [
        (InvoiceState.PARTLY_REVERSED, 15_000, 1_350),
        (InvoiceState.PARTLY_REVERSED, 5_000, 450),
    ]
    shown = await _shown(ledger, blue)
    assert (shown.entry.state, shown.reversed_net_fen) == (InvoiceState.ISSUED, 0)
    assert changes[1] - changes[0] == 2


async def test_a_void_belongs_to_the_month_of_the_issue(ledger: Ledger) -> None:
    blue = await _issued(ledger, now=MONTH_END)

    assert await _cause(ledger, blue, MONTH_END + 10) == "OTHER_PERIOD"
    # A later invoice has moved the meter's clock into the new month: so would the void be dated.
    await building.issue_all(ledger, a_reservation("later", type="028"), now=MONTH_END + 10)
    assert await _cause(ledger, blue, MONTH_END + 9) == "OTHER_PERIOD"


async def test_the_last_second_of_the_month_is_in_time(ledger: Ledger) -> None:
    blue = await _issued(ledger, now=MONTH_END)

    statement = await decide_void(ledger, blue, now=MONTH_END + 9.999)

    assert statement.statement_time == int(MONTH_END) + 9


async def test_a_void_is_never_dated_before_the_last_invoice(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    statement = await decide_void(ledger, blue, now=NOW - 1_000)

    assert statement.statement_time == int(NOW)


async def test_a_clock_that_cannot_be_trusted_voids_nothing(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    with pytest.raises(ClockSkew) as refused:
        await decide_void(ledger, blue, now=int(NOW) - 1_801)
    with pytest.raises(ClockSkew):
        await ledger.reserve_void(
            tax_number=TAX_NUMBER,
            code=blue.code,
            number=blue.number,
            reason="开票有误",
            binding=binding("void_invoice"),
            act=ACT,
            worker=WORKER,
            now=int(NOW) - 6,
            clock_trusted=False,
        )

    assert refused.value.facts["skew_s"] == "-1801"


async def test_a_dry_run_changes_nothing(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    statement = await decide_void(ledger, blue, request_id="void-1", dry_run=True)

    assert statement.state == "RESERVED"
    assert await ledger.find_statement(TENANT, "void-1") is None
    assert await ledger.find_binding(TENANT, "void-1") is None
    await building.void(ledger, blue)


async def test_void_and_red_race_and_the_first_to_commit_wins(ledger: Ledger) -> None:
    blue = await _issued(ledger)

    async def reverse(at: int) -> str:
        result = await building.commit(ledger, (), [a_red(f"red-{at}", blue)])
        error = result.reserved[0].error
        assert error is None or isinstance(error, InvoiceNotReversible)
        return "red" if error is None else error.facts["state"]

    async def end(at: int) -> str:
        try:
            await decide_void(ledger, blue, request_id=f"void-{at}")
        except InvoiceNotVoidable as error:
            return error.facts["cause"]
        return "void"

    outcomes = await asyncio.gather(end(0), reverse(0), end(1), reverse(1), end(2))

    assert list(outcomes) == ["void", "VOIDING", "VOIDING", "VOIDING", "VOIDING"]


async def test_a_statement_in_flight_is_found_after_a_restart(storage: Books) -> None:
    before = await storage.open(worker="before")
    blue = await _issued(before)
    statement = await decide_void(before, blue, worker="before")
    await building.commit(before, (), [a_reservation("r", type="028")], worker="before")

    after = await storage.open(worker="after", now=NOW + 0.1)
    found = await after.orphan_statements(worker="after", now=NOW + 0.1, count_max=10)
    entries = await after.orphans(worker="after", now=NOW + 0.1, count_max=10)

    assert found == [statement]
    assert [entry.request_id for entry in entries] == ["r"]
    await settle_statement(after, found[0])
    assert await after.orphan_statements(worker="after", now=NOW + 1, count_max=10) == []
    assert (await _shown(after, blue)).entry.state is InvoiceState.VOIDED


async def test_whose_statements_are_orphans(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blues = await building.issue_all(
        ledger, *(a_reservation(f"blue-{at}", type="028") for at in range(3))
    )
    await ledger.beat("other", NOW)
    own = [await decide_void(ledger, blue) for blue in blues[:2]]
    others = await decide_void(ledger, blues[2], worker="other")

    now = await ledger.orphan_statements(worker=WORKER, now=NOW + 2.9, count_max=10)
    dead = await ledger.orphan_statements(worker=WORKER, now=NOW + 3.0, count_max=10)
    some = await ledger.orphan_statements(worker=WORKER, now=NOW + 3.0, count_max=1)

    assert now == own
    assert dead == [*own, others]
    assert some == own[:1]
