"""Draws end only by a yes or by a no of the authority's own; no granted number is ever forgotten.

The ledger is SQLite; the authority is one in memory that keeps what it granted.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.draw import Drawer
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from ledger.records import Act, GrantRecord
from tests.fakes.granting_authority import (
    GrantingAuthority,
    Trouble,
    away,
    lost,
    refused,
    throttled,
)
from tests.fakes.tax_office import tax_office
from tests.gateway.desk import TAX_NUMBER, Desk, bound, open_desk

WITHIN_S = 10.0
# Refusals that name no reason of the authority's: from a proxy, or about our own certificate.
BARE = [
    refused("UNAUTHENTICATED", "UNAUTHENTICATED"),
    refused("PERMISSION_DENIED", "PERMISSION_DENIED"),
    refused("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    refused(""),
]
PUT_OFF = [throttled, *BARE]


@dataclass(slots=True)
class Counter:
    """Where draws are asked for."""

    desk: Desk
    drawer: Drawer
    authority: GrantingAuthority

    async def draw(self, request_id: str, count: int = 10) -> tuple[GrantRecord, bool]:
        return await self.drawer.draw(
            tax_number=TAX_NUMBER,
            type="026",
            count=count,
            binding=bound(request_id),
            act=Act(actor="test", reason="", at=self.desk.clock.now()),
            dry_run=False,
        )

    async def open(self) -> dict[str, str]:
        """State by request id of what still waits."""
        return {one.request_id: one.state for one in await self.desk.ledger.open_grants()}

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let draws go on until ``holds``; fails after ``WITHIN_S``."""
        async with asyncio.timeout(WITHIN_S):
            await self.authority.until(holds)

    def asked(self, grant: GrantRecord) -> int:
        return self.authority.asked[grant.authority_request_id]


@asynccontextmanager
async def open_counter(folder: Path) -> AsyncIterator[Counter]:
    authority = GrantingAuthority()
    async with open_desk(folder) as desk:
        drawer = Drawer(ledger=desk.ledger, authorities=tax_office(authority), clock=desk.clock)
        try:
            yield Counter(desk, drawer, authority)
        finally:
            await drawer.close()


@pytest.mark.parametrize("trouble", PUT_OFF)
async def test_a_draw_that_is_put_off_waits_and_the_same_id_ends_it(
    tmp_path: Path, trouble: Trouble
) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.grant_troubles = [trouble]

        with pytest.raises(AuthorityUnavailable) as put_off:
            await counter.draw("d")
        waiting = await counter.open()
        drawn, replayed = await counter.draw("d")

        assert put_off.value.retry_s == (1.5 if trouble is throttled else None)
        assert waiting == {"d": "REQUESTED"}
        assert (drawn.state, replayed) == ("CONFIRMED", True)


@pytest.mark.parametrize("trouble", [*PUT_OFF, refused("NO_STOCK")])
async def test_a_grant_whose_answer_was_lost_is_found_whatever_the_next_answer_is(
    tmp_path: Path, trouble: Trouble
) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.grant_troubles = [lost, trouble]

        with pytest.raises(AuthorityUnavailable):
            await counter.draw("d")
        await counter.drawer.start()
        await counter.until(lambda: all(one.confirmed for one in counter.authority.grants.values()))
        drawn, _ = await counter.draw("d")

        [granted] = counter.authority.grants.values()
        assert (drawn.state, drawn.grant_id) == ("CONFIRMED", granted.grant_id)


@pytest.mark.parametrize("trouble", [away, *PUT_OFF])
async def test_a_refusal_is_not_believed_while_it_cannot_be_checked(
    tmp_path: Path, trouble: Trouble
) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.grant_troubles = [lost, refused("NO_STOCK")]
        counter.authority.get_troubles = [trouble]

        for _ in range(2):
            with pytest.raises(AuthorityUnavailable):
                await counter.draw("d")
        waiting = await counter.open()

        assert waiting == {"d": "REQUESTED"}
        assert (await counter.draw("d"))[0].state == "CONFIRMED"


async def test_a_no_of_the_authoritys_own_ends_the_draw(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.grant_troubles = [refused("NO_STOCK")]

        for _ in range(2):
            with pytest.raises(AuthorityRefused) as error:
                await counter.draw("d")
            assert error.value.facts["authority_reason"] == "NO_STOCK"

        assert not await counter.open()
        assert counter.authority.asked.total() == 1


async def test_a_grant_over_other_numbers_ends_refused(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.grant_troubles = [away]
        with pytest.raises(AuthorityUnavailable):
            await counter.draw("d")
        [wish] = await counter.desk.ledger.open_grants()
        # The desk holds 011002600111 from 1 on.
        counter.authority.moved[wish.authority_request_id] = ("011002600111", 5)

        for _ in range(2):
            with pytest.raises(AuthorityRefused) as error:
                await counter.draw("d")
            assert error.value.facts["authority_reason"] == "GRANT_OVERLAPS"

        assert not await counter.open()


async def test_a_grant_that_is_unknown_when_confirmed_ends_refused(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.confirm_troubles = [away]
        with pytest.raises(AuthorityUnavailable):
            await counter.draw("d")
        waiting = await counter.open()
        counter.authority.grants.clear()

        for _ in range(2):
            with pytest.raises(AuthorityRefused) as error:
                await counter.draw("d")
            assert error.value.facts["authority_reason"] == "GRANT_UNKNOWN"

        assert waiting == {"d": "GRANTED"}
        assert not await counter.open()
        # Its numbers are nobody's again: the next draw may be granted the very same ones.
        drawn, _ = await counter.draw("e")
        assert (drawn.state, drawn.code, drawn.first) == ("CONFIRMED", "011002600201", 1)


@pytest.mark.parametrize("trouble", [*PUT_OFF, refused("OTHERWISE")])
async def test_a_confirmation_that_is_refused_otherwise_waits(
    tmp_path: Path, trouble: Trouble
) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.confirm_troubles = [trouble]

        with pytest.raises(AuthorityUnavailable):
            await counter.draw("d")
        waiting = await counter.open()

        assert waiting == {"d": "GRANTED"}
        assert (await counter.draw("d"))[0].state == "CONFIRMED"


def _bug(_: str) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("trouble", [away, throttled, _bug])
async def test_a_draw_that_cannot_end_blocks_no_other(tmp_path: Path, trouble: Trouble) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.grant_troubles = [away, away]
        for request_id in ("stuck", "behind"):
            with pytest.raises(AuthorityUnavailable):
                await counter.draw(request_id)
        stuck, behind = await counter.desk.ledger.open_grants()
        counter.authority.standing[stuck.authority_request_id] = trouble

        await counter.drawer.start()
        await counter.until(lambda: bool(counter.authority.grants))
        await counter.until(lambda: counter.asked(stuck) >= 4)

        assert await counter.open() == {"stuck": "REQUESTED"}
        assert [*counter.authority.grants] == [behind.authority_request_id]


async def test_a_hundred_that_cannot_end_block_none_behind_them(tmp_path: Path) -> None:
    async with open_counter(tmp_path) as counter:
        counter.authority.grant_troubles = [away] * 102
        for at in range(102):
            with pytest.raises(AuthorityUnavailable):
                await counter.draw(f"d-{at}", 1)
        *stuck, behind = await counter.desk.ledger.open_grants(count_max=200)
        counter.authority.standing |= {one.authority_request_id: away for one in stuck}

        await counter.drawer.start()
        await counter.until(lambda: bool(counter.authority.grants))

        assert [*counter.authority.grants] == [behind.authority_request_id]
