"""The same with nothing in memory: SQLite, gRPC, the simulator's process, and its record as the judge.

Each fault ends with every event accepted once or rejected once, as the authority has it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from authority.client import GrpcAuthority
from authority.config import AuthorityConfig
from ledger.records import RateWindow
from taxcontrol.authority.v1 import simulator_service_pb2
from tests.authority.material import new_trader
from tests.fakes.simulator_process import SimulatorProcess, windows_exceeded
from tests.gateway.upload.counter import Counter, accepted

WITHIN_S = 60.0
OpenCounter = Callable[..., Awaitable[Counter]]


@pytest.fixture(scope="module")
def running_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    store = tmp_path_factory.mktemp("simulator") / "store"
    with SimulatorProcess(store, arguments=["--windows", ""]) as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    yield running_simulator
    running_simulator.set_faults()
    running_simulator.set_windows()


@pytest.fixture
async def authority(simulator: SimulatorProcess) -> AsyncIterator[GrpcAuthority]:
    client = GrpcAuthority(
        AuthorityConfig(target=simulator.target, timeout_s=0.7), on_time=lambda *_: None
    )
    yield client
    await client.close()


@pytest.fixture
async def open_counter(authority: GrpcAuthority, tmp_path: Path) -> AsyncIterator[OpenCounter]:
    opened: list[Counter] = []

    async def make(*windows: RateWindow, stock: int = 400) -> Counter:
        trader = await new_trader(authority, count=stock)
        counter = Counter(tmp_path / f"{trader.tax_number}.db", trader, windows=windows)
        await counter.open()
        await counter.register()
        opened.append(counter)
        return counter

    yield make
    for counter in opened:
        await counter.close()


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = WITHIN_S) -> None:
    """Ask again and again: what is waited for happens in another process."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def finished(counter: Counter, within_s: float = WITHIN_S) -> None:
    """Wait until every event has its final word."""

    async def done() -> bool:
        return await counter.unfinished_count() == 0

    await until(done, within_s)


FAULTS: dict[str, dict[str, int]] = {
    "none": {},
    "every fifth call late": {"delay_ppm": 200_000, "delay_ms": 150},
    "longer than the time limit": {"delay_ppm": 100_000, "delay_ms": 900},
    "throttling with RetryInfo": {"throttle_ppm": 300_000, "throttle_retry_ms": 100},
    "server errors": {"server_error_ppm": 200_000},
    "lost answers": {"lost_answer_ppm": 300_000},
    "all of them": {
        "delay_ppm": 100_000,
        "delay_ms": 50,
        "throttle_ppm": 100_000,
        "throttle_retry_ms": 100,
        "server_error_ppm": 100_000,
        "lost_answer_ppm": 100_000,
    },
}


@pytest.mark.parametrize("name", FAULTS)
async def test_the_authority_has_each_invoice_once_in_spite_of(
    name: str, simulator: SimulatorProcess, open_counter: OpenCounter
) -> None:
    counter = await open_counter()
    simulator.set_faults(simulator_service_pb2.FaultPlan(seed=7, **FAULTS[name]))  # type: ignore[arg-type]
    await counter.uploader.start()

    numbers = []
    for _ in range(30):
        numbers += await counter.issue(10)
        counter.uploader.wake(counter.tax_number)
    await finished(counter)

    assert accepted(simulator, counter.tax_number) == dict.fromkeys(numbers, 1)
    assert await counter.states() == {}


async def test_refused_items_and_signatures_are_in_front_of_an_operator(
    simulator: SimulatorProcess, open_counter: OpenCounter
) -> None:
    counter = await open_counter()
    simulator.set_faults(seed=3, refuse_item_ppm=100_000, refuse_signature_ppm=100_000)
    numbers = await counter.issue(200)
    await counter.uploader.start()

    await finished(counter)

    states = await counter.states()
    taken = accepted(simulator, counter.tax_number)
    assert {*taken} | {*states} == {*numbers}
    assert {*taken} & {*states} == set()
    assert set(taken.values()) == {1}
    assert {*states.values()} == {"REJECTED REFUSED", "SIGNATURE_REJECTED SIGNATURE_INVALID"}


async def test_one_poisoned_of_300_is_isolated_and_the_rest_arrives(
    simulator: SimulatorProcess, open_counter: OpenCounter
) -> None:
    counter = await open_counter()
    numbers = await counter.issue(300)
    poisoned = numbers[137]
    simulator.set_faults(
        simulator_service_pb2.FaultPlan(poison=[f"{counter.trader.grant.code}-{poisoned}"])
    )
    await counter.uploader.start()

    await finished(counter)

    assert await counter.states() == {poisoned: "REJECTED SUBMISSION_INVALID"}
    numbers.remove(poisoned)
    assert accepted(simulator, counter.tax_number) == dict.fromkeys(numbers, 1)
    calls = simulator.calls(counter.tax_number)
    assert sum(call.method == "SubmitInvoices" for call in calls) <= 20


async def test_the_windows_hold_on_the_authoritys_own_record(
    simulator: SimulatorProcess, open_counter: OpenCounter
) -> None:
    windows = ((5, 300), (20, 2000))
    counter = await open_counter(
        *(RateWindow(period_s=ms / 1000, call_count_max=count) for count, ms in windows)
    )
    simulator.set_windows(*windows)
    await counter.uploader.start()

    for _ in range(60):
        await counter.issue(3)
        counter.uploader.wake(counter.tax_number)
        await asyncio.sleep(0.05)
    await finished(counter)

    calls = simulator.calls(counter.tax_number)
    assert len(calls) > 20
    assert not any(call.throttled for call in calls)
    assert windows_exceeded(calls, windows) == 0


async def test_crashes_and_restarts_on_one_file_lose_and_double_nothing(
    simulator: SimulatorProcess, open_counter: OpenCounter
) -> None:
    windows = ((4, 100), (60, 2000))
    counter = await open_counter(
        *(RateWindow(period_s=ms / 1000, call_count_max=count) for count, ms in windows)
    )
    simulator.set_windows(*windows, result_delay_ms=50)
    simulator.set_faults(seed=5, lost_answer_ppm=100_000, server_error_ppm=50_000)

    numbers = []
    for round_ in range(12):
        await counter.uploader.start()
        numbers += await counter.issue(20)
        counter.uploader.wake(counter.tax_number)
        await asyncio.sleep(0.02 * round_)
        # No grace: calls under way are dropped, as by a kill.
        await counter.uploader.stop(grace_s=0)
        await counter.ledger.close()
        await counter.open()
    await counter.uploader.start()
    await finished(counter)

    assert accepted(simulator, counter.tax_number) == dict.fromkeys(numbers, 1)
    calls = simulator.calls(counter.tax_number)
    assert not any(call.throttled for call in calls)
    assert windows_exceeded(calls, windows) == 0


async def test_the_authority_away_and_back_is_noticed_within_seconds(
    simulator: SimulatorProcess, open_counter: OpenCounter
) -> None:
    counter = await open_counter()
    simulator.set_faults(unreachable=True)
    await counter.uploader.start()
    numbers = await counter.issue(50)
    counter.uploader.wake(counter.tax_number)

    async def noticed() -> bool:
        return bool((await counter.uploader.status(counter.tax_number)).last_error)

    await until(noticed)
    simulator.set_faults()
    await finished(counter, within_s=6)

    assert accepted(simulator, counter.tax_number) == dict.fromkeys(numbers, 1)
