"""The path of one invoice, step by step: what is answered, what is stored, what a fault leaves.

The ledger is SQLite, the device signs for real; both can be held or broken at every step.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gateway import issue
from gateway.job import Issued, StaleTaxpayer
from hsm.port import DeviceKey
from hsm.verify import verify
from invoice import content, marks
from invoice.errors import (
    HsmUnavailable,
    InProgress,
    LedgerUnavailable,
    Overloaded,
    RequestIdReused,
    ShuttingDown,
    StockExhausted,
)
from invoice.lifecycle import InvoiceState
from ledger.records import Entry
from tests.fakes.software_signer import SoftwareSigner
from tests.gateway.desk import TENANT, Desk, open_desk, reservation


class _OnlySmallPieces(SoftwareSigner):
    """A device too slow for more than 64 signatures in one call."""

    def __init__(self, other: SoftwareSigner) -> None:
        super().__init__()
        self._pairs = other._pairs

    async def sign(self, key: DeviceKey, digests: Sequence[bytes]) -> list[bytes]:
        if len(digests) > 64:
            raise HsmUnavailable("late")
        return await super().sign(key, digests)


async def signed_rightly(desk: Desk, entry: Entry) -> bool:
    key = await desk.signer.ensure_key("device-1")
    digest = content.digest(content.INVOICE_TAG, entry.content)
    assert entry.signature is not None
    return verify(key.public_key, key.algorithm, digest, entry.signature)


async def balanced(desk: Desk, *, issued: int) -> bool:
    """Whether the books balance with exactly so many invoices."""
    last = None
    for last in desk.ledger.check_books():
        assert not last.findings, last.findings
    assert last is not None
    assert (last.issued_count, last.reserved_count) == (issued, 0)
    return bool(last.balanced)


async def test_a_draft_becomes_a_signed_invoice_with_the_next_number(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        first = await desk.issue(reservation("a"))
        second = await desk.issue(reservation("b"))

        assert [first.entry.number, second.entry.number] == ["00000001", "00000002"]
        assert await signed_rightly(desk, first.entry)
        assert first.entry.signature is not None
        assert first.entry.check_code == marks.check_code(first.entry.signature, "026")
        assert not first.replayed
        assert await balanced(desk, issued=2)


async def test_the_same_request_again_answers_the_same_bytes(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        first = await desk.issue(reservation("a"))
        again = await desk.issue(reservation("a"))

        assert again.replayed
        assert (again.entry.content, again.entry.signature) == (
            first.entry.content,
            first.entry.signature,
        )
        assert await balanced(desk, issued=1)


async def test_a_hundred_callers_at_once_with_one_id_get_one_invoice(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        answers = await asyncio.gather(*(desk.issue(reservation("a")) for _ in range(100)))

        assert len({(each.entry.content, each.entry.signature) for each in answers}) == 1
        assert sum(not each.replayed for each in answers) == 1
        assert await balanced(desk, issued=1)


async def test_another_request_under_a_used_id_names_what_differs(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.issue(reservation("a"))

        with pytest.raises(RequestIdReused) as caught:
            await desk.issue(reservation("a", net_fen=20_000))

        assert "net_fen" in caught.value.facts["fields"]
        assert await balanced(desk, issued=1)


async def test_another_request_under_an_id_in_work_waits_and_is_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        first = desk.issuer.submit(reservation("a"))
        await desk.signer.asked.wait()
        other = desk.issuer.submit(reservation("a", net_fen=20_000))
        desk.signer.release()

        assert (await first).entry.net_fen == 10_000
        with pytest.raises(RequestIdReused):
            await other


async def test_an_id_whose_first_request_was_refused_stays_free(tmp_path: Path) -> None:
    async with open_desk(tmp_path, numbers=1) as desk:
        await desk.issue(reservation("a"))
        with pytest.raises(StockExhausted):
            await desk.issue(reservation("b"))

        assert await desk.ledger.find_request(TENANT, "b") is None


@pytest.mark.parametrize("step", ["before reserve", "after reserve", "signing", "settling"])
async def test_a_caller_that_hangs_up_cancels_nothing(tmp_path: Path, step: str) -> None:
    async with open_desk(tmp_path) as desk:
        stop, held = _hold(desk, step)
        call = asyncio.create_task(desk.issue(reservation("a")))
        await held.wait()

        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        stop()
        issued = await desk.issue(reservation("a"))

        assert issued.replayed
        assert issued.entry.state is InvoiceState.ISSUED
        assert await signed_rightly(desk, issued.entry)
        assert await balanced(desk, issued=1)


@pytest.mark.parametrize("step", ["before reserve", "after reserve", "signing", "settling"])
async def test_a_deadline_answers_in_progress_and_a_retry_the_invoice(
    tmp_path: Path, step: str
) -> None:
    async with open_desk(tmp_path) as desk:
        stop, held = _hold(desk, step)
        waiter = desk.issuer.submit(reservation("a"))
        desk.issuer.expire([waiter], asyncio.get_running_loop().time() + 0.03)
        await held.wait()

        with pytest.raises(InProgress) as caught:
            await waiter
        stop()
        again = await desk.issue(reservation("a"))

        assert caught.value.retry_s is not None
        assert again.replayed
        assert await balanced(desk, issued=1)


@pytest.mark.parametrize("persisted", [False, True], ids=["not persisted", "persisted"])
@pytest.mark.parametrize("settles", [False, True], ids=["reserve", "settle"])
async def test_a_failed_commit_leaves_one_invoice_after_the_retry(
    tmp_path: Path, *, settles: bool, persisted: bool
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.ledger.fail_next("after" if persisted else "before", settles=settles)

        with pytest.raises(LedgerUnavailable):
            await desk.issue(reservation("a"))
        again = await desk.issue(reservation("a"))

        assert again.entry.number == "00000001"
        assert again.replayed == (settles or persisted)
        assert await balanced(desk, issued=1)


@pytest.mark.parametrize("signed", [False, True], ids=["did not sign", "signed"])
async def test_a_device_that_fails_leaves_a_number_that_is_finished_later(
    tmp_path: Path, *, signed: bool
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.fail_next(1, signed=signed)

        with pytest.raises(HsmUnavailable):
            await desk.issue(reservation("a"))

        issued = await _issued(desk, "a")
        assert issued.entry.number == "00000001"
        assert await balanced(desk, issued=1)


async def test_while_the_device_is_away_the_sweep_leaves_its_numbers_alone(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.fail_next(1)
        with pytest.raises(HsmUnavailable):
            await desk.issue(reservation("a"))
        desk.signer.down = True
        await asyncio.gather(*(desk.clock.sleep(1) for _ in range(3)))

        desk.signer.down = False

        assert (await _issued(desk, "a")).entry.state is InvoiceState.ISSUED


async def test_what_a_dead_process_reserved_is_finished_by_the_next(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        signer.fail_next(1_000_000)
        for name in "abc":
            with pytest.raises(HsmUnavailable):
                await desk.issue(reservation(name))

    async with open_desk(tmp_path, signer=signer.restarted()) as desk:
        numbers = [(await _issued(desk, name)).entry.number for name in "abc"]

        assert numbers == ["00000001", "00000002", "00000003"]
        assert await balanced(desk, issued=3)


async def test_a_changed_registration_sends_the_draft_back_to_the_rules(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        with pytest.raises(StaleTaxpayer):
            await desk.issue(reservation("a", version=7))

        assert await desk.ledger.find_request(TENANT, "a") is None


async def test_more_than_may_wait_is_refused_at_once(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.ledger.hold("before")
        waiters = [desk.issuer.submit(reservation(f"r{index}")) for index in range(300)]
        await desk.ledger.held.wait()

        with pytest.raises(Overloaded) as caught, desk.issuer.admission.admitted(400):
            pass
        # What is being checked has its room held.
        with (
            desk.issuer.admission.admitted(150),
            pytest.raises(Overloaded),
            desk.issuer.admission.admitted(100),
        ):
            pass
        desk.ledger.release()
        await asyncio.gather(*waiters)

        assert caught.value.retry_s is not None
        assert await balanced(desk, issued=300)


async def test_what_has_a_number_and_no_signature_counts_as_work(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        waiters = [desk.issuer.submit(reservation(f"r{index}")) for index in range(300)]
        async with asyncio.timeout(10):
            while sum(reserved for _, reserved in desk.ledger.groups) < 300:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

        with pytest.raises(Overloaded), desk.issuer.admission.admitted(201):
            pass
        desk.signer.release()
        await asyncio.gather(*waiters)
        with desk.issuer.admission.admitted(500):
            pass


async def test_callers_of_one_id_with_other_requests_count_as_work_and_are_told_at_once(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        first = desk.issuer.submit(reservation("a"))
        others = [desk.issuer.submit(reservation("a", net_fen=100 * n)) for n in range(200, 400)]
        with pytest.raises(Overloaded), desk.issuer.admission.admitted(300):
            pass
        desk.signer.release()
        answers = await asyncio.gather(first, *others, return_exceptions=True)

        assert isinstance(answers[0], Issued)
        assert all(isinstance(each, RequestIdReused) for each in answers[1:])
        assert len(desk.ledger.groups) <= 3


async def test_callers_behind_a_refused_request_get_their_turn(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.ledger.hold("before")
        stale = desk.issuer.submit(reservation("a", version=7))
        await desk.ledger.held.wait()
        other = desk.issuer.submit(reservation("a", net_fen=20_000))
        third = desk.issuer.submit(reservation("a", net_fen=30_000))
        desk.ledger.release()

        with pytest.raises(StaleTaxpayer):
            await stale
        assert (await other).entry.net_fen == 20_000
        with pytest.raises(RequestIdReused):
            await third


async def test_a_caller_that_asks_for_a_dead_workers_entry_gets_it(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        signer.fail_next(1_000_000)
        with pytest.raises(HsmUnavailable):
            await desk.issue(reservation("a"))
    later = signer.restarted()
    later.down = True

    async with open_desk(tmp_path, signer=later) as desk:
        # Its caller is back before the device is: it waits for another worker's entry.
        waiter = desk.issuer.submit(reservation("a"))
        async with asyncio.timeout(10):
            while not desk.ledger.groups:  # noqa: ASYNC110 - a record, nothing to await
                await asyncio.sleep(0.001)
        later.down = False
        async with asyncio.timeout(10):
            issued = await waiter

        assert issued.replayed
        assert await balanced(desk, issued=1)


async def test_a_slow_device_finishes_orphans_piece_by_piece(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        signer.fail_next(1_000_000)
        waiters = [desk.issuer.submit(reservation(f"r{index}")) for index in range(200)]
        await asyncio.gather(*waiters, return_exceptions=True)

    slow = _OnlySmallPieces(signer)
    async with open_desk(tmp_path, signer=slow) as desk:
        for index in range(200):
            assert (await _issued(desk, f"r{index}")).entry.signature is not None

        assert await balanced(desk, issued=200)


async def test_a_close_that_cannot_wait_says_what_is_unknown(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        taken = desk.issuer.submit(reservation("a"))
        await desk.signer.asked.wait()
        other = desk.issuer.submit(reservation("a", net_fen=20_000))

        await desk.issuer.close(grace_s=0.01)

        with pytest.raises(InProgress):
            await taken
        with pytest.raises(ShuttingDown):
            await other


async def test_a_close_finishes_what_runs_and_refuses_what_comes(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        running = desk.issuer.submit(reservation("a"))
        await desk.signer.asked.wait()

        closing = asyncio.create_task(desk.issuer.close(grace_s=5.0))
        await asyncio.sleep(0)
        late = desk.issuer.submit(reservation("b"))
        desk.signer.release()
        await closing

        assert (await running).entry.state is InvoiceState.ISSUED
        with pytest.raises(ShuttingDown):
            await late


async def test_what_is_issued_wakes_the_uploader(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.issue(reservation("a"))

        assert set(desk.woken) == {reservation("a").tax_number}


async def test_arrivals_during_a_commit_share_the_next_one(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.ledger.hold("before")
        first = desk.issuer.submit(reservation("first"))
        await desk.ledger.held.wait()
        waiters = [desk.issuer.submit(reservation(f"r{index}")) for index in range(16)]
        desk.ledger.release()
        await asyncio.gather(first, *waiters)

        reserves = [reserved for _, reserved in desk.ledger.groups if reserved]
        assert reserves == [1, 16]


async def test_a_settle_rides_with_the_next_reserve(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        signing = desk.issuer.submit(reservation("a"))
        await desk.signer.asked.wait()
        desk.ledger.hold("before")
        committing = desk.issuer.submit(reservation("b"))
        await desk.ledger.held.wait()
        desk.signer.release()
        async with asyncio.timeout(10):
            while not desk.signer.signed:  # noqa: ASYNC110 - a record, nothing to await
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        arrived = desk.issuer.submit(reservation("c"))
        desk.ledger.release()
        await asyncio.gather(signing, committing, arrived)

        assert desk.ledger.groups[:3] == [(0, 1), (0, 1), (1, 1)]


async def test_under_load_a_group_waits_for_what_is_at_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the test may take: only the arrival of all others ends the wait.
    monkeypatch.setattr(issue, "_GATHER_S", 60.0)
    monkeypatch.setattr(issue, "_GATHER_S_MAX", 60.0)
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        at_device = [desk.issuer.submit(reservation(f"a{index}")) for index in range(16)]
        await desk.signer.asked.wait()
        arriving = []
        for index in range(4):
            arriving.append(desk.issuer.submit(reservation(f"b{index}")))
            await asyncio.sleep(0)
        desk.signer.release()
        await asyncio.wait_for(asyncio.gather(*at_device, *arriving), 30)

        assert desk.ledger.groups[:2] == [(0, 16), (16, 4)]


async def test_a_few_wait_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issue, "_GATHER_S", 60.0)
    monkeypatch.setattr(issue, "_GATHER_S_MAX", 60.0)
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        waiters = [desk.issuer.submit(reservation(f"a{index}")) for index in range(6)]
        await desk.signer.asked.wait()
        desk.ledger.hold("after")
        waiters.append(desk.issuer.submit(reservation("b")))
        await asyncio.wait_for(desk.ledger.held.wait(), 30)
        desk.ledger.release()
        desk.signer.release()
        await asyncio.wait_for(asyncio.gather(*waiters), 30)

        assert desk.ledger.groups[:2] == [(0, 6), (0, 1)]


def _hold(desk: Desk, step: str) -> tuple[Callable[[], None], asyncio.Event]:
    """Hold the path at ``step``; return what lets it go on, and the event of its arrival."""
    if step == "signing":
        desk.signer.hold()
        return desk.signer.release, desk.signer.asked
    if step == "settling":
        desk.ledger.hold("before", settles=True)
    else:
        desk.ledger.hold("before" if step == "before reserve" else "after")
    return desk.ledger.release, desk.ledger.held


async def _issued(desk: Desk, request_id: str) -> Issued:
    async with asyncio.timeout(10):
        issued = await desk.settled(request_id)
    assert issued is not None
    return issued
