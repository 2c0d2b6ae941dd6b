"""Who is to hear that a taxpayer's invoices changed in this process."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

from invoice.errors import Overloaded, ShuttingDown


class ChangeHub:
    """Wakes the watches of a taxpayer. ``watch_count_max``: so many in all."""

    def __init__(self, watch_count_max: int) -> None:
        self._watch_count_max = watch_count_max
        self._watch_count = 0
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._closed = False

    @contextlib.contextmanager
    def listening(self, tax_number: str) -> Iterator[asyncio.Event]:
        """Hold a place for one watch; the event is set when there may be something new.

        Raises:
            Overloaded: There is no place left.
        """
        if self._watch_count >= self._watch_count_max:
            raise Overloaded(
                "too many watches are open", retry_s=5.0, waiting_count=self._watch_count
            )
        stirred = asyncio.Event()
        self._watch_count += 1
        self._listeners[tax_number].add(stirred)
        try:
            yield stirred
        finally:
            self._watch_count -= 1
            self._listeners[tax_number].discard(stirred)
            if not self._listeners[tax_number]:
                del self._listeners[tax_number]

    def stir(self, tax_numbers: Iterable[str]) -> None:
        """Tell their watches that something of these taxpayers was committed. Cheap."""
        for tax_number in tax_numbers:
            for stirred in self._listeners.get(tax_number, ()):
                stirred.set()

    def close(self) -> None:
        """End every watch: from now on :meth:`check` raises, and each hears of it."""
        self._closed = True
        self.stir(list(self._listeners))

    def check(self) -> None:
        """Raise ``ShuttingDown`` once the hub is closed."""
        if self._closed:
            raise ShuttingDown("the gateway is shutting down; resume elsewhere", retry_s=1.0)
