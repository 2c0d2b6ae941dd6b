"""A look for what waits costs the same however much waits under a key that is away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from ledger import rows, statements, waiting
from ledger.opening import connect_reader
from ledger.records import SigningPlace
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import MACHINE_NUMBERS, NOW, OTHER_TAX_NUMBER, TENANT, WORKER

OTHER_PLACE = SigningPlace(OTHER_TAX_NUMBER, MACHINE_NUMBERS[OTHER_TAX_NUMBER], TENANT)
LOOKS: dict[str, Callable[[apsw.Connection], object]] = {
    "the places": lambda c: waiting.places(c, ("", ""), 100),
    "entries of another place": lambda c: rows.orphans(
        c, worker=WORKER, now=NOW, count_max=64, place=OTHER_PLACE
    ),
    "statements of another place": lambda c: statements.orphans(
        c, worker=WORKER, now=NOW, count_max=64, place=OTHER_PLACE
    ),
}
FEW, MANY = 20, 300


async def shop(path: Path, count: int) -> Path:
    """Make a ledger with so many entries and statements of one seller that wait, two of another."""
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    try:
        await building.open_shop(ledger, 2 * MANY)
        await building.open_shop(ledger, 10, tax_number=OTHER_TAX_NUMBER, code="011002600199")
        issued = await building.issue(ledger, *(f"i-{at}" for at in range(count)))
        for entry in issued:
            await building.decide_void(ledger, entry)
        wanted = [building.a_reservation(f"r-{at}") for at in range(count)]
        wanted += [
            building.a_reservation(f"o-{at}", tax_number=OTHER_TAX_NUMBER) for at in range(2)
        ]
        await building.reserve(ledger, *wanted)
    finally:
        await ledger.close()
    return path


def steps(path: Path, look: Callable[[apsw.Connection], object]) -> int:
    """How many steps SQLite takes for a look."""
    counted: list[int] = []

    def note(traced: dict[str, Any]) -> None:
        counted.append(traced["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

    connection = connect_reader(apsw.Connection, path)
    try:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)
        look(connection)
    finally:
        connection.close()
    return sum(counted)


async def test_a_look_costs_no_more_where_more_waits_elsewhere(tmp_path: Path) -> None:
    few, many = await shop(tmp_path / "few.db", FEW), await shop(tmp_path / "many.db", MANY)

    cost = {name: (steps(few, look), steps(many, look)) for name, look in LOOKS.items()}

    for name, (of_few, of_many) in cost.items():
        assert of_few > 0, name
        assert of_many <= of_few + 50, cost
