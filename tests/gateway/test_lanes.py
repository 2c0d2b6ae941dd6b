"""Long invoices: nobody waits for their check but each other, and what is refused is not held on to."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway import admission, convert, issue_stream
from gateway.admission import LONG_LINE_COUNT_MAX, Admission
from gateway.deadline import Deadline
from gateway.issuing import Ask
from gateway.job import Issued
from gateway.lanes import Slices
from invoice import rules
from invoice.document import Line
from invoice.errors import DeadlineTooShort, InvalidInvoice, InvoiceError, Overloaded, Violation
from taxcontrol.v1 import error_reason_pb2, invoice_pb2
from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult, Failure, IssueInvoiceRequest
from tests.gateway.desk import NO_DEADLINE, TENANT, Desk, open_desk, request
from tests.gateway.test_issue_stream import Caller, nothing_left, rest, settled, streams_of, until

LINE_COUNT = 2000
INVALID = error_reason_pb2.ERROR_REASON_INVALID_INVOICE
# One long check takes some 30 ms of CPU, a slice of one 15 ms at most.
TURN_S_MAX = 0.06

TYPES = ("026", "007")

Make = Callable[[str], IssueInvoiceRequest]
Way = Callable[["Desk", Sequence[IssueInvoiceRequest]], Coroutine[None, None, set[str]]]


def long(request_id: str, count: int = LINE_COUNT) -> IssueInvoiceRequest:
    """A valid invoice of so many lines."""
    wanted = request(request_id)
    wanted.type = "007"
    wanted.list_attached = count > 8
    line = wanted.lines.pop()
    line.amount_fen, line.tax_fen = 100, 9
    wanted.lines.extend([line] * count)
    wanted.net_fen, wanted.tax_fen, wanted.gross_fen = 100 * count, 9 * count, 109 * count
    return wanted


def empty(request_id: str, count: int = LINE_COUNT) -> IssueInvoiceRequest:
    """One of so many lines that say nothing: as small as it gets, and wrong five times a line."""
    wanted = long(request_id, 1)
    del wanted.lines[:]
    wanted.lines.extend([invoice_pb2.Line()] * count)
    return wanted


def ask(desk: Desk, wanted: IssueInvoiceRequest) -> Ask:
    return Ask(wanted.request_id, partial(desk.preparer.issue, wanted), len(wanted.lines))


async def outcome(
    desk: Desk, wanted: IssueInvoiceRequest, deadline: Deadline = NO_DEADLINE
) -> Issued | InvoiceError:
    try:
        return await desk.issuing.one(ask(desk, wanted), deadline)
    except InvoiceError as error:
        return error


# --- the loop -------------------------------------------------------------------------------


class Turns:
    """How long the loop was busy at a time, in CPU seconds: other programs do not count."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._over = False

    async def watch(self) -> None:
        last_s = time.thread_time()
        while not self._over:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            self.longest_s = max(self.longest_s, now_s - last_s)
            last_s = now_s

    def end(self) -> None:
        self._over = True


@contextmanager
def no_collection() -> Iterator[None]:
    """The collector walks all that this suite has imported; that is not what is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def by_calls(desk: Desk, wanted: Sequence[IssueInvoiceRequest]) -> set[str]:
    outcomes = await asyncio.gather(*(outcome(desk, one) for one in wanted))
    return {type(one).__name__ for one in outcomes}


async def by_batches(desk: Desk, wanted: Sequence[IssueInvoiceRequest]) -> set[str]:
    batches = [
        desk.issuing.all([ask(desk, one), ask(desk, other)], NO_DEADLINE)
        for one, other in zip(wanted[::2], wanted[1::2], strict=True)
    ]
    outcomes = [one for batch in await asyncio.gather(*batches) for one in batch]
    return {type(one).__name__ for one in outcomes}


async def by_streams(desk: Desk, wanted: Sequence[IssueInvoiceRequest]) -> set[str]:
    streams = streams_of(desk)
    answers = await asyncio.gather(
        *(rest(streams.serve(Caller(one, ended=True), NO_DEADLINE)) for one in wanted)
    )
    return {str(one.WhichOneof("outcome")) for part in answers for one in part}


@pytest.mark.parametrize("make", [long, empty])
@pytest.mark.parametrize("way", [by_calls, by_batches, by_streams])
async def test_the_loop_is_free_between_the_slices_of_long_checks(
    tmp_path: Path, way: Way, make: Make
) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        wanted = [make(f"r{at}") for at in range(8)]
        turns = Turns()
        with no_collection():
            watching = asyncio.create_task(turns.watch())
            await settled(1)
            found = await way(desk, wanted)
            turns.end()
            await watching

        assert len(found) == 1
        assert found <= {"Issued", "issued"} | {"InvalidInvoice", "Failure", "failure"}
        assert turns.longest_s < TURN_S_MAX, f"{turns.longest_s * 1000:.0f} ms in one turn"


async def test_many_of_middling_length_leave_the_loop_free_too(tmp_path: Path) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        turns = Turns()
        with no_collection():
            watching = asyncio.create_task(turns.watch())
            await settled(1)
            assert await by_calls(desk, [empty(f"r{at}", 100) for at in range(64)]) == {
                "InvalidInvoice"
            }
            turns.end()
            await watching

        assert turns.longest_s < TURN_S_MAX, f"{turns.longest_s * 1000:.0f} ms in one turn"


async def test_between_two_slices_the_loop_goes_round_often_enough_to_let_many_calls_in() -> None:
    slices = Slices()
    breath = asyncio.create_task(slices.breathe())
    rounds = 0
    while not breath.done():
        await asyncio.sleep(0)
        rounds += 1

    assert rounds >= 16


@pytest.mark.parametrize("way", [by_calls, by_streams])
async def test_a_shorter_invoice_waits_for_no_longer_one(tmp_path: Path, way: Way) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        await outcome(desk, request("warm"))
        longs = asyncio.create_task(way(desk, [long(f"long-{at}") for at in range(8)]))
        await asyncio.sleep(0)
        short, middling = await asyncio.gather(
            outcome(desk, request("short")), outcome(desk, long("middling", 50))
        )

        assert isinstance(short, Issued)
        assert isinstance(middling, Issued)
        assert not longs.done()
        last = await desk.ledger.find_request(TENANT, "long-7")
        assert last is None
        await longs


async def test_calls_do_not_wait_for_the_long_items_of_streams(tmp_path: Path) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        streams = asyncio.create_task(by_streams(desk, [long(f"s{at}") for at in range(8)]))
        await settled(2)
        assert isinstance(await outcome(desk, long("call")), Issued)

        assert not streams.done()
        await streams


@pytest.mark.parametrize("count", [21, 100, 101, LINE_COUNT])
async def test_in_slices_the_same_is_found_in_the_same_order(tmp_path: Path, count: int) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        wanted = long("a", count)
        wanted.kind = 77  # type: ignore[assignment]
        for at in range(0, count, 7):
            wanted.lines[at].nature = 50 + at  # type: ignore[assignment]
            wanted.lines[at].zero_rate_flag = 50 + at  # type: ignore[assignment]
            wanted.lines[at].name = ""
        seat = await desk.preparer.seat(desk_tax_number(wanted), 0, reload=False)
        draft, unknown = convert.draft(wanted)
        at_once = (*unknown, *rules.violations(draft, seat.record.taxpayer))

        refused = await outcome(desk, wanted)

        assert isinstance(refused, InvalidInvoice)
        assert refused.violations == at_once
        assert len(at_once) > 3 * (count // 7)


def desk_tax_number(wanted: IssueInvoiceRequest) -> str:
    return wanted.seller.tax_number


# --- room -----------------------------------------------------------------------------------


async def test_more_lines_than_can_be_checked_soon_are_refused_and_short_invoices_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "LONG_LINE_COUNT_MAX", 4 * LINE_COUNT)
    async with open_desk(tmp_path, types=TYPES) as desk:
        running = [
            asyncio.create_task(outcome(desk, empty(f"r{at}", LINE_COUNT))) for at in range(8)
        ]
        await asyncio.sleep(0)
        short = await outcome(desk, request("short"))
        outcomes = await asyncio.gather(*running)

        assert isinstance(short, Issued)
        assert [type(one) for one in outcomes] == [InvalidInvoice] * 4 + [Overloaded] * 4
        assert all(one.retry_s for one in outcomes[4:] if isinstance(one, Overloaded))
        assert isinstance(await outcome(desk, long("later")), Issued)


async def test_more_lines_than_any_invoice_has_are_refused_unread_and_wait_for_nobody(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk, desk.issuing._lanes.lane(LINE_COUNT):
        refused = await outcome(desk, empty("a", LONG_LINE_COUNT_MAX * 2))

        assert isinstance(refused, InvalidInvoice)
        assert [one.rule for one in refused.violations] == ["LINE_COUNT"]


def test_the_largest_batch_fits_where_nothing_else_is_checked() -> None:
    room = Admission(count_max=500, in_work=lambda: 0)

    with room.admitted(500, 100_000), room.admitted(0, 100_000):
        pass
    with (
        room.admitted(100, LONG_LINE_COUNT_MAX),
        pytest.raises(Overloaded),
        room.admitted(1, 10_000),
    ):
        pass
    with room.admitted(100, LONG_LINE_COUNT_MAX), room.admitted(400, 8_000):
        pass


@pytest.mark.parametrize("batch", [True, False])
async def test_the_deadline_ends_the_wait_for_a_check_and_nothing_is_taken(
    tmp_path: Path, *, batch: bool
) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        deadline = Deadline(asyncio.get_running_loop().time() + 0.05)
        asks = [ask(desk, request("short")), ask(desk, long("a"))]
        issuing = desk.issuing.all(asks, deadline) if batch else desk.issuing.one(asks[1], deadline)
        async with desk.issuing._lanes.lane(LINE_COUNT):
            with pytest.raises(DeadlineTooShort):
                await issuing

        assert await desk.ledger.find_request(TENANT, "short") is None
        assert await desk.ledger.find_request(TENANT, "a") is None
        with desk.issuer.admission.admitted(500, LONG_LINE_COUNT_MAX):
            pass


async def test_a_caller_that_leaves_gives_up_its_place_in_the_lane(tmp_path: Path) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        streams = streams_of(desk)
        async with nothing_left(desk, streams):
            async with streams.lanes.lane(LINE_COUNT):
                caller = Caller(long("a"))
                listening = asyncio.create_task(rest(streams.serve(caller, NO_DEADLINE)))
                await until(lambda: caller.read_count == 1)
                await settled(2)
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            await until(lambda: not streams._readers)

        assert desk.registry.key_ids() == set()  # nobody asked who might sign it


# --- what is held ---------------------------------------------------------------------------


def held(*kinds: type) -> int:
    """How many of these there are, whether anybody or only a cycle holds them."""
    return sum(type(one) in kinds for one in gc.get_objects())


def is_told(result: BatchIssueResult) -> bool:
    listed = len(result.failure.violations)
    told = int(result.failure.metadata["violation_count"])
    return result.failure.reason == INVALID and 100 < listed < told and told > 4 * LINE_COUNT


async def test_a_stream_that_is_not_read_holds_answers_and_nothing_they_were_made_of(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        streams = streams_of(desk)
        caller = Caller(*(empty(f"r{at}") for at in range(12)), ended=True)
        with no_collection():
            before = held(Violation, Line)
            async with (
                nothing_left(desk, streams),
                aclosing(streams.serve(caller, NO_DEADLINE)) as responses,
            ):
                first = (await anext(responses)).result
                await until(lambda: caller.read_count == 12)
                await settled()

                assert held(Violation, Line) == before
                results = [first, *await rest(responses)]
        assert len(results) == 12
        assert all(map(is_told, results))


# A valid one holds more than a megabyte until it is signed; a refusal has 64 KiB, twice in memory.
@pytest.mark.parametrize(("make", "count_max"), [(long, 2), (empty, 19)])
async def test_a_stream_reads_no_more_than_it_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make, count_max: int
) -> None:
    monkeypatch.setattr(issue_stream, "UNANSWERED_BYTES_MAX", 2 * 1024 * 1024)
    async with open_desk(tmp_path, types=TYPES) as desk:
        desk.signer.hold()
        streams = streams_of(desk)
        caller = Caller(*(make(f"r{at}") for at in range(40)), ended=True)
        async with nothing_left(desk, streams):
            async with aclosing(streams.serve(caller, NO_DEADLINE)) as responses:
                taking = asyncio.create_task(anext(responses))
                reads = -1
                while reads < caller.read_count:
                    reads = caller.read_count
                    await settled()
                    await until(lambda: not streams.lanes.lane(LINE_COUNT).locked())
                assert 1 < reads <= count_max
                desk.signer.release()
                await asyncio.gather(taking, return_exceptions=True)
            caller.end()


async def test_a_batch_holds_refusals_as_they_travel(tmp_path: Path) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        asks = [ask(desk, empty(f"r{at}")) for at in range(4)]
        with no_collection():
            before = held(Violation, Line)
            outcomes = await desk.issuing.all(asks, NO_DEADLINE)

            assert [type(one) for one in outcomes] == [Failure] * 4
            assert held(Violation, Line) == before


async def test_a_single_call_leaves_nothing_to_the_collector(tmp_path: Path) -> None:
    async with open_desk(tmp_path, types=TYPES) as desk:
        with no_collection():
            before = held(Violation, Line)
            assert isinstance(await outcome(desk, empty("r")), InvalidInvoice)

            assert held(Violation, Line) == before
