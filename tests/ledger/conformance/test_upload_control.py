"""Operators steer uploads: pauses, windows below the authority's, and refused events sent again."""

import pytest

from invoice.errors import InvalidRequest, InvoiceNotFound, RequestIdReused, TaxpayerNotFound
from invoice.lifecycle import UploadState
from ledger.port import Ledger
from ledger.records import (
    Act,
    Binding,
    Entry,
    EventVerdict,
    MeterRecord,
    RateWindow,
    UploadControlRecord,
)
from tests.ledger import building
from tests.ledger.building import ACT, CODE, NOW, TAX_NUMBER, TENANT
from tests.ledger.conformance.conftest import Books

PAUSE = Act(actor="operator", reason="the authority maintains its systems", at=NOW)


async def pause(
    ledger: Ledger,
    until: float | None = None,
    *,
    binding: Binding | None = None,
    tenant: str = TENANT,
    dry_run: bool = False,
) -> tuple[UploadControlRecord, bool]:
    """Pause the uploads."""
    return await ledger.pause_uploads(
        tax_number=TAX_NUMBER,
        until=until,
        binding=binding or building.binding("pause", tenant=tenant, until=until),
        act=PAUSE,
        dry_run=dry_run,
    )


async def resume(ledger: Ledger) -> tuple[UploadControlRecord, bool]:
    """Resume them."""
    return await ledger.resume_uploads(
        tax_number=TAX_NUMBER, binding=building.binding("resume"), act=ACT
    )


async def set_windows(
    ledger: Ledger, *windows: tuple[float, int], request_id: str = "", dry_run: bool = False
) -> tuple[UploadControlRecord, bool]:
    """Set windows, each (seconds, calls)."""
    return await ledger.set_upload_windows(
        tax_number=TAX_NUMBER,
        windows=[
            RateWindow(period_s=period_s, call_count_max=count) for period_s, count in windows
        ],
        binding=building.binding("set-rate", request_id=request_id, windows=windows),
        act=ACT,
        dry_run=dry_run,
    )


async def retry(
    ledger: Ledger, *numbers: str, binding: Binding | None = None, dry_run: bool = False
) -> tuple[int, bool]:
    """Send refused events again: those of these numbers, or all."""
    return await ledger.retry_uploads(
        tax_number=TAX_NUMBER,
        invoices=[(CODE, number) for number in numbers],
        binding=binding or building.binding("retry", numbers=numbers),
        act=ACT,
        dry_run=dry_run,
    )


async def states(ledger: Ledger) -> dict[str, str]:
    """The state of every event without acceptance, by number."""
    return {row.number: str(row.state) for row in await ledger.unuploaded(TENANT, TAX_NUMBER)}


async def meter(ledger: Ledger) -> MeterRecord:
    """The meter of the type in use."""
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    return next(one for one in backlog.meters if one.type == building.TYPE)


async def refused(ledger: Ledger, *numbers: str) -> list[Entry]:
    """Five issued invoices, of which the authority has refused some."""
    await building.open_shop(ledger, 10)
    issued = await building.issue(ledger, *(f"r-{at}" for at in range(1, 6)))
    await building.upload(ledger, "s-1", rejected=numbers)
    return issued


# --- pauses ---------------------------------------------------------------------------------


async def test_nothing_is_decided_at_first(ledger: Ledger) -> None:
    await building.register(ledger)

    control = await ledger.upload_control(TAX_NUMBER)

    assert control == UploadControlRecord(tax_number=TAX_NUMBER)
    assert not control.paused_at(NOW)


async def test_a_pause_holds_until_its_time_and_another_one_moves_it(ledger: Ledger) -> None:
    await building.register(ledger)

    first, _ = await pause(ledger, NOW + 60)
    second, _ = await pause(ledger, NOW + 10)

    assert (first.paused_at(NOW + 59), first.paused_at(NOW + 60)) == (True, False)
    assert second.paused_until == NOW + 10
    assert second.pause_reason == PAUSE.reason
    assert await ledger.upload_control(TAX_NUMBER) == second


async def test_a_pause_without_an_end_holds_over_restarts_until_it_is_resumed(
    storage: Books,
) -> None:
    ledger = await storage.open()
    await building.register(ledger)
    await pause(ledger)

    ledger = await storage.open(worker="worker-2")
    kept = await ledger.upload_control(TAX_NUMBER)
    resumed, _ = await resume(ledger)

    assert kept.paused_at(NOW + 10**9)
    assert resumed == UploadControlRecord(tax_number=TAX_NUMBER)


async def test_a_pause_replayed_does_not_pause_again(ledger: Ledger) -> None:
    await building.register(ledger)
    bound = building.binding("pause", request_id="p-1")
    await pause(ledger, binding=bound)
    await resume(ledger)

    control, replayed = await pause(ledger, binding=bound)

    assert replayed
    assert not control.paused
    with pytest.raises(RequestIdReused):
        await pause(ledger, binding=building.binding("pause", request_id="p-1", until=1.0))


async def test_resuming_what_is_not_paused_is_no_error(ledger: Ledger) -> None:
    await building.register(ledger)

    assert await resume(ledger) == (UploadControlRecord(tax_number=TAX_NUMBER), False)


async def test_nobody_pauses_another_tenants_uploads(ledger: Ledger) -> None:
    await building.register(ledger)

    with pytest.raises(TaxpayerNotFound):
        await pause(ledger, tenant="another")


async def test_dry_runs_decide_nothing(ledger: Ledger) -> None:
    await building.register(ledger)

    would, _ = await pause(ledger, dry_run=True)
    await set_windows(ledger, (1.0, 2), request_id="w-1", dry_run=True)

    assert would.paused
    assert await ledger.upload_control(TAX_NUMBER) == UploadControlRecord(tax_number=TAX_NUMBER)
    assert await ledger.find_binding(TENANT, "w-1") is None


# --- windows --------------------------------------------------------------------------------


async def test_windows_are_set_lowered_and_lifted(ledger: Ledger) -> None:
    await building.register(ledger)
    await pause(ledger)

    # The authority gives 10 a second.
    await set_windows(ledger, (1.0, 10), (60.0, 100))
    lower, _ = await set_windows(ledger, (1.0, 3))
    none, _ = await set_windows(ledger)

    assert lower.windows == (RateWindow(period_s=1.0, call_count_max=3),)
    assert none.windows == ()
    assert none.paused


async def test_more_than_the_authority_gives_is_refused_by_field(ledger: Ledger) -> None:
    await building.register(ledger)

    with pytest.raises(InvalidRequest) as error:
        await set_windows(ledger, (60.0, 1000), (1.0, 11))

    assert error.value.facts == {"field": "windows[1].call_count_max", "rule": "FIELD_RANGE"}
    assert (await ledger.upload_control(TAX_NUMBER)).windows == ()


async def test_what_a_longer_window_has_seen_is_kept(ledger: Ledger) -> None:
    await building.register(ledger)
    await set_windows(ledger, (3600.0, 100))
    permit = await ledger.add_permit(TAX_NUMBER, sent_at=NOW)
    await ledger.answer_permit(permit, answered_at=NOW)

    await ledger.add_permit(TAX_NUMBER, sent_at=NOW + 3000)
    kept = await ledger.permits(TAX_NUMBER, answered_after=NOW - 1)
    await set_windows(ledger)
    await ledger.add_permit(TAX_NUMBER, sent_at=NOW + 3001)

    assert permit.permit_id in [one.permit_id for one in kept]
    assert permit.permit_id not in [
        one.permit_id for one in await ledger.permits(TAX_NUMBER, answered_after=NOW - 1)
    ]


# --- retries --------------------------------------------------------------------------------


async def test_all_refused_events_are_pending_again_and_count(ledger: Ledger) -> None:
    issued = await refused(ledger, "00000002", "00000004")
    before = await meter(ledger)

    count, replayed = await retry(ledger)

    after = await meter(ledger)
    assert (count, replayed) == (2, False)
    assert await states(ledger) == {"00000002": "PENDING", "00000004": "PENDING"}
    assert (before.unuploaded_count, after.unuploaded_count) == (0, 2)
    assert after.unuploaded_amount_fen == sum(abs(issued[at].net_fen) for at in (1, 3))
    assert after.change_number == before.change_number + 2


async def test_a_signature_rejection_is_retried_as_well(ledger: Ledger) -> None:
    await building.open_shop(ledger, 10)
    await building.issue(ledger, "r-1", "r-2")
    submission = await ledger.prepare_submission(TAX_NUMBER, "s-1", count_max=100, now=NOW)
    assert submission is not None
    verdicts = [
        EventVerdict(event_id=item.event_id, state=UploadState.SIGNATURE_REJECTED, reason="x")
        for item in submission.items
    ]
    await ledger.record_verdicts("s-1", verdicts, now=NOW)

    assert await retry(ledger, "00000002") == (1, False)
    assert await states(ledger) == {"00000001": "SIGNATURE_REJECTED", "00000002": "PENDING"}
    assert await retry(ledger) == (1, False)
    assert await building.upload(ledger, "s-2") == 2
    assert (await meter(ledger)).unuploaded_count == 0


async def test_what_is_retried_goes_before_what_came_later(ledger: Ledger) -> None:
    await refused(ledger, "00000002")
    await building.issue(ledger, "r-6")
    await retry(ledger)

    submission = await ledger.prepare_submission(TAX_NUMBER, "s-2", count_max=100, now=NOW)

    assert submission is not None
    assert [item.number for item in submission.items] == ["00000002", "00000006"]
    assert submission.items[0].attempt_count == 2


async def test_only_named_invoices_are_retried_and_one_with_nothing_refused_is_named(
    ledger: Ledger,
) -> None:
    await refused(ledger, "00000002", "00000004")

    with pytest.raises(InvalidRequest) as accepted:
        await retry(ledger, "00000002", "00000003")
    with pytest.raises(InvoiceNotFound) as unknown:
        await retry(ledger, "00000002", "00000099")

    assert accepted.value.facts == {"field": "invoices[1]", "rule": "NOT_REJECTED"}
    assert unknown.value.facts["name"].startswith(f"taxpayers/{TAX_NUMBER}/invoices/")
    assert unknown.value.facts["name"].endswith("-00000099")
    assert set((await states(ledger)).values()) == {"REJECTED"}
    assert await retry(ledger, "00000004", "00000004") == (1, False)
    assert await states(ledger) == {"00000002": "REJECTED", "00000004": "PENDING"}


async def test_a_retry_replayed_sends_nothing_again(ledger: Ledger) -> None:
    await refused(ledger, "00000002")
    bound = building.binding("retry", request_id="t-1")
    await retry(ledger, binding=bound)
    await building.upload(ledger, "s-2", rejected=["00000002"])

    assert await retry(ledger, binding=bound) == (1, True)
    assert await states(ledger) == {"00000002": "REJECTED"}


async def test_a_dry_retry_counts_and_changes_nothing(ledger: Ledger) -> None:
    await refused(ledger, "00000002", "00000004")
    before = await meter(ledger)

    assert await retry(ledger, dry_run=True) == (2, False)

    assert set((await states(ledger)).values()) == {"REJECTED"}
    assert await meter(ledger) == before


async def test_with_nothing_refused_nothing_is_retried(ledger: Ledger) -> None:
    await refused(ledger)

    assert await retry(ledger) == (0, False)


async def test_an_issue_is_left_alone_while_its_void_is_with_the_authority(ledger: Ledger) -> None:
    issued = await refused(ledger, "00000002")
    await building.void(ledger, issued[1])
    await ledger.prepare_submission(TAX_NUMBER, "s-2", count_max=100, now=NOW)

    assert await retry(ledger) == (0, False)
    with pytest.raises(InvalidRequest):
        await retry(ledger, "00000002")


async def test_an_issue_and_its_void_that_were_both_refused_go_again_in_order(
    ledger: Ledger,
) -> None:
    issued = await refused(ledger, "00000002")
    await building.void(ledger, issued[1])
    await building.upload(ledger, "s-2", rejected=["00000002"])

    count, _ = await retry(ledger, "00000002")
    counted = (await meter(ledger)).unuploaded_count
    sent = []
    for submission_id in ("s-3", "s-4"):
        submission = await ledger.prepare_submission(
            TAX_NUMBER, submission_id, count_max=100, now=NOW
        )
        assert submission is not None
        sent += [item.event for item in submission.items]
        verdicts = [
            EventVerdict(event_id=item.event_id, state=UploadState.ACCEPTED)
            for item in submission.items
        ]
        await ledger.record_verdicts(submission_id, verdicts, now=NOW)

    assert (count, counted) == (2, 1)  # a void never counts
    assert sent == ["ISSUE", "VOID"]
    assert await states(ledger) == {}
    assert (await meter(ledger)).unuploaded_count == 0
