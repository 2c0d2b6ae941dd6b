"""A check of the books finds where what the desk goes by is not what was decided, taken and filled up."""

from pathlib import Path

import apsw
import pytest

from gateway.actor import GATEWAY
from ledger.port import Ledger
from ledger.records import Act
from ledger.sqlite import SqliteLedger
from ledger.survey_records import CounterPlace, Replenishment, ThresholdRecord
from stock.forecast import HOUR_S
from tests.ledger import building
from tests.ledger.building import ACT, NOW, SPECIAL_TYPE, TAX_NUMBER, TENANT, TYPE, WORKER

TAXPAYER = f"taxpayers/{TAX_NUMBER}"
POINT = f"{TAXPAYER}/points/0/types/{TYPE}"
BARE = f"{TAXPAYER}/points/1/types/{TYPE}"
BY_ITSELF = Act(actor=GATEWAY, reason="stock below its threshold", at=NOW)


async def _set_threshold(ledger: Ledger, point: int | None, low: int) -> None:
    wanted = ThresholdRecord(
        tax_number=TAX_NUMBER,
        point=point,
        type=TYPE,
        low_count=low,
        target_count=100,
        auto_draw=True,
    )
    bound = building.binding("set_stock_threshold", point=point, low=low)
    await ledger.set_stock_threshold(wanted, binding=bound, act=ACT)


async def _open_fill(ledger: Ledger, point: int) -> Replenishment:
    opened = await ledger.open_replenishment(
        CounterPlace(TAX_NUMBER, point, TYPE),
        tenant=TENANT,
        draw_request_id=f"draw-for-{point}",
        assign_request_id=f"assign-for-{point}",
        now=NOW,
    )
    assert opened is not None
    return opened


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Books in which numbers were taken and counted, thresholds set, and points filled up.

    Point 0 was filled with 2 numbers of its own draw, point 1 is still being filled with 100 that are not
    drawn yet; of point 0 five numbers were taken, one of them since the last count.
    """
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.open_shop(ledger, 102)
    await building.issue(ledger, "r-1", "r-2")
    await ledger.record_samples([], now=NOW)
    await building.issue(ledger, "r-3", "r-4")
    await ledger.record_samples([], now=NOW + HOUR_S)
    for point, low in ((None, 50), (0, 98), (1, 20), (1, 0)):
        await _set_threshold(ledger, point, low)
    filled = await _open_fill(ledger, 0)
    assert (filled.wanted_count, filled.draw_count) == (2, 2)
    await building.issue(ledger, "r-5")
    wish, bound = building.a_wish(2, request_id=filled.draw_request_id)
    await ledger.request_grant(wish, bound, BY_ITSELF)
    await ledger.store_grant(building.granted(wish, 5_001))
    await ledger.confirm_grant(TENANT, wish.request_id, NOW)
    done = await ledger.finish_replenishment(filled, BY_ITSELF)
    assert (done.state, done.assigned_count) == ("DONE", 2)
    await _open_fill(ledger, 1)
    await ledger.close()
    return path


def _findings(path: Path) -> set[str]:
    words = SqliteLedger(path, verify=building.verify).check_books()
    return {f"{one.check} {one.subject}: {one.message}" for word in words for one in word.findings}


def _plant(path: Path, *statements: str) -> None:
    """Change the file as no ledger would."""
    connection = apsw.Connection(str(path))
    connection.execute("DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_deleted")
    for statement in statements:
        connection.execute(statement)
        assert connection.changes(), statement
    connection.close()


def test_sound_books_balance(path: Path) -> None:
    assert _findings(path) == set()


THRESHOLDS = [
    *(
        (f"I9_AUDITED {POINT}", f"UPDATE stock_threshold SET {changed} WHERE point = 0")
        for changed in ("low_count = 97", "target_count = 101", "auto_draw = 0")
    ),
    (f"I9_AUDITED {TAXPAYER}/types/{TYPE}", "DELETE FROM stock_threshold WHERE point = -1"),
    (f"I9_AUDITED {BARE}", "UPDATE stock_threshold SET point = 1 WHERE point = 0"),
    (
        f"I9_AUDITED {TAXPAYER}/points/0/types/{SPECIAL_TYPE}",
        "UPDATE stock_threshold SET type = '028' WHERE point = 0",
    ),
    (
        f"I9_AUDITED {BARE}",
        f"INSERT INTO stock_threshold VALUES ('{TAX_NUMBER}', 1, '{TYPE}', 98, 100, 1)",
    ),
    (f"I9_AUDITED {POINT}", "DELETE FROM audit WHERE action = 'set_stock_threshold'"),
]
COUNTERS = [
    ("I2_COUNTED segments/2: more was counted", "UPDATE segment SET sampled_next = next + 1 WHERE segment_id = 2"),
    ("I2_COUNTED segments/2: more was counted", "UPDATE segment SET sampled_next = first - 1 WHERE segment_id = 2"),
    (f"I2_COUNTED {POINT}: 3 numbers were taken", "UPDATE segment SET sampled_next = 4 WHERE segment_id = 2"),
    (f"I2_COUNTED {POINT}: 5 numbers were taken", "UPDATE segment SET sampled_next = next WHERE segment_id = 2"),
    (f"I2_COUNTED {POINT}: 4 numbers were taken, 5", "UPDATE stock_counter SET taken_count = 5"),
    (f"I2_COUNTED {POINT}: 4 numbers were taken, 0", "DELETE FROM stock_counter"),
    (f"I2_COUNTED {BARE}: 0 numbers were taken, 4", "UPDATE stock_counter SET point = 1"),
    (f"I2_COUNTED {POINT}: 5 numbers are said to be taken by the hour",
     "UPDATE burn SET taken_count = 3 WHERE hour = (SELECT min(hour) FROM burn)"),
    (f"I2_COUNTED {BARE}: 4 numbers are said to be taken by the hour", "UPDATE burn SET point = 1"),
]  # fmt: skip
FILLS = [
    ("I3_EXACTLY_ONCE replenishments/1: 2 numbers were assigned, 1", "UPDATE replenishment SET assigned_count = 1 WHERE state = 'DONE'"),
    ("I3_EXACTLY_ONCE replenishments/1: 2 numbers were assigned, 2 of 1", "UPDATE replenishment SET wanted_count = 1 WHERE state = 'DONE'"),
    ("I3_EXACTLY_ONCE replenishments/1: 0 numbers were assigned, 2", "UPDATE replenishment SET assign_request_id = 'x' WHERE state = 'DONE'"),
    ("I3_EXACTLY_ONCE replenishments/2: 2 numbers were assigned, 0", "UPDATE replenishment SET assign_request_id = 'assign-for-0' WHERE state = 'OPEN'"),
    ("I3_EXACTLY_ONCE replenishments/1: its draw of 1 is another", "UPDATE replenishment SET draw_count = 1 WHERE state = 'DONE'"),
    ("I3_EXACTLY_ONCE replenishments/1: its draw of 2 is another", "UPDATE stock_grant SET type = '028' WHERE request_id = 'draw-for-0'"),
    ("I3_EXACTLY_ONCE replenishments/1: its draw of 2 is another", "UPDATE stock_grant SET tax_number = 'x' WHERE request_id = 'draw-for-0'"),
    ("I3_EXACTLY_ONCE replenishments/1: its draw of 2 was never asked for", "UPDATE replenishment SET draw_request_id = 'x' WHERE state = 'DONE'"),
    ("I3_EXACTLY_ONCE assign-for-0", "DELETE FROM replenishment WHERE state = 'DONE'"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "statement"), [*THRESHOLDS, *COUNTERS, *FILLS])
def test_what_was_changed_is_found(path: Path, found: str, statement: str) -> None:
    _plant(path, statement)

    assert any(finding.startswith(found) for finding in _findings(path)), _findings(path)
