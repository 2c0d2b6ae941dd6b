"""A ledger's lane without a thread, so that SQLite itself runs on virtual time."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ledger.sqlite import SqliteLedger
from tests.ledger import building

T = TypeVar("T")


class InlineLane:
    """Does each piece of work at once, where it is asked for."""

    def __init__(self) -> None:
        self.waiting_count = 0

    def start(self) -> None:
        pass

    async def run(self, work: Callable[[], T]) -> T:
        return work()

    async def stop(self, last: Callable[[], None]) -> None:
        last()


def inline_ledger(path: Path) -> SqliteLedger:
    """The real ledger on ``path``, all of its work done inline."""
    ledger = SqliteLedger(path, verify=building.verify)
    for lane in ("_writing", "_reading", "_browsing"):
        setattr(ledger, lane, InlineLane())
    return ledger
