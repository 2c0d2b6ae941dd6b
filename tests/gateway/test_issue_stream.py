"""A stream of requests: what is read, what is answered when, and what its caller cannot do to others.

The caller here sends and takes at will: what it does not take is what flow control holds back.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gateway import issue_stream
from gateway.admission import Admission
from gateway.deadline import Deadline
from gateway.issue_stream import IssueStreams
from gateway.issuing import Ask
from gateway.prepare import Prepared, Preparer
from invoice.errors import DeadlineTooShort, InvalidRequest, Overloaded, ShuttingDown
from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueResult,
    IssueInvoiceRequest,
    IssueInvoicesRequest,
    IssueInvoicesResponse,
)
from tests.gateway.desk import NO_DEADLINE, TAX_NUMBER, TENANT, Desk, open_desk, request

Responses = AsyncGenerator[IssueInvoicesResponse, None]


class Caller:
    """What a caller sends; ``read_count`` is how much of it was taken up."""

    def __init__(self, *requests: IssueInvoiceRequest, ended: bool = False) -> None:
        self.read_count = 0
        self._sent: asyncio.Queue[IssueInvoiceRequest | Exception] = asyncio.Queue()
        for one in requests:
            self.send(one)
        if ended:
            self.end()

    def send(self, message: IssueInvoiceRequest | Exception) -> None:
        self._sent.put_nowait(message)

    def has_read(self, count: int) -> bool:
        return self.read_count == count

    def end(self) -> None:
        self.send(StopAsyncIteration())

    def __aiter__(self) -> AsyncIterator[IssueInvoicesRequest]:
        return self

    async def __anext__(self) -> IssueInvoicesRequest:
        await asyncio.sleep(0)  # as every read from a wire
        message = await self._sent.get()
        if isinstance(message, Exception):
            raise message
        self.read_count += 1
        return IssueInvoicesRequest(request=message)


class StumblingPreparer(Preparer):
    """Has a bug that shows with one request."""

    async def issue(self, request: IssueInvoiceRequest, *, reload: bool) -> Prepared:
        if request.request_id == "bug":
            raise ZeroDivisionError("secret")
        return await super().issue(request, reload=reload)


def streams_of(desk: Desk, preparer: Preparer | None = None, **limits: int) -> IssueStreams:
    return IssueStreams(
        issuer=desk.issuer,
        issuing=desk.issuing,
        preparer=preparer or desk.preparer,
        draining=asyncio.Event(),
        stream_count_max=limits.get("stream_count_max", 100),
        unanswered_max=limits.get("unanswered_max", 256),
    )


async def take(responses: Responses, count: int = 1) -> list[BatchIssueResult]:
    async with asyncio.timeout(20):
        return [(await anext(responses)).result for _ in range(count)]


async def rest(responses: Responses) -> list[BatchIssueResult]:
    """Everything up to the end of the stream."""
    async with asyncio.timeout(20):
        return [response.result async for response in responses]


def reason(result: BatchIssueResult) -> str:
    """The reason an item failed for; empty when it was issued."""
    if result.HasField("issued"):
        return ""
    name = error_reason_pb2.ErrorReason.Name(result.failure.reason)
    return name.removeprefix("ERROR_REASON_")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - counters, nothing to await
            await asyncio.sleep(0.001)


async def settled(turns: int = 50) -> None:
    """Give everything that can go on the time to do so."""
    for _ in range(turns):
        await asyncio.sleep(0.001)


@asynccontextmanager
async def nothing_left(desk: Desk, streams: IssueStreams) -> AsyncIterator[None]:
    """Whatever happens inside, afterwards no room is held and no reader of an ended caller lives."""
    yield
    admission: Admission = desk.issuer.admission
    await until(lambda: not desk.issuer.busy())
    assert (admission._checking_count, admission._stream_count) == (0, 0)
    assert not any(admission._queues.values())
    assert streams._stream_count == 0


async def test_every_item_is_answered_and_the_stream_ends_with_the_caller(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        streams = streams_of(desk)
        async with nothing_left(desk, streams):
            caller = Caller(*(request(f"r{at}") for at in range(200)), ended=True)
            results = await rest(streams.serve(caller, NO_DEADLINE))

            assert {one.request_id for one in results} == {f"r{at}" for at in range(200)}
            assert {reason(one) for one in results} == {""}
            assert len({one.issued.number for one in results}) == 200
            await until(lambda: not streams._readers)


async def test_a_slow_item_holds_nobody_back(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.issuing.one(_ask(desk, "done"), NO_DEADLINE)
        desk.signer.hold()
        wrong = request("wrong")
        wrong.gross_fen += 1
        caller = Caller(request("slow"), wrong, request("done"), ended=True)
        responses = streams_of(desk).serve(caller, NO_DEADLINE)

        early = await take(responses, 2)
        desk.signer.release()
        late = await rest(responses)

        assert {(one.request_id, reason(one)) for one in early} == {
            ("wrong", "INVALID_INVOICE"),
            ("done", ""),
        }
        assert [(one.request_id, reason(one)) for one in late] == [("slow", "")]


async def test_one_id_twice_in_a_stream_replays_or_is_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        caller = Caller(request("a"), request("a"), request("a", net_fen=20_000), ended=True)
        results = await rest(streams_of(desk).serve(caller, NO_DEADLINE))

        issued = [one for one in results if not reason(one)]
        assert sorted(one.replayed for one in issued) == [False, True]
        assert issued[0].issued == issued[1].issued
        assert [reason(one) for one in results if reason(one)] == ["REQUEST_ID_REUSED"]


async def test_a_bug_in_one_item_is_that_items_answer(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        preparer = StumblingPreparer(
            registry=desk.registry,
            signer=desk.signer,
            authorities=desk.authorities,
            tenant=TENANT,
        )
        streams = streams_of(desk, preparer)
        async with nothing_left(desk, streams):
            caller = Caller(request("a"), request("bug"), IssueInvoiceRequest(), request("b"))
            caller.end()
            results = {
                one.request_id: one for one in await rest(streams.serve(caller, NO_DEADLINE))
            }

            assert {name: reason(one) for name, one in results.items()} == {
                "a": "",
                "bug": "INTERNAL",
                "": "INVALID_REQUEST",
                "b": "",
            }
            assert "secret" not in results["bug"].failure.message


async def test_a_changed_registration_is_read_again_for_its_items(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.registry.seat(TENANT, TAX_NUMBER, 0)
        _plant_stale_version(desk)
        streams = streams_of(desk)
        async with nothing_left(desk, streams):
            caller = Caller(*(request(f"r{at}") for at in range(20)), ended=True)
            results = await rest(streams.serve(caller, NO_DEADLINE))

            assert {reason(one) for one in results} == {""}
            assert len(results) == 20


# --- its caller is slow ---------------------------------------------------------------------


async def test_a_slow_reader_slows_down_its_own_stream_only(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        streams = streams_of(desk, unanswered_max=8)
        slow = Caller(*(request(f"slow-{at}") for at in range(100)), ended=True)
        async with nothing_left(desk, streams), aclosing(streams.serve(slow, NO_DEADLINE)) as held:
            first = await take(held)
            await until(lambda: not desk.issuer.busy())
            quick = Caller(*(request(f"quick-{at}") for at in range(100)), ended=True)
            assert len(await rest(streams.serve(quick, NO_DEADLINE))) == 100

            # One answer is on its way: it counts until the caller has taken it.
            assert slow.read_count == 8
            for taken in range(2, 20):
                first += await take(held)
                await until(partial(slow.has_read, 7 + taken))
            await settled()
            assert slow.read_count == 26
            assert len(first + await rest(held)) == 100


async def test_large_items_are_bounded_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issue_stream, "UNANSWERED_BYTES_MAX", 20_000)
    async with open_desk(tmp_path) as desk:
        streams = streams_of(desk)
        caller = Caller(*(request(f"r{at}") for at in range(100)), ended=True)
        async with (
            nothing_left(desk, streams),
            aclosing(streams.serve(caller, NO_DEADLINE)) as held,
        ):
            first = await take(held)
            await until(lambda: not desk.issuer.busy())
            await settled()

            # Each weighs between one and four kilobytes.
            assert 4 < caller.read_count < 21
            assert len(first + await rest(held)) == 100


# --- there is no room -----------------------------------------------------------------------


async def test_a_stream_waits_where_a_call_is_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        await desk.registry.seat(TENANT, TAX_NUMBER, 0)
        streams = streams_of(desk)
        callers = [
            Caller(*(request(f"{name}-{at}") for at in range(200)), ended=True) for name in "abc"
        ]
        async with nothing_left(desk, streams):
            running = [
                asyncio.create_task(rest(streams.serve(caller, NO_DEADLINE))) for caller in callers
            ]
            # Half of the room, 500, is for streams. Whoever has to wait has read one item more.
            await until(lambda: sum(caller.read_count for caller in callers) >= 250 + 2)
            await settled()
            read = [caller.read_count for caller in callers]
            with desk.issuer.admission.admitted(250):
                pass
            with pytest.raises(Overloaded), desk.issuer.admission.admitted(251):
                pass
            desk.signer.release()
            results = [one for part in await asyncio.gather(*running) for one in part]

            assert sum(read) <= 250 + 3
            assert max(read) - min(read) <= 2, read
            assert len(results) == 600
            assert {reason(one) for one in results} == {""}


async def test_whoever_waits_longest_goes_first_and_the_gone_are_passed_over() -> None:
    busy = 4
    admission = Admission(count_max=4, in_work=lambda: busy)
    turns = [admission.turn() for _ in range(3)]
    assert all(turn is not None and not turn.done() for turn in turns)
    turns[0].set_exception(Overloaded("gone"))  # type: ignore[union-attr]
    turns[0].exception()  # type: ignore[union-attr]

    busy = 3
    admission.freed()

    assert [turn.done() for turn in turns if turn is not None] == [True, True, False]
    admission.checked()
    assert [turn.done() for turn in turns if turn is not None] == [True, True, True]
    admission.checked()
    last = admission.turn()  # streams have half of the room, and there is no more of it
    assert last is not None
    assert not last.done()
    admission.ended()
    assert last.done()


async def test_more_streams_than_are_served_are_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        streams = streams_of(desk, stream_count_max=1)
        one, other = Caller(request("a")), Caller(request("b"))
        async with aclosing(streams.serve(one, NO_DEADLINE)) as open_one:
            await take(open_one)
            with pytest.raises(Overloaded):
                await rest(streams.serve(other, NO_DEADLINE))
        other.end()

        assert len(await rest(streams.serve(other, NO_DEADLINE))) == 1


# --- its ends -------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["signing", "waiting for room", "reading"])
async def test_a_caller_that_hangs_up_cancels_nothing_that_has_its_number(
    tmp_path: Path, step: str
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        count = {"signing": 100, "waiting for room": 255, "reading": 1}[step]
        streams = streams_of(desk)
        caller = Caller(*(request(f"r{at}") for at in range(count)))
        listening = asyncio.create_task(rest(streams.serve(caller, NO_DEADLINE)))
        async with nothing_left(desk, streams):
            await until(lambda: caller.read_count == min(count, 251))
            await settled()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            desk.signer.release()
            caller.end()
            await until(lambda: not streams._readers)
        again = Caller(*(request(f"r{at}") for at in range(count)), ended=True)
        results = await rest(streams.serve(again, NO_DEADLINE))

        assert {reason(one) for one in results} == {""}
        assert sum(one.replayed for one in results) == min(count, 250)
        assert len({one.issued.number for one in results}) == count


@pytest.mark.parametrize("half_closed", [True, False])
async def test_at_its_deadline_what_is_open_is_answered_in_progress(
    tmp_path: Path, *, half_closed: bool
) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        streams = streams_of(desk)
        caller = Caller(*(request(f"r{at}") for at in range(20)), ended=half_closed)
        deadline = Deadline(asyncio.get_running_loop().time() + 0.1)
        responses = streams.serve(caller, deadline)
        results = await take(responses, 20)
        if half_closed:
            assert await rest(responses) == []
        else:
            with pytest.raises(DeadlineTooShort):
                await rest(responses)
        caller.send(request("too-late"))
        desk.signer.release()

        assert {reason(one) for one in results} == {"IN_PROGRESS"}
        async with nothing_left(desk, streams):
            again = Caller(*(request(f"r{at}") for at in range(20)), ended=True)
            replayed = await rest(streams.serve(again, NO_DEADLINE))
            assert all(one.replayed for one in replayed)
        assert await desk.ledger.find_request(TENANT, "too-late") is None


async def test_a_deadline_ends_the_wait_for_room(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        streams = streams_of(desk)
        caller = Caller(*(request(f"r{at}") for at in range(300)))
        deadline = Deadline(asyncio.get_running_loop().time() + 0.3)
        responses = streams.serve(caller, deadline)
        async with nothing_left(desk, streams):
            results = await take(responses, 251)
            with pytest.raises(DeadlineTooShort):
                await rest(responses)
            desk.signer.release()

        assert {reason(one) for one in results} == {"IN_PROGRESS"}
        assert await desk.ledger.find_request(TENANT, "r250") is None


async def test_a_drain_answers_what_was_read_and_then_says_so(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.signer.hold()
        streams = streams_of(desk)
        caller = Caller(*(request(f"r{at}") for at in range(20)))
        responses = streams.serve(caller, NO_DEADLINE)
        async with nothing_left(desk, streams):
            taking = asyncio.create_task(take(responses, 20))
            await until(lambda: caller.read_count == 20)
            streams.draining.set()
            await settled()
            caller.send(request("after"))
            desk.signer.release()
            results = await taking
            with pytest.raises(ShuttingDown):
                await rest(responses)

        assert {reason(one) for one in results} == {""}
        assert await desk.ledger.find_request(TENANT, "after") is None


async def test_an_idle_stream_ends_with_the_drain(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        streams = streams_of(desk)
        ending = asyncio.create_task(rest(streams.serve(Caller(), NO_DEADLINE)))
        await settled(5)
        streams.draining.set()

        with pytest.raises(ShuttingDown):
            await ending


async def test_a_message_that_cannot_be_read_ends_the_stream_behind_the_answers(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path) as desk:
        caller = Caller(request("a"), request("b"))
        caller.send(InvalidRequest("request", "FIELD_FORMAT", "noise"))
        responses = streams_of(desk).serve(caller, NO_DEADLINE)
        results = await take(responses, 2)

        with pytest.raises(InvalidRequest):
            await rest(responses)
        assert {reason(one) for one in results} == {""}


def _ask(desk: Desk, request_id: str) -> Ask:
    return Ask(request_id, partial(desk.preparer.issue, request(request_id)))


def _plant_stale_version(desk: Desk) -> None:
    """Let the registry remember a version that the ledger no longer has."""
    key = (TENANT, TAX_NUMBER)
    record = desk.registry._records[key]
    stale = replace(record, taxpayer=replace(record.taxpayer, version=7))
    desk.registry._records[key] = stale
    desk.registry._seats.clear()
