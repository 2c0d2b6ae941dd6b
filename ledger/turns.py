"""Who reads next: taxpayers take turns, so that nobody waits for all that another has asked for.

Lists go before watches, since somebody waits for them; but not for ever.
"""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from invoice.errors import Overloaded

# A page of 500 takes some 50 ms. Beyond these a caller is better off asking later.
_LISTS_WAITING_MAX: Final = 128
_LISTS_WAITING_MAX_PER_TAXPAYER: Final = 16
# Of so many turns one is for a watch, when one waits.
_WATCH_EVERY: Final = 5

Turn = asyncio.Future[None]


class Turns:
    """Lets one reader in at a time. Used on one event loop.

    Lists that wait are bounded here. Watches are not: a watch waits for one piece at a time, and
    open watches are bounded by whoever serves them.
    """

    def __init__(self) -> None:
        self._lists = _Rota(
            count_max=_LISTS_WAITING_MAX, count_max_per_owner=_LISTS_WAITING_MAX_PER_TAXPAYER
        )
        self._watches = _Rota()
        self._count = itertools.count(1)
        self._taken = False

    def for_list(self, tax_number: str) -> AbstractAsyncContextManager[None]:
        """Wait for a turn and hold it; raise ``Overloaded`` at once when too many wait."""
        return self._held(self._lists, tax_number)

    def for_watch(self, tax_number: str) -> AbstractAsyncContextManager[None]:
        """Wait for a turn and hold it."""
        return self._held(self._watches, tax_number)

    @asynccontextmanager
    async def _held(self, rota: "_Rota", owner: str) -> AsyncIterator[None]:
        await self._wait(rota, owner)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, rota: "_Rota", owner: str) -> None:
        if not self._taken:  # then nobody waits either
            self._taken = True
            return
        turn = rota.add(owner)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                rota.remove(owner, turn)
            else:  # it had come just then
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        self._taken = False
        rotas = (self._lists, self._watches)
        for rota in rotas if next(self._count) % _WATCH_EVERY else reversed(rotas):
            turn = rota.take()
            if turn is not None:
                self._taken = True
                turn.set_result(None)
                return


class _Rota:
    """Those who wait, each owner's in their order, the owners by turns."""

    def __init__(
        self, *, count_max: int | None = None, count_max_per_owner: int | None = None
    ) -> None:
        self._count_max = count_max
        self._count_max_per_owner = count_max_per_owner
        self._count = 0
        self._owners: OrderedDict[str, OrderedDict[Turn, None]] = OrderedDict()

    def add(self, owner: str) -> Turn:
        """Queue up; raise ``Overloaded`` when there is no room."""
        waiting = self._owners.get(owner, ())
        _check(self._count, self._count_max)
        _check(len(waiting), self._count_max_per_owner)
        turn: Turn = asyncio.get_running_loop().create_future()
        self._owners.setdefault(owner, OrderedDict())[turn] = None
        self._count += 1
        return turn

    def remove(self, owner: str, turn: Turn) -> None:
        """Forget one that waits no longer, if it is still here."""
        waiting = self._owners.get(owner)
        if waiting is not None and turn in waiting:
            del waiting[turn]
            self._count -= 1
            if not waiting:
                del self._owners[owner]

    def take(self) -> Turn | None:
        """Take out the next one; its owner goes to the end. None when nobody waits."""
        while self._owners:
            owner, waiting = self._owners.popitem(last=False)
            turn, _ = waiting.popitem(last=False)
            self._count -= 1
            if waiting:
                self._owners[owner] = waiting
            if not turn.done():
                return turn
        return None


def _check(count: int, count_max: int | None) -> None:
    if count_max is not None and count >= count_max:
        raise Overloaded("too many lists are waiting", retry_s=1.0, waiting_count=count)
