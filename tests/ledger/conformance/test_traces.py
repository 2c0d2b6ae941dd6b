"""What an event's trace is stays with it: to the authority, over a restart, and when it goes again."""

from dataclasses import replace

from invoice.lifecycle import UploadState
from ledger.port import Ledger
from ledger.records import EventVerdict, Submission
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, a_reservation
from tests.ledger.conformance.conftest import Books

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def _issued(ledger: Ledger) -> None:
    """Two invoices in one group, of which the second is traced."""
    await building.open_shop(ledger)
    entries = await building.reserve(ledger, a_reservation("r-1"), a_reservation("r-2"))
    plain, traced = map(building.signed, entries)
    await building.commit(ledger, [plain, replace(traced, traceparent=TRACEPARENT)])


async def _claimed(ledger: Ledger, submission_id: str = "s-1") -> Submission:
    submission = await ledger.prepare_submission(TAX_NUMBER, submission_id, count_max=9, now=NOW)
    assert submission is not None
    return submission


def _traces(submission: Submission) -> list[str | None]:
    return [item.traceparent for item in submission.items]


async def test_an_event_keeps_the_trace_of_its_call_and_no_other_does(ledger: Ledger) -> None:
    await _issued(ledger)

    assert _traces(await _claimed(ledger)) == [None, TRACEPARENT]


async def test_after_a_restart_it_is_still_there(storage: Books) -> None:
    first = await storage.open()
    await _issued(first)
    await _claimed(first)

    second = await storage.open()

    (submission,) = await second.open_submissions(TAX_NUMBER)
    assert _traces(submission) == [None, TRACEPARENT]


async def test_what_goes_again_goes_in_the_same_trace(ledger: Ledger) -> None:
    await _issued(ledger)
    submission = await _claimed(ledger)
    verdicts = [
        EventVerdict(event_id=item.event_id, state=UploadState.REJECTED, reason="NO")
        for item in submission.items
    ]
    await ledger.record_verdicts("s-1", verdicts, now=NOW)

    await ledger.retry_uploads(
        tax_number=TAX_NUMBER,
        invoices=(),
        binding=building.binding("retry_uploads"),
        act=ACT,
    )

    assert _traces(await _claimed(ledger, "s-2")) == [None, TRACEPARENT]


async def test_the_trace_of_a_void_is_its_own(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.issue(ledger, "r-1")
    await building.upload(ledger, "s-1")

    decided = await building.decide_void(ledger, entry)
    await building.settle_statement(ledger, replace(decided, traceparent=TRACEPARENT))

    assert _traces(await _claimed(ledger, "s-2")) == [TRACEPARENT]
