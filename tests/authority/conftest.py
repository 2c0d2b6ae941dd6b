"""One simulator for all tests that need no restart: each test has taxpayers of its own."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from authority.client import GrpcAuthority
from authority.config import AuthorityConfig
from authority.port import TimeObserver
from tests.fakes.simulator_process import SimulatorProcess

Connect = Callable[..., GrpcAuthority]


@pytest.fixture(scope="session")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    store = tmp_path_factory.mktemp("simulator") / "store"
    with SimulatorProcess(store, arguments=["--windows", ""]) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared_simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    """The shared simulator, without faults or windows before and after."""
    yield shared_simulator
    shared_simulator.set_faults()
    shared_simulator.set_windows()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Return a function that connects to a simulator; closed after the test."""
    async with AsyncExitStack() as clients:

        def client(
            simulator: SimulatorProcess,
            *,
            on_time: TimeObserver = lambda *_: None,
            timeout_s: float = 10.0,
        ) -> GrpcAuthority:
            config = AuthorityConfig(target=simulator.target, timeout_s=timeout_s)
            connected = GrpcAuthority(config, on_time=on_time)
            clients.push_async_callback(connected.close)
            return connected

        yield client


@pytest.fixture
async def authority(simulator: SimulatorProcess, connect: Connect) -> GrpcAuthority:
    """The port to the shared simulator."""
    return connect(simulator)


@pytest.fixture
def own_simulator(tmp_path: Path) -> Iterator[SimulatorProcess]:
    """A simulator of the test's own, not started, stopped after."""
    simulator = SimulatorProcess(tmp_path / "store")
    yield simulator
    simulator.stop()
