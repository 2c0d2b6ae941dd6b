"""25 kills under load: nothing answered is lost, doubled, unsigned or missing at the authority.

And the null controls: the same audit finds a gateway that answers before its commit, and one that
does so with voids, and each of its checks finds what it is there for.
"""

import hashlib
import json
from pathlib import Path

import pytest

from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.authority.v1 import authority_pb2
from taxcontrol.v1.invoice_pb2 import Invoice, IssuedInvoice, VoidStatement
from taxcontrol.v1.invoice_reversal_pb2 import VoidInvoiceRequest
from tests.faults import books, campaign, journal
from tests.faults.books import Standing, Tally
from tests.faults.journal import Journal

SEED = 20261122
CODE = "011002600111"


@pytest.mark.timeout(240)
def test_25_kills_under_load_lose_double_and_forget_nothing(tmp_path: Path) -> None:
    outcome = campaign.run(25, SEED, tmp_path)
    print(outcome.line, f"recovered={outcome.recovered} in_flight={sum(outcome.in_flight)}")

    assert outcome.tally.notes == []
    assert outcome.kills == 25 + 25 // campaign.RECOVERY_EVERY
    assert min(outcome.in_flight) > 0
    # Some died between the reservation or the commit and the answer: recovery had work to do.
    assert outcome.recovered > 0
    assert outcome.acked > 25 * 20
    assert min(outcome.reds, outcome.voids, outcome.blank_voids) > 10


def test_the_audit_catches_a_gateway_that_answers_before_its_commit(tmp_path: Path) -> None:
    outcome = campaign.run(1, SEED, tmp_path, module="tests.faults.hasty_gateway")
    print(outcome.line)

    assert outcome.tally.lost > 0


def test_the_audit_catches_a_gateway_that_answers_a_void_before_its_commit(tmp_path: Path) -> None:
    outcome = campaign.run(2, SEED, tmp_path, module="tests.faults.hasty_void_gateway")
    print(outcome.line)

    assert outcome.tally.lost > 0
    assert any("the void of" in note for note in outcome.tally.notes)


def content(net_fen: int = 100, original: int = 0) -> bytes:
    members: dict[str, object] = {"kind": "blue", "net_fen": net_fen, "tax_fen": net_fen // 10}
    if original:
        members |= {"kind": "red", "original": {"code": CODE, "number": f"{original:08}"}}
    return json.dumps(members).encode()


def issued(number: int, request_id: str = "", **fields: object) -> IssuedInvoice:
    return IssuedInvoice(
        request_id=request_id or f"id-{number}",
        name=f"taxpayers/T/invoices/{CODE}-{number:08}",
        code=CODE,
        number=f"{number:08}",
        content=content(),
        signature=b"signature",
        **fields,  # type: ignore[arg-type]
    )


def segment(first: int, total: int, taken: int) -> Segment:
    return Segment(
        grant_id="G",
        code=CODE,
        first_number=f"{first:08}",
        last_number=f"{first + total - 1:08}",
        total_count=total,
        available_count=total - taken,
    )


def red(number: int, original: int, net_fen: int) -> IssuedInvoice:
    one = issued(number)
    one.content = content(-net_fen, original)
    return one


def statement(number: int, request_id: str = "", signature: bytes = b"signature") -> VoidStatement:
    return VoidStatement(
        request_id=request_id or f"void-{number}",
        invoice=f"taxpayers/T/invoices/{CODE}-{number:08}",
        content=b"void",
        signature=signature,
    )


def accepted(
    one: IssuedInvoice | VoidStatement, signed: bytes = b"", event: str = "EVENT_ISSUE"
) -> authority_pb2.RecordedEvent:
    name = one.name if isinstance(one, IssuedInvoice) else one.invoice
    code, number = books.place_of(name)
    return authority_pb2.RecordedEvent(
        result=authority_pb2.ItemResult(
            code=code,
            number=number,
            event=authority_pb2.UploadItem.Event.Value(event),
            verdict=authority_pb2.ItemResult.VERDICT_ACCEPTED,
        ),
        content_digest=hashlib.sha256(signed or one.content).digest(),
        signature_digest=hashlib.sha256(one.signature).digest(),
    )


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.lost, tally.duplicated, tally.gaps, tally.diverged


def test_what_agrees_is_clean() -> None:
    tally = Tally()
    answers = [issued(1), issued(2)]
    void, blank = statement(2), statement(3)
    events = [
        *map(accepted, answers),
        accepted(void, event="EVENT_VOID"),
        accepted(blank, event="EVENT_BLANK_VOID"),
    ]

    books.check_numbers(answers, [segment(1, 5, 3)], tally, blank_voids=[blank])
    books.check_record(answers, events, tally, voids=[void], blank_voids=[blank])

    assert tally.clean


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (issued(1), issued(1, check_code="1")),
        (statement(1), statement(1, signature=b"another")),
    ],
    ids=["an invoice", "a void"],
)
def test_an_answer_that_changed_is_lost(
    tmp_path: Path, first: IssuedInvoice | VoidStatement, second: IssuedInvoice | VoidStatement
) -> None:
    tally = Tally()
    notes = tmp_path / "writer.jsonl"
    notes.write_text(journal.answered(first) + journal.answered(second))

    Journal().take_up(notes, tally)

    assert counts(tally) == (1, 0, 0, 0)


def test_an_id_is_open_until_every_try_was_answered_or_refused(tmp_path: Path) -> None:
    tally, known = Tally(), Journal()
    notes = tmp_path / "writer.jsonl"
    wish = VoidInvoiceRequest(request_id="void-1")
    notes.write_text(journal.asked(wish, wish) + journal.refused("void-1"))
    known.take_up(notes, tally)

    assert known.unanswered == {"void-1"}

    with notes.open("a") as more:
        more.write(journal.refused("void-1"))
    assert known.take_up(notes, tally) == set()

    assert known.unanswered == set()
    assert tally.clean


@pytest.mark.parametrize(
    ("answers", "taken", "found"),
    [
        ([issued(1), issued(3)], 3, (0, 0, 1, 0)),
        ([issued(1), issued(2)], 1, (1, 0, 0, 0)),
        ([issued(1), issued(1, "other")], 1, (0, 1, 0, 0)),
    ],
    ids=["a gap", "an answer without its number", "a number twice"],
)
def test_numbers_that_do_not_add_up_are_found(
    answers: list[IssuedInvoice], taken: int, found: tuple[int, int, int, int]
) -> None:
    tally = Tally()

    books.check_numbers(answers, [segment(1, 5, taken)], tally)

    assert counts(tally) == found


@pytest.mark.parametrize(
    "events",
    [
        [],
        [accepted(issued(1)), accepted(issued(1))],
        [accepted(issued(1)), accepted(issued(2))],
        [accepted(issued(1), b"other content")],
        [accepted(issued(1)), accepted(statement(1), event="EVENT_BLANK_VOID")],
    ],
    ids=["missing", "twice", "one too many", "other bytes", "a void nobody made"],
)
def test_a_record_that_differs_is_found(events: list[authority_pb2.RecordedEvent]) -> None:
    tally = Tally()

    books.check_record([issued(1)], events, tally)

    assert counts(tally) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    "void",
    [
        [],
        [accepted(statement(1), event="EVENT_VOID")] * 2,
        [accepted(statement(1), b"other content", event="EVENT_VOID")],
    ],
    ids=["missing", "twice", "other bytes"],
)
def test_a_void_that_the_authority_has_not_just_so_is_found(
    void: list[authority_pb2.RecordedEvent],
) -> None:
    tally = Tally()

    books.check_record([issued(1)], [accepted(issued(1)), *void], tally, voids=[statement(1)])

    assert counts(tally) == (0, 0, 0, 1)


def test_an_issued_number_that_was_voided_blank_is_found() -> None:
    tally = Tally()

    books.check_numbers([issued(1)], [segment(1, 5, 1)], tally, blank_voids=[statement(1)])

    assert counts(tally) == (0, 1, 0, 0)


def test_what_voids_and_reds_come_to_is_told_from_the_answers_alone() -> None:
    tally = Tally()
    answers = [*map(issued, range(1, 4)), red(5, 1, 40), red(6, 2, 100), red(7, 1, 60)]

    found = books.standings(answers, [statement(3), statement(4), statement(7)], tally)

    assert tally.clean
    assert found == {
        (CODE, "00000001"): Standing("STATE_PARTLY_REVERSED", 40, 4),
        (CODE, "00000002"): Standing("STATE_REVERSED", 100, 10),
        (CODE, "00000003"): Standing("STATE_VOIDED"),
        (CODE, "00000004"): Standing("STATE_BLANK_VOIDED"),
        (CODE, "00000007"): Standing("STATE_VOIDED"),
    }


@pytest.mark.parametrize(
    ("answers", "statements", "found"),
    [
        ([issued(1)], [statement(1), statement(1, "other")], (0, 1, 0, 0)),
        ([issued(1), red(2, 1, 60), red(3, 1, 50)], [], (0, 0, 0, 1)),
        ([issued(1), red(2, 1, 60)], [statement(1)], (0, 0, 0, 1)),
        ([red(2, 1, 60)], [], (0, 0, 0, 1)),
    ],
    ids=["voided twice", "more than the blue", "a voided blue", "a red of nothing"],
)
def test_voids_and_reds_that_cannot_be_are_found(
    answers: list[IssuedInvoice],
    statements: list[VoidStatement],
    found: tuple[int, int, int, int],
) -> None:
    tally = Tally()

    books.standings(answers, statements, tally)

    assert counts(tally) == found


VOIDED = Invoice(
    issued=issued(1), state=Invoice.STATE_VOIDED, void_statement=statement(1, signature=b"a")
)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([VOIDED], (0, 0, 0, 0)),
        ([], (1, 0, 0, 0)),
        ([VOIDED, VOIDED], (0, 0, 0, 1)),
        ([Invoice(issued=issued(1), state=Invoice.STATE_REVERSED)], (1, 0, 0, 1)),
        ([Invoice(issued=issued(1), state=Invoice.STATE_VOIDED)], (1, 0, 0, 0)),
    ],
    ids=["as told", "forgotten", "listed twice", "in another state", "without its statement"],
)
def test_a_list_that_differs_from_what_was_answered_is_found(
    listed: list[Invoice], found: tuple[int, int, int, int]
) -> None:
    tally = Tally()
    void = statement(1, signature=b"a")

    books.check_standings({(CODE, "00000001"): Standing("STATE_VOIDED")}, [void], listed, tally)

    assert counts(tally) == found


@pytest.mark.parametrize(
    "parts", [[segment(1, 5, 0)], [segment(1, 5, 0), segment(5, 6, 0)]], ids=["short", "doubled"]
)
def test_parts_that_are_not_their_grant_are_found(parts: list[Segment]) -> None:
    tally = Tally()
    grant = authority_pb2.Grant(grant_id="G", width=8, first=1, count=10)

    books.check_grants(parts, [grant], tally)

    assert counts(tally) == (0, 0, 0, 1)
