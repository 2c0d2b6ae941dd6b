"""Who is to hear that a taxpayer's invoices changed in this process."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from invoice.errors import Overloaded, ShuttingDown

T = TypeVar("T")


class Listener:
    """What one watch hears: ``stirred`` is set when there may be something new, ``closed`` at the end."""

    def __init__(self) -> None:
        self.stirred = asyncio.Event()
        self.closed = asyncio.Event()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def unless_closed(self, work: asyncio.Future[T]) -> T:
        """Answer ``work``, or raise ``ShuttingDown`` once the hub is closed; the work goes on then."""
        await asyncio.wait((work, self._closed), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise _shutting_down()
        return work.result()

    def close(self) -> None:
        """Let it hear the end."""
        self.stirred.set()
        self.closed.set()
        if not self._closed.done():
            self._closed.set_result(None)


@dataclass(slots=True)
class _Audience:
    """Who listens to one taxpayer, and how often it was stirred meanwhile."""

    listeners: set[Listener] = field(default_factory=set)
    stir_count: int = 0


class ChangeHub:
    """Wakes the watches of a taxpayer: so many in all, and so many of each taxpayer."""

    def __init__(self, watch_count_max: int, *, watch_count_max_per_taxpayer: int) -> None:
        self._watch_count_max = watch_count_max
        self._watch_count_max_per_taxpayer = watch_count_max_per_taxpayer
        self._watch_count = 0
        self._audiences: dict[str, _Audience] = {}
        self._closed = False

    @contextlib.contextmanager
    def listening(self, tax_number: str) -> Iterator[Listener]:
        """Hold a place for one watch.

        Raises:
            Overloaded: There is no place left.
            ShuttingDown: The hub is closed.
        """
        self.check()
        audience = self._audiences.get(tax_number) or _Audience()
        self._check_room(len(audience.listeners))
        listener = Listener()
        self._audiences[tax_number] = audience
        self._watch_count += 1
        audience.listeners.add(listener)
        try:
            yield listener
        finally:
            self._watch_count -= 1
            audience.listeners.discard(listener)
            if not audience.listeners:
                del self._audiences[tax_number]

    def stir(self, tax_numbers: Iterable[str]) -> None:
        """Tell their watches that something of these taxpayers was committed. Cheap."""
        for tax_number in tax_numbers:
            audience = self._audiences.get(tax_number)
            if audience is None:
                continue
            audience.stir_count += 1
            for listener in audience.listeners:
                listener.stirred.set()

    def heard(self) -> bool:
        """Whether anybody listens."""
        return self._watch_count > 0

    def stir_count(self, tax_number: str) -> int:
        """What changes with each commit of a taxpayer that somebody listens to."""
        return self._audiences[tax_number].stir_count

    def close(self) -> None:
        """End every watch: from now on :meth:`check` raises, and each hears of it."""
        self._closed = True
        for audience in self._audiences.values():
            for listener in audience.listeners:
                listener.close()

    def check(self) -> None:
        """Raise ``ShuttingDown`` once the hub is closed."""
        if self._closed:
            raise _shutting_down()

    def _check_room(self, count: int) -> None:
        """Raise ``Overloaded`` unless there is room beside ``count`` watches of the same taxpayer."""
        if self._watch_count >= self._watch_count_max:
            raise Overloaded(
                "too many watches are open", retry_s=5.0, waiting_count=self._watch_count
            )
        if count >= self._watch_count_max_per_taxpayer:
            raise Overloaded(
                "too many watches of this taxpayer are open", retry_s=5.0, waiting_count=count
            )


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the gateway is shutting down; resume elsewhere", retry_s=1.0)
