"""Reds on the wire: never more than their blue, and what stands in the way of its void."""

from itertools import count

import pytest

from authority.client import GrpcAuthority
from authority.port import UploadItem
from tests.authority.conftest import Connect
from tests.authority.material import Trader, broken, new_trader
from tests.fakes.simulator_process import SimulatorProcess

ACCEPTED = ("ACCEPTED", "")
EXCEEDS = ("REJECTED", "RED_EXCEEDS_BLUE")
EXISTS = ("REJECTED", "RED_EXISTS")
MISSING = ("REJECTED", "ORIGINAL_MISSING")


@pytest.fixture
async def trader(authority: GrpcAuthority) -> Trader:
    return await new_trader(authority)


class Shop:
    """A trader with one accepted blue of 10,000 + 1,300 fen, whose reds have the next numbers."""

    def __init__(self, trader: Trader) -> None:
        self.trader = trader
        self.blue = trader.number(0)
        self._ordinals = count(1)

    def red(self, net_fen: int, tax_fen: int) -> UploadItem:
        """Return a red of these amounts, both negative, under the next number."""
        return self.trader.red(
            self.trader.number(next(self._ordinals)),
            original=self.blue,
            net_fen=net_fen,
            tax_fen=tax_fen,
            gross_fen=net_fen + tax_fen,
        )

    def void(self, item: UploadItem) -> UploadItem:
        """Return a void of a red."""
        return self.trader.void(item.number, original=item)


@pytest.fixture
async def shop(trader: Trader) -> Shop:
    shop = Shop(trader)
    assert await trader.verdicts(trader.issue(shop.blue)) == [ACCEPTED]
    return shop


@pytest.mark.parametrize(
    ("net_fen", "tax_fen", "verdict"),
    [
        (-6000, -800, ACCEPTED),
        (-6001, -800, EXCEEDS),
        (-6000, -801, EXCEEDS),
        (-1, -1, ACCEPTED),
        (0, -801, EXCEEDS),
    ],
)
async def test_reds_together_never_exceed_their_blue_in_net_or_tax(
    shop: Shop, net_fen: int, tax_fen: int, verdict: tuple[str, str]
) -> None:
    assert await shop.trader.verdicts(shop.red(-4000, -500), shop.red(net_fen, tax_fen)) == [
        ACCEPTED,
        verdict,
    ]


async def test_a_second_full_red_is_refused_and_a_repeated_one_is_not(shop: Shop) -> None:
    full = shop.red(-10_000, -1300)

    assert await shop.trader.verdicts(full, full, shop.red(-10_000, -1300), full) == [
        ACCEPTED,
        ACCEPTED,
        EXCEEDS,
        ACCEPTED,
    ]


async def test_a_refused_red_takes_nothing(shop: Shop) -> None:
    refused = shop.red(-10_000, -1300)

    assert await shop.trader.verdicts(
        broken(refused), shop.red(-10_001, -1300), shop.red(-10_000, -1300)
    ) == [("SIGNATURE_REJECTED", "SIGNATURE_INVALID"), EXCEEDS, ACCEPTED]


async def test_a_voided_red_gives_back(shop: Shop) -> None:
    red, more = shop.red(-4000, -500), shop.red(-10_000, -1300)
    assert await shop.trader.verdicts(red, more) == [ACCEPTED, EXCEEDS]

    assert await shop.trader.verdicts(shop.void(red), more) == [ACCEPTED, ACCEPTED]


async def test_a_blue_with_a_live_red_cannot_be_voided(shop: Shop) -> None:
    red = shop.red(-1, 0)
    void = shop.trader.void(shop.blue)

    assert await shop.trader.verdicts(red, void) == [ACCEPTED, EXISTS]
    assert await shop.trader.verdicts(shop.void(red), void, shop.red(-1, 0)) == [
        ACCEPTED,
        ACCEPTED,
        MISSING,
    ]


async def test_a_red_refused_stands_in_no_voids_way(shop: Shop) -> None:
    assert await shop.trader.verdicts(shop.red(-10_001, -1300), shop.trader.void(shop.blue)) == [
        EXCEEDS,
        ACCEPTED,
    ]


async def test_blues_of_equal_numbers_under_other_codes_have_reds_of_their_own(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    authority = connect(own_simulator)
    one = Shop(await new_trader(authority, type_="026"))
    other = Shop(await new_trader(authority, type_="028"))
    assert one.blue == other.blue

    for shop in (one, other):
        assert await shop.trader.verdicts(
            shop.trader.issue(shop.blue), shop.red(-10_000, -1300)
        ) == [ACCEPTED, ACCEPTED]


async def test_amounts_no_turnover_has_are_a_wrong_content(trader: Trader) -> None:
    huge = 10**30
    item = trader.issue(trader.number(0), net_fen=huge, tax_fen=0, gross_fen=huge)

    assert await trader.verdicts(item, trader.issue(trader.number(1))) == [
        ("REJECTED", "CONTENT_INVALID"),
        ACCEPTED,
    ]


async def test_what_reds_have_taken_survives_kill(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    shop = Shop(await new_trader(connect(own_simulator)))
    red = shop.red(-4000, -500)
    assert await shop.trader.verdicts(shop.trader.issue(shop.blue), red) == [ACCEPTED, ACCEPTED]

    own_simulator.restart()
    shop.trader.authority = connect(own_simulator)

    assert await shop.trader.verdicts(
        shop.red(-6001, -800), shop.trader.void(shop.blue), shop.red(-6000, -800)
    ) == [EXCEEDS, EXISTS, ACCEPTED]
