"""What no caller reads yet is kept all the same: the audit record and the changes of each meter."""

import json
from pathlib import Path

import apsw
import pytest

from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT, WORKER


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.open_shop(ledger, 10)
    await building.issue(ledger, "r-1", "r-2")
    await building.upload(ledger, "s-1", rejected=["00000002"])
    await ledger.register(
        building.a_taxpayer(building.OTHER_TAX_NUMBER),
        building.binding("register"),
        building.ACT,
        dry_run=True,
    )
    await ledger.close()
    return path


def _rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute(statement).fetchall()
    connection.close()
    return list(rows)


def test_every_admin_write_is_on_record_once(path: Path) -> None:
    rows = _rows(path, "SELECT tenant, actor, action, target, reason, detail, at FROM audit")

    assert [row[2] for row in rows] == ["register", "draw", "assign"]
    assert {(row[0], row[1], row[4], row[6]) for row in rows} == {(TENANT, "operator", "test", NOW)}
    assert [row[3] for row in rows] == [
        f"taxpayers/{TAX_NUMBER}",
        f"taxpayers/{TAX_NUMBER}",
        f"taxpayers/{TAX_NUMBER}/points/0",
    ]
    assert json.loads(str(rows[1][5]))["count"] == 10


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_record_is_never_changed(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))

    with pytest.raises(apsw.ConstraintError):
        connection.execute(statement)

    connection.close()


def test_changes_are_numbered_without_a_gap(path: Path) -> None:
    rows = _rows(path, "SELECT change_number, invoice_id, what FROM change WHERE meter_id = 1")

    assert [row[0] for row in rows] == [1, 2, 3, 4]
    assert {row[1:] for row in rows} == {
        (1, "ISSUED"), (2, "ISSUED"), (1, "ACCEPTED"), (2, "REJECTED"),
    }  # fmt: skip


def test_the_database_itself_refuses_a_number_twice(path: Path) -> None:
    connection = apsw.Connection(str(path))

    with pytest.raises(apsw.ConstraintError):
        connection.execute("UPDATE invoice SET number = '00000001' WHERE invoice_id = 2")
    with pytest.raises(apsw.ConstraintError):
        connection.execute("UPDATE segment SET next = first + count + 1")
    with pytest.raises(apsw.ConstraintError):
        connection.execute("UPDATE meter SET unuploaded_count = -1")

    connection.close()
