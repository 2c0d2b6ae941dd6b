"""The path of a void and a blank void, step by step: what is answered, and what a fault leaves.

The ledger is SQLite, the device signs for real; both can be held or broken at every step.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.deadline import Deadline
from gateway.job import Issued
from gateway.statements import Stated
from hsm.verify import verify
from invoice import content, statements
from invoice.errors import (
    HsmUnavailable,
    InProgress,
    InvalidRequest,
    InvoiceNotFound,
    InvoiceNotReversible,
    InvoiceNotVoidable,
    LedgerUnavailable,
    NumberBlankVoided,
    NumberNotBlank,
    RedExceedsBlue,
    RequestIdReused,
    ShuttingDown,
)
from invoice.lifecycle import InvoiceState
from ledger.records import Entry
from taxcontrol.v1.invoice_reversal_pb2 import VoidInvoiceRequest
from tests.fakes.software_signer import SoftwareSigner
from tests.gateway.desk import (
    CODES,
    TAX_NUMBER,
    TENANT,
    Desk,
    blank_void_of,
    open_desk,
    red,
    reservation,
    void_of,
)

STEPS = ["deciding", "decided", "signing", "settling", "settled"]
# An operator may give up a number that has waited for its signature for so long.
WAITED_S = 61.0


async def state_of(desk: Desk, entry: Entry) -> InvoiceState:
    record = await desk.ledger.find_invoice(TENANT, TAX_NUMBER, entry.code, entry.number)
    assert record is not None
    return InvoiceState(record.entry.state)


async def until_settled(desk: Desk, request_id: str) -> None:
    """Wait until nobody has to finish a statement any more."""
    async with asyncio.timeout(10):
        while True:
            found = await desk.ledger.find_statement(TENANT, request_id)
            if found is not None and found.state == "SETTLED":
                return
            await asyncio.sleep(0.005)


async def until_decided(desk: Desk, request_id: str) -> None:
    async with asyncio.timeout(10):
        while await desk.ledger.find_binding(TENANT, request_id) is None:  # noqa: ASYNC110 - a table, nothing to await
            await asyncio.sleep(0.001)


async def signed_rightly(desk: Desk, stated: Stated) -> bool:
    key = await desk.signer.ensure_key("device-1")
    record = stated.record
    assert record.signature is not None
    digest = content.digest(record.kind.tag, record.content)
    return verify(key.public_key, stated.algorithm, digest, record.signature)


async def balanced(desk: Desk) -> bool:
    last = None
    for last in desk.ledger.check_books():
        assert not last.findings, last.findings
    assert last is not None
    return bool(last.balanced)


# --- what is answered -----------------------------------------------------------------------


async def test_a_void_is_a_signed_statement_that_names_its_invoice(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        stated = await desk.void(void_of(entry))

        facts = statements.facts(stated.record.kind, stated.record.content)
        assert (facts.code, facts.number) == (entry.code, entry.number)
        assert facts.invoice_digest == statements.invoice_digest(entry.content)
        assert facts.reason == "开票有误"
        assert not stated.replayed
        assert await signed_rightly(desk, stated)
        assert await state_of(desk, entry) is InvoiceState.VOIDED
        assert desk.woken == [TAX_NUMBER, TAX_NUMBER]
        assert await balanced(desk)


async def test_the_same_void_again_answers_the_same_bytes(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        first = await desk.void(void_of(entry))
        desk.signer.down = True
        again = await desk.void(void_of(entry))

        assert again.replayed
        assert again.record == first.record


async def test_a_hundred_callers_at_once_make_one_statement(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        signed_count = len(desk.signer.signed)
        answers = await asyncio.gather(*(desk.void(void_of(entry)) for _ in range(100)))

        assert len({(one.record.content, one.record.signature) for one in answers}) == 1
        assert sum(not one.replayed for one in answers) == 1
        assert len(desk.signer.signed) == signed_count + 1


async def test_another_request_under_the_id_is_told_what_differs(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        first = (await desk.issue(reservation("a"))).entry
        second = (await desk.issue(reservation("b"))).entry
        one, other = await asyncio.gather(
            desk.void(void_of(first)),
            desk.void(void_of(second, reason="买方要求")),
            return_exceptions=True,
        )

        assert isinstance(one, Stated)
        assert isinstance(other, RequestIdReused)
        assert other.facts["fields"] == "name,reason"
        with pytest.raises(RequestIdReused):
            await desk.void(void_of(first, request_id="a"))
        assert await state_of(desk, second) is InvoiceState.ISSUED


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        ("", "FIELD_REQUIRED"),
        # The authority would refuse it for good, when the void is past undoing here.
        (" \u3000", "FIELD_REQUIRED"),
        ("字" * 101, "FIELD_TOO_LONG"),
        ("a\nb", "FIELD_FORMAT"),
        ("\N{WHITE SMILING FACE}\N{GRINNING FACE}", "FIELD_FORMAT"),
    ],
)
async def test_a_reason_that_cannot_stand_in_a_statement_is_named(
    tmp_path: Path, reason: str, rule: str
) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry

        with pytest.raises(InvalidRequest) as caught:
            await desk.void(void_of(entry, reason=reason))
        await desk.void(void_of(entry, reason="字" * 100))

        assert caught.value.facts == {"field": "reason", "rule": rule}


async def test_what_was_never_issued_cannot_be_voided(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        name = f"taxpayers/{TAX_NUMBER}/invoices/{CODES['026']}-00000009"

        with pytest.raises(InvoiceNotFound):
            await desk.void(VoidInvoiceRequest(request_id="void", name=name, reason="错"))


# --- faults ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
async def test_a_caller_that_hangs_up_cancels_nothing(tmp_path: Path, step: str) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        stop, held = _hold(desk, step)
        call = asyncio.create_task(desk.void(void_of(entry)))
        await held.wait()

        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        stop()
        again = await desk.void(void_of(entry))

        assert again.replayed
        assert await signed_rightly(desk, again)
        assert await state_of(desk, entry) is InvoiceState.VOIDED


@pytest.mark.parametrize("step", STEPS)
async def test_a_deadline_answers_in_progress_and_a_retry_the_statement(
    tmp_path: Path, step: str
) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        stop, held = _hold(desk, step)
        soon = Deadline(asyncio.get_running_loop().time() + 0.03)
        call = asyncio.create_task(desk.void(void_of(entry), soon))
        await held.wait()

        with pytest.raises(InProgress) as caught:
            await call
        stop()
        again = await desk.void(void_of(entry))

        assert caught.value.retry_s is not None
        assert again.replayed
        assert await state_of(desk, entry) is InvoiceState.VOIDED


@pytest.mark.parametrize("persisted", [False, True], ids=["not persisted", "persisted"])
@pytest.mark.parametrize("settles", [False, True], ids=["reserve", "settle"])
async def test_a_failed_commit_leaves_one_statement_after_the_retry(
    tmp_path: Path, *, settles: bool, persisted: bool
) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        desk.ledger.fail_next("after" if persisted else "before", settles=settles)

        with pytest.raises(LedgerUnavailable):
            await desk.void(void_of(entry))
        again = await desk.void(void_of(entry))

        assert again.replayed == (settles or persisted)
        assert await signed_rightly(desk, again)
        assert await balanced(desk)


@pytest.mark.parametrize("signed", [False, True], ids=["did not sign", "signed"])
async def test_a_device_that_fails_leaves_a_decision_that_is_signed_later(
    tmp_path: Path, *, signed: bool
) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        desk.signer.fail_next(1, signed=signed)

        with pytest.raises(HsmUnavailable):
            await desk.void(void_of(entry))
        await until_settled(desk, "void")

        assert await state_of(desk, entry) is InvoiceState.VOIDED
        assert (await desk.void(void_of(entry))).replayed


async def test_while_the_device_is_away_nothing_is_decided(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        desk.signer.down = True

        with pytest.raises(HsmUnavailable):
            await desk.void(void_of(entry))
        with pytest.raises(HsmUnavailable):
            await desk.void_blank(blank_void_of("00000002"))

        assert await desk.ledger.find_binding(TENANT, "void") is None
        assert await desk.ledger.find_binding(TENANT, "blank") is None


async def test_a_wrong_signature_is_never_stored(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        desk.signer.wrong = True

        with pytest.raises(HsmUnavailable):
            await desk.void(void_of(entry))
        assert await state_of(desk, entry) is InvoiceState.ISSUED
        desk.signer.wrong = False

        await until_settled(desk, "void")
        assert await signed_rightly(desk, await desk.void(void_of(entry)))


async def test_what_a_dead_process_decided_is_signed_by_the_next(tmp_path: Path) -> None:
    signer = SoftwareSigner()
    async with open_desk(tmp_path, signer=signer) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        signer.fail_next(1_000_000)
        with pytest.raises(HsmUnavailable):
            await desk.void(void_of(entry))
        with pytest.raises(HsmUnavailable):
            await desk.void_blank(blank_void_of("00000002"))

    async with open_desk(tmp_path, signer=signer.restarted()) as desk:
        await until_settled(desk, "void")
        await until_settled(desk, "blank")

        assert await state_of(desk, entry) is InvoiceState.VOIDED
        assert await signed_rightly(desk, await desk.void_blank(blank_void_of("00000002")))
        assert await balanced(desk)


async def test_a_close_finishes_what_runs_and_refuses_what_comes(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        first = (await desk.issue(reservation("a"))).entry
        second = (await desk.issue(reservation("b"))).entry
        desk.signer.hold()
        running = asyncio.create_task(desk.void(void_of(first)))
        await desk.signer.asked.wait()

        closing = asyncio.create_task(desk.statements.close(grace_s=5.0))
        await asyncio.sleep(0)
        with pytest.raises(ShuttingDown):
            await desk.void(void_of(second, request_id="late"))
        desk.signer.release()
        await closing

        assert (await running).record.state == "SETTLED"


async def test_a_close_that_cannot_wait_says_what_is_unknown(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        entry = (await desk.issue(reservation("a"))).entry
        desk.signer.hold()
        running = asyncio.create_task(desk.void(void_of(entry)))
        await desk.signer.asked.wait()

        await desk.statements.close(grace_s=0.01)

        with pytest.raises(InProgress):
            await running


# --- one invoice, many wishes ---------------------------------------------------------------


async def test_of_reds_and_voids_of_one_blue_at_once_one_wins(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        for turn in range(5):
            blue = (await desk.issue(reservation(f"blue-{turn}"))).entry
            answers = await asyncio.gather(
                desk.void(void_of(blue, f"void-{turn}-1")),
                desk.issue(red(f"red-{turn}", blue)),
                desk.void(void_of(blue, f"void-{turn}-2")),
                return_exceptions=True,
            )

            won = [one for one in answers if isinstance(one, Stated | Issued)]
            lost = [one for one in answers if isinstance(one, BaseException)]
            assert len(won) == 1, answers
            assert all(isinstance(one, InvoiceNotVoidable | InvoiceNotReversible) for one in lost)
        assert await balanced(desk)


async def test_of_64_full_reds_of_one_blue_one_is_issued(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        answers = await asyncio.gather(
            *(desk.issue(red(f"red-{at}", blue)) for at in range(64)), return_exceptions=True
        )

        issued = [one for one in answers if isinstance(one, Issued)]
        assert [one.entry.net_fen for one in issued] == [-blue.net_fen]
        assert sum(isinstance(one, RedExceedsBlue) for one in answers) == 63
        assert await state_of(desk, blue) is InvoiceState.REVERSED
        assert await balanced(desk)


async def test_64_partial_reds_take_no_more_than_the_blue_has(tmp_path: Path) -> None:
    async with open_desk(tmp_path, types=("026", "007")) as desk:
        blue = (await desk.issue(reservation("blue", type_="007"))).entry
        answers = await asyncio.gather(
            *(desk.issue(red(f"red-{at}", blue, net_fen=300)) for at in range(64)),
            return_exceptions=True,
        )

        issued = [one for one in answers if isinstance(one, Issued)]
        assert len(issued) == 33
        assert sum(isinstance(one, RedExceedsBlue) for one in answers) == 31
        assert await state_of(desk, blue) is InvoiceState.PARTLY_REVERSED
        assert await balanced(desk)


# --- blank voids ----------------------------------------------------------------------------


async def test_the_next_number_is_voided_blank_and_the_one_behind_it_is_issued(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        with pytest.raises(NumberNotBlank) as caught:
            await desk.void_blank(blank_void_of("00000002"))
        stated = await desk.void_blank(blank_void_of("00000001"))
        issued = await desk.issue(reservation("a"))

        assert caught.value.facts["next_number"] == "00000001"
        assert await signed_rightly(desk, stated)
        assert issued.entry.number == "00000002"
        assert await desk.ledger.find_request(TENANT, "blank") is None
        assert await balanced(desk)


async def test_a_preview_says_what_would_happen_and_changes_nothing(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        preview = await desk.void_blank(blank_void_of("00000001", validate_only=True))
        with pytest.raises(NumberNotBlank):
            await desk.void_blank(blank_void_of("00000002", validate_only=True))
        desk.signer.down = True
        with pytest.raises(HsmUnavailable):
            await desk.void_blank(blank_void_of("00000001", validate_only=True))
        desk.signer.down = False

        assert preview.record.signature is None
        assert preview.record.number == "00000001"
        assert await desk.ledger.find_binding(TENANT, "blank") is None
        assert (await desk.issue(reservation("a"))).entry.number == "00000001"


async def test_a_number_that_waits_for_an_absent_device_can_be_given_up(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.down = True
        with pytest.raises(HsmUnavailable):
            await desk.issue(reservation("a"))
        with pytest.raises(NumberNotBlank) as too_early:
            await desk.void_blank(blank_void_of("00000001"))
        desk.clock.offset_s = WAITED_S

        # Decided, and signed once the device is back.
        with pytest.raises(HsmUnavailable):
            await desk.void_blank(blank_void_of("00000001"))
        with pytest.raises(NumberBlankVoided) as given_up:
            await desk.issue(reservation("a"))
        desk.signer.down = False
        await until_settled(desk, "blank")

        assert too_early.value.facts["state"] == "RESERVED"
        assert given_up.value.facts["number"] == "00000001"
        assert given_up.value.facts["request_id"] == "a"
        with pytest.raises(RequestIdReused):
            await desk.issue(reservation("a", net_fen=20_000))
        assert (await desk.issue(reservation("b"))).entry.number == "00000002"
        assert await balanced(desk)


async def test_whoever_waits_for_a_number_that_is_given_up_is_told_so(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        waiters = [desk.issuer.submit(reservation("a")) for _ in range(3)]
        await desk.signer.asked.wait()
        desk.clock.offset_s = WAITED_S
        giving_up = asyncio.create_task(desk.void_blank(blank_void_of("00000001")))
        await until_decided(desk, "blank")
        desk.signer.release()
        answers = await asyncio.gather(*waiters, return_exceptions=True)
        await giving_up

        assert all(isinstance(one, NumberBlankVoided) for one in answers), answers
        assert await balanced(desk)


async def test_a_red_that_is_given_up_gives_its_blue_back(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        blue = (await desk.issue(reservation("blue"))).entry
        desk.signer.hold()
        stuck = desk.issuer.submit(red("red", blue))
        await desk.signer.asked.wait()
        desk.clock.offset_s = WAITED_S
        giving_up = asyncio.create_task(desk.void_blank(blank_void_of("00000002")))
        await until_decided(desk, "blank")
        desk.signer.release()
        with pytest.raises(NumberBlankVoided):
            await stuck
        await giving_up

        assert (await desk.issue(red("red-again", blue))).entry.net_fen == -blue.net_fen
        assert await balanced(desk)


def _hold(desk: Desk, step: str) -> tuple[Callable[[], None], asyncio.Event]:
    """Hold the path at ``step``; return what lets it go on, and the event of its arrival."""
    if step == "signing":
        desk.signer.hold()
        return desk.signer.release, desk.signer.asked
    desk.ledger.hold(
        "before" if step in ("deciding", "settling") else "after",
        settles=step in ("settling", "settled"),
    )
    return desk.ledger.release, desk.ledger.held
