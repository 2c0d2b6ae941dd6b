"""One running system for all tests that need no restart: simulator, gateway, sample sellers.

Every test has request ids, and where stock matters sellers, of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, sample_sellers
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

SAMPLE_STOCK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The running processes, a client, and the sample sellers with stock at every point."""

    simulator: SimulatorProcess
    gateway: GatewayProcess
    platform: Platform
    samples: tuple[Seller, ...]


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    home = tmp_path_factory.mktemp("system")
    with (
        SimulatorProcess(home / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(home / "gateway", authority=simulator.target) as gateway,
    ):
        platform = Platform(gateway.channel)
        samples = tuple(platform.register(seller) for seller in sample_sellers())
        for seller in samples:
            for type_ in seller.types:
                platform.supply(seller, type_, SAMPLE_STOCK)
        yield System(simulator=simulator, gateway=gateway, platform=platform, samples=samples)


@pytest.fixture(scope="session")
def platform(system: System) -> Platform:
    return system.platform


@pytest.fixture(scope="module")
def seller(platform: Platform) -> Seller:
    """A seller of the module's own, with 026 at points 0 and 1."""
    return platform.new_seller("026", stock=2000, points=(0, 1))
