"""Between what the ledger stores of a submission and what the authority is told and answers."""

from authority.port import Event, OriginalStatement, SubmissionResult, UploadItem
from authority.port import Submission as SentSubmission
from gateway.upload.agenda import Awaited
from gateway.upload.told import traces_of
from invoice.lifecycle import UploadState
from ledger.records import EventVerdict, OutboxItem, Submission


def awaited(submission: Submission, acceptance_serial: str, due_at: float) -> Awaited:
    """What is kept of a submission while its results are awaited; its content is let go."""
    return Awaited(
        submission_id=submission.submission_id,
        acceptance_serial=acceptance_serial,
        event_ids={
            (item.event, item.code, item.number): item.event_id for item in submission.items
        },
        due_at=due_at,
        traces=traces_of(submission),
    )


def verdicts_of(asked: Awaited, result: SubmissionResult) -> list[EventVerdict]:
    """The verdicts on events that were asked about, by name and not by position."""
    verdicts = {}
    for item in result.results if result.done else ():
        event_id = asked.event_ids.get((item.event.value, item.code, item.number))
        if event_id is not None:
            verdicts[event_id] = EventVerdict(
                event_id=event_id, state=UploadState(item.verdict.value), reason=item.reason
            )
    return list(verdicts.values())


def names_of(asked: Awaited) -> dict[int, str]:
    """What each event asked about is of, for the log: ``{code}-{number}``."""
    return {
        event_id: _short_name(code, number)
        for (_, code, number), event_id in asked.event_ids.items()
    }


def named(item: OutboxItem) -> str:
    """What an event is of, as in :func:`names_of`."""
    return _short_name(item.code, item.number)


def sent(submission: Submission) -> SentSubmission:
    """A stored submission as the authority's port takes it."""
    return SentSubmission(
        submission_id=submission.submission_id,
        tax_number=submission.tax_number,
        items=tuple(map(_item, submission.items)),
        certificates=dict(submission.certificates),
    )


def _short_name(code: str, number: str) -> str:
    return f"{code}-{number}" if code else number


def _item(item: OutboxItem) -> UploadItem:
    original = item.original
    return UploadItem(
        event=Event(item.event),
        code=item.code,
        number=item.number,
        content=item.content,
        signature=item.signature,
        key_id=item.key_id,
        original=None
        if original is None
        else OriginalStatement(
            content=original.content, signature=original.signature, key_id=original.key_id
        ),
    )
