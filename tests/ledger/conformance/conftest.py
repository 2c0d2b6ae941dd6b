"""The ledgers the suite runs on. A twin joins by one more name in LEDGERS."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ledger.port import Ledger
from ledger.sqlite import SqliteLedger
from tests.ledger import building

Open = Callable[[], Ledger]


def _sqlite(folder: Path) -> Open:
    return lambda: SqliteLedger(folder / "ledger" / "ledger.db", verify=building.verify)


LEDGERS: dict[str, Callable[[Path], Open]] = {"sqlite": _sqlite}


class Books:
    """One ledger's storage: opened, closed and opened again, as a gateway that restarts does."""

    def __init__(self, open_ledger: Open) -> None:
        self._open = open_ledger
        self._ledger: Ledger | None = None

    async def open(self, *, worker: str = building.WORKER, now: float = building.NOW) -> Ledger:
        """Start a ledger on the storage; the last one is closed first."""
        await self.close()
        self._ledger = self._open()
        await self._ledger.start(worker, now)
        return self._ledger

    async def close(self) -> None:
        """Close the ledger, if one is open."""
        if self._ledger is not None:
            await self._ledger.close()
            self._ledger = None


@pytest.fixture(params=sorted(LEDGERS))
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Books]:
    """A storage of each kind, empty and closed."""
    books = Books(LEDGERS[request.param](tmp_path))
    yield books
    await books.close()


@pytest.fixture
async def ledger(storage: Books) -> AsyncIterator[Ledger]:
    """A started ledger. Whatever a test does to it through the interface, its books balance."""
    ledger = await storage.open()
    yield ledger
    found = [finding for word in ledger.check_books() for finding in word.findings]
    assert found == []
