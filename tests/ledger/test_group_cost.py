"""What a group costs: blue invoices pay nothing for there being reds; reds pay once for all of them."""

from pathlib import Path
from typing import Any

import apsw

from ledger.records import Reservation
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, WORKER, a_red, a_reservation


class _Counting(apsw.Connection):
    statements: list[str]

    def execute(self, statements: str, *args: Any, **kwargs: Any) -> apsw.Cursor:
        self.statements.append(" ".join(statements.split())[:60])
        return super().execute(statements, *args, **kwargs)


class _Counter:
    """Connects, and keeps what was executed."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def connect(self, filename: str, *, flags: int, statementcachesize: int) -> apsw.Connection:
        connection = _Counting(filename, flags=flags, statementcachesize=statementcachesize)
        connection.statements = self.statements
        return connection


async def _cost(ledger: SqliteLedger, counter: _Counter, *items: Reservation) -> list[str]:
    """Reserve a group, settle it beside the next one, and say what the second commit executed."""
    first, second = items[: len(items) // 2], items[len(items) // 2 :]
    entries = await building.reserve(ledger, *first)
    settlements = [building.signed(entry) for entry in entries]
    counter.statements.clear()
    result = await building.commit(ledger, settlements, second)
    assert all(answer.entry is not None for answer in result.reserved)
    return list(counter.statements)


async def test_a_group_of_blues_runs_the_statements_it_always_ran(tmp_path: Path) -> None:
    counter = _Counter()
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify, connect=counter.connect)
    await ledger.start(WORKER, NOW)
    await building.open_family_shop(ledger, 500)
    blues = [a_reservation(f"blue-{at}", type="028") for at in range(128)]

    of_blues = await _cost(ledger, counter, *blues)

    assert len(of_blues) == 16  # one of them keeps the totals of the month
    assert not [one for one in of_blues if "red " in one or "reversal" in one]
    types = ("004", "007", "026", "028")
    mixed = [a_reservation(f"mixed-{at}", type=types[at % len(types)]) for at in range(128)]
    assert len(await _cost(ledger, counter, *mixed)) == len(of_blues)
    entries = [await ledger.find_request(building.TENANT, f"blue-{at}") for at in range(64)]
    originals = [entry for entry in entries if entry is not None]
    costs = []
    for count in (1, 16):
        reds = [
            a_red(f"red-{count}-{at}", blue, 100, 9, notice=f"{count:08}{at:08}")
            for at, blue in enumerate(originals[: 2 * count])
        ]
        costs.append(len(await _cost(ledger, counter, *reds)))
    assert costs == [len(of_blues) + 8] * 2
    await ledger.close()
