"""What is sent of an event, and whose verdict an answer is: two events may have one number."""

from authority.port import Event, ItemResult, OriginalStatement, SubmissionResult, Verdict
from gateway.upload.messages import awaited, sent, verdicts_of
from invoice.lifecycle import UploadState
from ledger import records
from ledger.records import OutboxItem, Submission

CODE, NUMBER = "011002600111", "00000007"


def an_item(event_id: int, event: str, original: records.OriginalStatement | None) -> OutboxItem:
    return OutboxItem(
        event_id=event_id,
        event=event,
        code=CODE,
        number=NUMBER,
        content=f"content of {event}".encode(),
        signature=b"s",
        key_id="k2",
        attempt_count=1,
        original=original,
    )


SUBMISSION = Submission(
    submission_id="s-1",
    tax_number="T",
    state="PREPARED",
    created_at=1.0,
    items=(
        an_item(11, "ISSUE", None),
        an_item(
            12,
            "VOID",
            records.OriginalStatement(content=b"content of ISSUE", signature=b"o", key_id="k1"),
        ),
    ),
    certificates={"k1": b"c1", "k2": b"c2"},
)


def test_a_void_takes_the_invoice_it_is_about_along() -> None:
    issue, void = sent(SUBMISSION).items

    assert (issue.event, issue.original) == (Event.ISSUE, None)
    assert (void.event, void.content) == (Event.VOID, b"content of VOID")
    assert void.original == OriginalStatement(
        content=b"content of ISSUE", signature=b"o", key_id="k1"
    )
    assert sent(SUBMISSION).certificates == {"k1": b"c1", "k2": b"c2"}


def test_verdicts_on_two_events_of_one_number_are_told_apart() -> None:
    results = tuple(
        ItemResult(event=event, code=CODE, number=NUMBER, verdict=verdict, reason="")
        for event, verdict in ((Event.VOID, Verdict.ACCEPTED), (Event.ISSUE, Verdict.REJECTED))
    )

    verdicts = verdicts_of(
        awaited(SUBMISSION, "A1", 0.0),
        SubmissionResult(acceptance_serial="A1", done=True, results=results),
    )

    assert {one.event_id: one.state for one in verdicts} == {
        11: UploadState.REJECTED,
        12: UploadState.ACCEPTED,
    }
