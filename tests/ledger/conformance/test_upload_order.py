"""What depends on an event of its family waits for its answer; nothing else waits for anything."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest

from invoice.errors import InvalidRequest
from invoice.lifecycle import InvoiceState, UploadState
from ledger.port import Ledger
from ledger.records import Entry, EventVerdict, InvoiceRecord, OutboxItem, Submission
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT, a_red, a_reservation
from tests.ledger.conformance.conftest import Books

ACCEPTED, REJECTED = UploadState.ACCEPTED, UploadState.REJECTED


async def _blue(ledger: Ledger, request_id: str = "blue") -> Entry:
    (blue,) = await building.issue_all(ledger, a_reservation(request_id, type="028"))
    return blue


async def _red(ledger: Ledger, blue: Entry, request_id: str = "red") -> Entry:
    (red,) = await building.issue_all(ledger, a_red(request_id, blue, 1_000, 90))
    return red


async def _prepare(
    ledger: Ledger, submission_id: str, *, now: float = NOW, count_max: int = 100
) -> Submission | None:
    return await ledger.prepare_submission(TAX_NUMBER, submission_id, count_max=count_max, now=now)


def _told(submission: Submission | None) -> list[tuple[str, int]]:
    items = () if submission is None else submission.items
    return [(item.event, int(item.number)) for item in items]


async def _answer(
    ledger: Ledger,
    submission_id: str,
    items: Sequence[OutboxItem],
    state: UploadState = ACCEPTED,
) -> None:
    await ledger.mark_submitted(submission_id, f"serial-{submission_id}", poll_at=NOW)
    verdicts = [EventVerdict(event_id=item.event_id, state=state) for item in items]
    await ledger.record_verdicts(submission_id, verdicts, now=NOW)


async def _upload(
    ledger: Ledger, submission_id: str, state: UploadState = ACCEPTED
) -> list[tuple[str, int]]:
    """Submit what is due, answer it, and say what it was."""
    submission = await _prepare(ledger, submission_id)
    if submission is not None:
        await _answer(ledger, submission_id, submission.items, state)
    return _told(submission)


async def _shown(ledger: Ledger, entry: Entry) -> InvoiceRecord:
    record = await ledger.find_invoice(TENANT, TAX_NUMBER, entry.code, entry.number)
    assert record is not None
    return record


async def test_a_red_waits_for_its_blue_and_holds_up_nobody(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await _red(ledger, blue)
    await _blue(ledger, "unrelated")

    first = await _prepare(ledger, "s-1")
    assert _told(first) == [("ISSUE", 1), ("ISSUE", 3)]
    assert await _prepare(ledger, "s-2") is None
    assert first is not None
    await _answer(ledger, "s-1", first.items)

    assert await _upload(ledger, "s-3") == [("ISSUE", 2)]


async def test_a_red_goes_when_its_blue_was_refused(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    await _red(ledger, await _blue(ledger))

    assert await _upload(ledger, "s-1", REJECTED) == [("ISSUE", 1)]
    assert await _upload(ledger, "s-2") == [("ISSUE", 2)]


async def test_reds_of_one_blue_go_together(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await _upload(ledger, "s-1")
    for at in range(3):
        await _red(ledger, blue, f"red-{at}")

    assert await _upload(ledger, "s-2") == [("ISSUE", 2), ("ISSUE", 3), ("ISSUE", 4)]


async def test_a_void_waits_for_its_issue(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await building.void(ledger, blue)

    assert await _upload(ledger, "s-1") == [("ISSUE", 1)]
    assert await _upload(ledger, "s-2") == [("VOID", 1)]


async def test_a_family_goes_void_by_void(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    red, other = await _red(ledger, blue), await _red(ledger, blue, "other")
    await building.void(ledger, red)
    third = await _red(ledger, blue, "third")
    await building.void(ledger, other)
    await building.void(ledger, third)
    await building.void(ledger, blue)

    going = [await _upload(ledger, f"s-{at}") for at in range(8)]

    assert going == [
        [("ISSUE", 1)],
        [("ISSUE", 2), ("ISSUE", 3)],
        [("VOID", 2)],
        [("ISSUE", 4)],
        [("VOID", 3)],
        [("VOID", 4)],
        [("VOID", 1)],
        [],
    ]
    assert await ledger.backlogged() == []


async def test_the_order_holds_in_batches_of_one_and_after_a_release(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await building.void(ledger, await _red(ledger, blue))
    await _prepare(ledger, "s-1")
    await ledger.release_submission("s-1", not_before=NOW + 60, batch_count_max=1)

    assert await _prepare(ledger, "s-2") is None
    going = []
    for at in range(3, 6):
        submission = await _prepare(ledger, f"s-{at}", now=NOW + 60)
        assert submission is not None
        going += _told(submission)
        await _answer(ledger, f"s-{at}", submission.items)

    assert going == [("ISSUE", 1), ("ISSUE", 2), ("VOID", 2)]


@pytest.mark.parametrize("state", ["PREPARED", "SUBMITTED", "IN_DOUBT"])
async def test_whatever_is_under_way_holds_its_family_over_a_restart(
    storage: Books, state: str
) -> None:
    before = await storage.open()
    await building.open_family_shop(before)
    blue = await _blue(before)
    await _red(before, blue)
    submission = await _prepare(before, "s-1")
    assert submission is not None
    if state == "SUBMITTED":
        await before.mark_submitted("s-1", "serial", poll_at=NOW)
    elif state == "IN_DOUBT":
        await before.mark_in_doubt("s-1")

    after = await storage.open(worker="after")

    assert await _prepare(after, "s-2") is None
    await _answer(after, "s-1", submission.items)
    assert await _upload(after, "s-3") == [("ISSUE", 2)]


async def test_a_void_carries_the_invoice_it_is_about(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    statement = await building.void(ledger, blue)
    await _upload(ledger, "s-1")

    submission = await _prepare(ledger, "s-2")

    assert submission is not None
    (item,) = submission.items
    assert (item.content, item.signature, item.key_id) == (
        statement.content, statement.signature, statement.key_id,
    )  # fmt: skip
    assert item.original is not None
    assert (item.original.content, item.original.signature, item.original.key_id) == (
        blue.content, blue.signature, blue.key_id,
    )  # fmt: skip
    assert submission.certificates.keys() == {building.KEY_ID}
    assert await ledger.open_submissions(TAX_NUMBER) == [submission]


async def test_a_void_and_its_invoice_have_uploads_of_their_own(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await _upload(ledger, "s-1")
    await building.void(ledger, blue)
    pending = await _shown(ledger, blue)

    await _upload(ledger, "s-2", REJECTED)
    refused = await _shown(ledger, blue)

    assert (pending.upload_state, pending.acceptance_serial) == (UploadState.PENDING, "")
    assert (refused.upload_state, refused.acceptance_serial) == (REJECTED, "serial-s-2")
    assert refused.entry.state is InvoiceState.VOIDED
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    meter = next(meter for meter in backlog.meters if meter.type == "028")
    assert (meter.unuploaded_count, meter.unuploaded_amount_fen) == (0, 0)
    assert (backlog.rejected_count, meter.change_number) == (1, 4)


@pytest.mark.parametrize("refusal", [REJECTED, UploadState.SIGNATURE_REJECTED])
async def test_an_accepted_void_resolves_a_refused_invoice(
    ledger: Ledger, refusal: UploadState
) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await _upload(ledger, "s-1", refusal)
    await building.void(ledger, blue)

    assert await _upload(ledger, "s-2") == [("VOID", 1)]

    assert await ledger.unuploaded(TENANT, TAX_NUMBER) == []
    shown = await _shown(ledger, blue)
    assert (shown.upload_state, shown.rejection) == (ACCEPTED, "")
    assert shown.acceptance_serial == "serial-s-2"


async def test_a_refused_void_resolves_nothing(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await _upload(ledger, "s-1", REJECTED)
    await building.void(ledger, blue)

    await _upload(ledger, "s-2", REJECTED)

    left = await ledger.unuploaded(TENANT, TAX_NUMBER)
    assert [(event.event, event.state) for event in left] == [
        ("ISSUE", REJECTED), ("VOID", REJECTED),
    ]  # fmt: skip


async def test_what_is_sent_again_holds_its_void(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await _upload(ledger, "s-1", REJECTED)
    await building.void(ledger, blue)
    await ledger.retry_uploads(
        tax_number=TAX_NUMBER,
        invoices=[(blue.code, blue.number)],
        binding=building.binding("retry_uploads"),
        act=building.ACT,
    )

    assert await _upload(ledger, "s-2") == [("ISSUE", 1)]
    assert await _upload(ledger, "s-3") == [("VOID", 1)]


async def _retry(ledger: Ledger, *entries: Entry) -> int:
    count, _ = await ledger.retry_uploads(
        tax_number=TAX_NUMBER,
        invoices=[(entry.code, entry.number) for entry in entries],
        binding=building.binding("retry_uploads"),
        act=building.ACT,
    )
    return count


async def _red_of_refused(ledger: Ledger) -> Entry:
    """A blue is refused, and its red goes: the blue."""
    blue = await _blue(ledger)
    await _upload(ledger, "s-1", REJECTED)
    await _red(ledger, blue)
    return blue


async def _void_behind_refused_void(ledger: Ledger) -> Entry:
    """The void of a red is refused, and that of its blue goes: the red."""
    blue = await _blue(ledger)
    red = await _red(ledger, blue)
    await _upload(ledger, "s-1")
    await _upload(ledger, "s-2")
    await building.void(ledger, red)
    await _upload(ledger, "s-3", REJECTED)
    await building.void(ledger, blue)
    return red


async def _red_behind_refused_void(ledger: Ledger) -> Entry:
    """The void of a red is refused, and another red of its blue goes: the red."""
    blue = await _blue(ledger)
    red = await _red(ledger, blue)
    await _upload(ledger, "s-1")
    await _upload(ledger, "s-2")
    await building.void(ledger, red)
    await _upload(ledger, "s-3", REJECTED)
    await _red(ledger, blue, "other")
    return red


@pytest.mark.parametrize(
    "story", [_red_of_refused, _void_behind_refused_void, _red_behind_refused_void]
)
@pytest.mark.parametrize("state", ["PREPARED", "SUBMITTED", "IN_DOUBT"])
async def test_what_was_refused_does_not_go_behind_what_depends_on_it(
    ledger: Ledger, story: Callable[[Ledger], Awaitable[Entry]], state: str
) -> None:
    await building.open_family_shop(ledger)
    refused = await story(ledger)
    under_way = await _prepare(ledger, "s-9")
    assert under_way is not None
    if state == "SUBMITTED":
        await ledger.mark_submitted("s-9", "serial", poll_at=NOW)
    elif state == "IN_DOUBT":
        await ledger.mark_in_doubt("s-9")

    everything = await _retry(ledger)
    with pytest.raises(InvalidRequest) as left_out:
        await _retry(ledger, refused)
    await _answer(ledger, "s-9", under_way.items, REJECTED)

    assert everything == 0
    assert left_out.value.facts == {"field": "invoices[0]", "rule": "NOT_REJECTED"}
    # With the answer, whatever it was, both may go, and in their order.
    assert await _retry(ledger) == 2
    first, second = await _upload(ledger, "s-10"), await _upload(ledger, "s-11")
    assert (len(first), second) == (1, _told(under_way))
    assert first != second


async def test_reds_of_one_blue_are_retried_beside_each_other(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await _upload(ledger, "s-1")
    red = await _red(ledger, blue)
    await _upload(ledger, "s-2", REJECTED)
    await _red(ledger, blue, "other")
    await _prepare(ledger, "s-3")

    assert await _retry(ledger, red) == 1
    assert await _upload(ledger, "s-4") == [("ISSUE", 2)]


async def test_what_waits_for_a_time_far_ahead_goes_at_once(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    await _blue(ledger)
    await _prepare(ledger, "s-1")
    await ledger.release_submission("s-1", not_before=NOW + 86_400, batch_count_max=1)

    assert _told(await _prepare(ledger, "s-2")) == [("ISSUE", 1)]


@pytest.mark.parametrize("seed", [20_261_122, 1_971])
async def test_at_random_no_batch_holds_an_event_and_its_predecessor(
    ledger: Ledger, seed: int
) -> None:
    sys.stdout.write(f"seed {seed}\n")
    random = Random(seed)
    await building.open_family_shop(ledger)
    family: dict[tuple[str, int], int] = {}
    standing: list[tuple[Entry, list[Entry]]] = []
    for at in range(12):
        blue = await _blue(ledger, f"blue-{at}")
        reds = []
        for part in range(random.randint(0, 3)):
            reds.append(await _red(ledger, blue, f"red-{at}-{part}"))
            if random.random() < 0.4:
                await building.void(ledger, reds[-1])
        standing.append((blue, reds))
        family |= {("028", int(one.number)): at for one in (blue, *reds)}
    queue = await ledger.unuploaded(TENANT, TAX_NUMBER)
    order = {(event.event, int(event.number)): event.event_id for event in queue}
    blues = {int(blue.number) for blue, _ in standing}

    done: set[tuple[str, int]] = set()
    under_way: dict[str, Submission] = {}
    for turn in range(500):
        if len(done) == len(queue):
            break
        submission = await _prepare(ledger, f"s-{turn}", count_max=random.randint(1, 6))
        if submission is not None:
            under_way[f"s-{turn}"] = submission
            for event in _told(submission):
                before = {
                    other
                    for other in order
                    if family["028", other[1]] == family["028", event[1]]
                    and order[other] < order[event]
                    and ("VOID" in (other[0], event[0]) or other[1] in blues)
                }
                assert before <= done, (event, before - done)
        if under_way and random.random() < 0.6:
            name = random.choice(sorted(under_way))
            submission = under_way.pop(name)
            if random.random() < 0.3:
                await ledger.release_submission(name, not_before=0, batch_count_max=3)
            else:
                await _answer(ledger, name, submission.items)
                done |= set(_told(submission))
    assert len(done) == len(queue)
