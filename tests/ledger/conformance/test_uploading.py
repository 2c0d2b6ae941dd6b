"""Events go to the authority oldest first, once in effect, and only its final word ends them."""

from collections.abc import Sequence

import pytest

from invoice.lifecycle import UploadState
from ledger.port import Ledger
from ledger.records import EventVerdict, MeterRecord, Submission, UnuploadedRecord
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT
from tests.ledger.conformance.conftest import Books


async def _issued(ledger: Ledger, count: int) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, *(f"r-{at}" for at in range(count)))


async def _prepare(
    ledger: Ledger, submission_id: str, count_max: int = 100, now: float = NOW
) -> Submission:
    submission = await ledger.prepare_submission(
        TAX_NUMBER, submission_id, count_max=count_max, now=now
    )
    assert submission is not None
    return submission


def _numbers(items: Sequence[object]) -> list[int]:
    return [int(item.number) for item in items]  # type: ignore[attr-defined]


async def _meter(ledger: Ledger) -> MeterRecord:
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    return next(meter for meter in backlog.meters if meter.type == building.TYPE)


async def _upload_state(ledger: Ledger, number: int) -> tuple[UploadState, str, str]:
    record = await ledger.find_invoice(TENANT, TAX_NUMBER, building.CODE, f"{number:08}")
    assert record is not None
    return record.upload_state, record.rejection, record.acceptance_serial


async def test_the_oldest_events_are_claimed_first_and_once(ledger: Ledger) -> None:
    await _issued(ledger, 5)

    first = await _prepare(ledger, "s-1", 2)
    second = await _prepare(ledger, "s-2", 2)
    rest = await _prepare(ledger, "s-3", 2)

    assert [_numbers(part.items) for part in (first, second, rest)] == [[1, 2], [3, 4], [5]]
    assert await ledger.prepare_submission(TAX_NUMBER, "s-4", count_max=2, now=NOW) is None
    assert await ledger.open_submissions(TAX_NUMBER) == [first, second, rest]


async def test_a_submission_holds_everything_that_is_sent(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.issue(ledger, "r-1")

    submission = await _prepare(ledger, "s-1")

    (item,) = submission.items
    assert (item.event, item.code, item.number) == ("ISSUE", entry.code, entry.number)
    assert (item.content, item.signature, item.key_id) == (
        entry.content, entry.signature, entry.key_id,
    )  # fmt: skip
    assert item.attempt_count == 1
    assert submission.certificates == {building.KEY_ID: b"certificate of 661000000001"}
    assert (submission.state, submission.created_at) == ("PREPARED", NOW)


async def test_accepted_events_leave_the_outbox(ledger: Ledger) -> None:
    await _issued(ledger, 3)

    await building.upload(ledger, "s-1")

    assert await ledger.backlogged() == []
    assert await ledger.open_submissions(TAX_NUMBER) == []
    assert await ledger.unuploaded(TENANT, TAX_NUMBER) == []
    assert await _upload_state(ledger, 2) == (UploadState.ACCEPTED, "", "serial-s-1")
    meter = await _meter(ledger)
    assert (meter.unuploaded_count, meter.unuploaded_amount_fen, meter.change_number) == (0, 0, 6)


async def test_refused_events_stay_for_an_operator_and_leave_the_budget(ledger: Ledger) -> None:
    await _issued(ledger, 3)

    await building.upload(ledger, "s-1", rejected=["00000002"])

    assert await ledger.backlogged() == []
    (left,) = await ledger.unuploaded(TENANT, TAX_NUMBER)
    assert (left.number, left.state, left.rejection) == (
        "00000002", UploadState.REJECTED, "refused in a test",
    )  # fmt: skip
    assert await _upload_state(ledger, 2) == (
        UploadState.REJECTED, "refused in a test", "serial-s-1",
    )  # fmt: skip
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    assert (backlog.rejected_count, backlog.pending_count) == (1, 0)
    assert backlog.oldest_issue_time is None
    assert (await _meter(ledger)).unuploaded_count == 0


async def test_verdicts_again_change_nothing(ledger: Ledger) -> None:
    await _issued(ledger, 2)
    submission = await _prepare(ledger, "s-1")
    verdicts = [
        EventVerdict(event_id=submission.items[0].event_id, state=UploadState.ACCEPTED),
        EventVerdict(
            event_id=submission.items[1].event_id,
            state=UploadState.SIGNATURE_REJECTED,
            reason="forged",
        ),
    ]

    for _ in range(2):
        await ledger.record_verdicts("s-1", verdicts, now=NOW)

    meter = await _meter(ledger)
    assert (meter.unuploaded_count, meter.change_number) == (0, 4)
    assert (await _upload_state(ledger, 2))[:2] == (UploadState.SIGNATURE_REJECTED, "forged")


async def test_a_submission_stays_open_until_every_event_has_its_word(ledger: Ledger) -> None:
    await _issued(ledger, 2)
    submission = await _prepare(ledger, "s-1")
    await ledger.mark_submitted("s-1", "serial-1", poll_at=NOW + 1)
    first, second = submission.items

    await ledger.record_verdicts(
        "s-1", [EventVerdict(event_id=first.event_id, state=UploadState.ACCEPTED)], now=NOW
    )
    (open_one,) = await ledger.open_submissions(TAX_NUMBER)
    assert open_one.items == submission.items
    await ledger.record_verdicts(
        "s-1", [EventVerdict(event_id=second.event_id, state=UploadState.ACCEPTED)], now=NOW
    )

    assert await ledger.open_submissions(TAX_NUMBER) == []


async def test_a_verdict_of_another_submission_is_not_taken(ledger: Ledger) -> None:
    await _issued(ledger, 2)
    first = await _prepare(ledger, "s-1", 1)
    await _prepare(ledger, "s-2", 1)

    await ledger.record_verdicts(
        "s-2",
        [EventVerdict(event_id=first.items[0].event_id, state=UploadState.ACCEPTED)],
        now=NOW,
    )

    assert (await _upload_state(ledger, 1))[0] is UploadState.PENDING


async def test_a_lost_answer_leaves_the_submission_in_doubt(ledger: Ledger) -> None:
    await _issued(ledger, 2)
    submission = await _prepare(ledger, "s-1")

    await ledger.mark_in_doubt("s-1")

    (doubted,) = await ledger.open_submissions(TAX_NUMBER)
    assert (doubted.state, doubted.items) == ("IN_DOUBT", submission.items)
    assert (await ledger.backlog(TENANT, TAX_NUMBER)).in_doubt_count == 2
    assert (await _upload_state(ledger, 1))[0] is UploadState.IN_DOUBT

    await ledger.mark_submitted("s-1", "serial-1", poll_at=NOW + 5)
    await ledger.postpone_poll("s-1", poll_at=NOW + 9)
    (taken,) = await ledger.open_submissions(TAX_NUMBER)
    assert (taken.state, taken.acceptance_serial, taken.poll_at) == (
        "SUBMITTED", "serial-1", NOW + 9,
    )  # fmt: skip
    assert await _upload_state(ledger, 1) == (UploadState.SUBMITTED, "", "serial-1")
    assert (await ledger.backlog(TENANT, TAX_NUMBER)).submitted_count == 2


async def test_a_closed_submission_is_not_opened_by_a_late_answer(ledger: Ledger) -> None:
    await _issued(ledger, 1)
    await building.upload(ledger, "s-1")

    await ledger.mark_in_doubt("s-1")
    await ledger.mark_submitted("s-1", "other", poll_at=NOW)
    await ledger.release_submission("s-1", not_before=NOW, batch_count_max=1)

    assert await ledger.open_submissions(TAX_NUMBER) == []
    assert await _upload_state(ledger, 1) == (UploadState.ACCEPTED, "", "serial-s-1")


async def test_a_restart_finds_what_was_prepared_in_doubt(storage: Books) -> None:
    before = await storage.open()
    await _issued(before, 2)
    await _prepare(before, "s-1", 1)
    await _prepare(before, "s-2", 1)
    await before.mark_submitted("s-2", "serial-2", poll_at=NOW)

    after = await storage.open(now=NOW + 60)

    states = [(one.submission_id, one.state) for one in await after.open_submissions(TAX_NUMBER)]
    assert states == [("s-1", "IN_DOUBT"), ("s-2", "SUBMITTED")]
    assert (await after.backlog(TENANT, TAX_NUMBER)).in_doubt_count == 1


async def test_released_events_wait_and_go_in_smaller_batches(ledger: Ledger) -> None:
    await _issued(ledger, 5)
    await _prepare(ledger, "s-1", 4)

    await ledger.release_submission("s-1", not_before=NOW + 10, batch_count_max=2)

    early = await _prepare(ledger, "s-2", 4)
    assert _numbers(early.items) == [5]
    assert await ledger.prepare_submission(TAX_NUMBER, "s-3", count_max=4, now=NOW + 9) is None
    first = await _prepare(ledger, "s-4", 4, NOW + 10)
    second = await _prepare(ledger, "s-5", 4, NOW + 10)
    assert [_numbers(part.items) for part in (first, second)] == [[1, 2], [3, 4]]
    assert [item.attempt_count for item in first.items] == [2, 2]


async def test_a_poisoned_event_goes_alone_between_others(ledger: Ledger) -> None:
    await _issued(ledger, 1)
    await _prepare(ledger, "s-1")
    await ledger.release_submission("s-1", not_before=NOW, batch_count_max=1)
    await building.issue(ledger, "later-1", "later-2")

    batches = [_numbers((await _prepare(ledger, f"t-{at}")).items) for at in range(2)]

    assert batches == [[1], [2, 3]]


async def test_a_smaller_batch_ends_before_an_event_that_wants_it(ledger: Ledger) -> None:
    await _issued(ledger, 4)
    await _prepare(ledger, "s-1", 1)
    await _prepare(ledger, "s-2", 1)
    await ledger.release_submission("s-2", not_before=NOW, batch_count_max=1)
    await ledger.release_submission("s-1", not_before=NOW, batch_count_max=3)

    batches = [_numbers((await _prepare(ledger, f"t-{at}")).items) for at in range(3)]

    assert batches == [[1], [2], [3, 4]]


async def test_unuploaded_events_are_listed_in_pages(ledger: Ledger) -> None:
    await _issued(ledger, 6)
    await _prepare(ledger, "s-1", 1)
    await building.upload(ledger, "s-2", count_max=1, rejected=["00000002"])
    await _prepare(ledger, "s-3", 1)
    await ledger.mark_in_doubt("s-3")

    pages: list[list[UnuploadedRecord]] = []
    after = 0
    while page := await ledger.unuploaded(TENANT, TAX_NUMBER, after=after, count_max=4):
        pages.append(page)
        after = page[-1].event_id

    assert [_numbers(page) for page in pages] == [[1, 2, 3, 4], [5, 6]]
    assert [record.state for record in pages[0]] == [
        UploadState.PENDING, UploadState.REJECTED, UploadState.IN_DOUBT, UploadState.PENDING,
    ]  # fmt: skip
    assert await ledger.unuploaded("another", TAX_NUMBER) == []


async def test_the_backlog_names_its_oldest_invoice(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, "r-1", now=NOW)
    await building.issue(ledger, "r-2", now=NOW + 100)

    both = await ledger.backlog(TENANT, TAX_NUMBER)
    await building.upload(ledger, "s-1", count_max=1)
    one = await ledger.backlog(TENANT, TAX_NUMBER)

    assert (both.pending_count, both.oldest_issue_time) == (2, int(NOW))
    assert (one.pending_count, one.oldest_issue_time) == (1, int(NOW) + 100)


async def test_permits_count_until_a_window_after_their_answer(ledger: Ledger) -> None:
    await building.register(ledger)
    first = await ledger.add_permit(TAX_NUMBER, sent_at=NOW)
    second = await ledger.add_permit(TAX_NUMBER, sent_at=NOW + 0.5)

    await ledger.answer_permit(first, answered_at=NOW + 0.6)
    counting = await ledger.permits(TAX_NUMBER, answered_after=NOW + 0.5)
    later = await ledger.permits(TAX_NUMBER, answered_after=NOW + 0.6)

    assert [permit.answered_at for permit in counting] == [pytest.approx(NOW + 0.6), None]
    assert later == [second]
    assert await ledger.permits(building.OTHER_TAX_NUMBER, answered_after=0) == []


async def test_a_restart_answers_every_open_permit_now(storage: Books) -> None:
    before = await storage.open()
    await building.register(before)
    await before.add_permit(TAX_NUMBER, sent_at=NOW)

    after = await storage.open(now=NOW + 60)

    (permit,) = await after.permits(TAX_NUMBER, answered_after=NOW)
    assert permit.answered_at == NOW + 60


async def test_permits_long_past_are_forgotten(ledger: Ledger) -> None:
    await building.register(ledger)
    old = await ledger.add_permit(TAX_NUMBER, sent_at=NOW)
    await ledger.answer_permit(old, answered_at=NOW)
    recent = await ledger.add_permit(TAX_NUMBER, sent_at=NOW + 1)
    await ledger.answer_permit(recent, answered_at=NOW + 1)

    last = await ledger.add_permit(TAX_NUMBER, sent_at=NOW + 2.5)

    left = await ledger.permits(TAX_NUMBER, answered_after=0)
    assert [permit.permit_id for permit in left] == [recent.permit_id, last.permit_id]


async def test_a_ledger_that_can_be_written_answers_a_ping(ledger: Ledger) -> None:
    await ledger.ping()
