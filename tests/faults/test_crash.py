"""25 kills under load: nothing answered is lost, doubled, unsigned or missing at the authority.

And the null control: the same audit finds a gateway that answers before its commit, and each of
its checks finds what it is there for.
"""

import hashlib
from pathlib import Path

import pytest

from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.authority.v1 import authority_pb2
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from tests.faults import books, campaign
from tests.faults.books import Journal, Tally

SEED = 20261122


@pytest.mark.timeout(180)
def test_25_kills_under_load_lose_double_and_forget_nothing(tmp_path: Path) -> None:
    outcome = campaign.run(25, SEED, tmp_path)
    print(outcome.line, f"recovered={outcome.recovered} in_flight={sum(outcome.in_flight)}")

    assert outcome.tally.notes == []
    assert outcome.kills == 25 + 25 // campaign.RECOVERY_EVERY
    assert min(outcome.in_flight) > 0
    # Some died between the reservation or the commit and the answer: recovery had work to do.
    assert outcome.recovered > 0
    assert outcome.acked > 25 * 20


def test_the_audit_catches_a_gateway_that_answers_before_its_commit(tmp_path: Path) -> None:
    outcome = campaign.run(1, SEED, tmp_path, module="tests.faults.hasty_gateway")
    print(outcome.line)

    assert outcome.tally.lost > 0


def issued(number: int, request_id: str = "", **fields: object) -> IssuedInvoice:
    return IssuedInvoice(
        request_id=request_id or f"id-{number}",
        name=f"taxpayers/T/invoices/011002600111-{number:08}",
        code="011002600111",
        number=f"{number:08}",
        content=b"content",
        signature=b"signature",
        **fields,  # type: ignore[arg-type]
    )


def segment(first: int, total: int, taken: int) -> Segment:
    return Segment(
        grant_id="G",
        code="011002600111",
        first_number=f"{first:08}",
        last_number=f"{first + total - 1:08}",
        total_count=total,
        available_count=total - taken,
    )


def accepted(one: IssuedInvoice, content: bytes = b"content") -> authority_pb2.RecordedEvent:
    return authority_pb2.RecordedEvent(
        result=authority_pb2.ItemResult(
            code=one.code,
            number=one.number,
            verdict=authority_pb2.ItemResult.VERDICT_ACCEPTED,
        ),
        content_digest=hashlib.sha256(content).digest(),
        signature_digest=hashlib.sha256(one.signature).digest(),
    )


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.lost, tally.duplicated, tally.gaps, tally.diverged


def test_what_agrees_is_clean() -> None:
    tally = Tally()
    answers = [issued(1), issued(2)]

    books.check_numbers(answers, [segment(1, 5, 2)], tally)
    books.check_record(answers, map(accepted, answers), tally)

    assert tally.clean


def test_an_answer_that_changed_is_lost(tmp_path: Path) -> None:
    tally, journal = Tally(), Journal()
    notes = tmp_path / "writer.jsonl"
    notes.write_text(books.answered(issued(1)) + books.answered(issued(1, check_code="1")))

    journal.take_up(notes, tally)

    assert counts(tally) == (1, 0, 0, 0)


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
    ],
    ids=["missing", "twice", "one too many", "other bytes"],
)
def test_a_record_that_differs_is_found(events: list[authority_pb2.RecordedEvent]) -> None:
    tally = Tally()

    books.check_record([issued(1)], events, tally)

    assert counts(tally) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    "parts", [[segment(1, 5, 0)], [segment(1, 5, 0), segment(5, 6, 0)]], ids=["short", "doubled"]
)
def test_parts_that_are_not_their_grant_are_found(parts: list[Segment]) -> None:
    tally = Tally()
    grant = authority_pb2.Grant(grant_id="G", first=1, count=10)

    books.check_grants(parts, [grant], tally)

    assert counts(tally) == (0, 0, 0, 1)
