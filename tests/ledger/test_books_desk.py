"""A check of the books finds where thresholds, counts of what was taken, and fills are not what they were."""

from pathlib import Path

import apsw
import pytest

from gateway.actor import GATEWAY
from ledger.records import Act
from ledger.sqlite import SqliteLedger
from ledger.survey_records import CounterPlace, Replenishment, ThresholdRecord
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT, TYPE, WORKER

TAXPAYER = f"taxpayers/{TAX_NUMBER}"
POINT = f"{TAXPAYER}/points/0/types/{TYPE}"
BY_ITSELF = Act(actor=GATEWAY, reason="stock below its threshold", at=NOW)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Books with thresholds set, changed and taken away, numbers counted, and every way a fill can end."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.register(ledger, point_count=3)
    await building.draw(ledger, 200)
    for point in range(3):
        await building.assign(ledger, 10, point)
    for at, low in ((None, 5), (0, 6), (0, 20), (1, 7), (1, 0), (2, 20)):
        await ledger.set_stock_threshold(
            ThresholdRecord(
                tax_number=TAX_NUMBER,
                point=at,
                type=TYPE,
                low_count=low,
                target_count=40,
                auto_draw=True,
            ),
            binding=building.binding("set_stock_threshold", point=at, low=low),
            act=ACT,
        )
    await building.issue(ledger, "r-1", "r-2", "r-3")
    await ledger.record_samples([], now=NOW)
    await building.issue(ledger, "r-4")
    await ledger.finish_replenishment(await _opened(ledger, 0, "1"), BY_ITSELF)
    await ledger.refuse_replenishment(await _opened(ledger, 2, "2"), "NO_STOCK", now=NOW)
    await ledger.close()
    return path


async def _opened(ledger: SqliteLedger, point: int, name: str) -> Replenishment:
    opened = await ledger.open_replenishment(
        CounterPlace(TAX_NUMBER, point, TYPE),
        tenant=TENANT,
        draw_request_id=f"fill-draw-{name}",
        assign_request_id=f"fill-{name}",
        now=NOW,
    )
    assert opened is not None
    return opened


def _findings(path: Path) -> set[str]:
    words = SqliteLedger(path, verify=building.verify).check_books()
    return {f"{one.check} {one.subject}" for word in words for one in word.findings}


def test_sound_books_balance(path: Path) -> None:
    assert _findings(path) == set()


@pytest.mark.parametrize(
    ("found", "statement"),
    [
        (f"I9_AUDITED {POINT}", "UPDATE stock_threshold SET low_count = 19 WHERE point = 0"),
        (f"I9_AUDITED {POINT}", "UPDATE stock_threshold SET target_count = 41 WHERE point = 0"),
        (f"I9_AUDITED {POINT}", "UPDATE stock_threshold SET auto_draw = 0 WHERE point = 0"),
        (f"I9_AUDITED {POINT}", "DELETE FROM stock_threshold WHERE point = 0"),
        (f"I9_AUDITED {TAXPAYER}/types/{TYPE}", "DELETE FROM stock_threshold WHERE point = -1"),
        (
            f"I9_AUDITED {TAXPAYER}/points/1/types/{TYPE}",
            ("INSERT INTO stock_threshold SELECT tax_number, 1, type, 7, 40, 1"
            " FROM stock_threshold WHERE point = 0"),
        ),
        ("I2_COUNTED segments/", "UPDATE segment SET sampled_next = next + 1 WHERE next > first"),
        (f"I2_COUNTED {POINT}", "UPDATE segment SET sampled_next = NULL WHERE next > first"),
        (f"I2_COUNTED {POINT}", "UPDATE stock_counter SET taken_count = 4"),
        (f"I2_COUNTED {POINT}", "DELETE FROM stock_counter"),
        (f"I2_COUNTED {POINT}", "UPDATE burn SET taken_count = 4"),
        ("I3_EXACTLY_ONCE replenishments/1", "UPDATE replenishment SET assigned_count = 1 WHERE state = 'DONE'"),
        ("I3_EXACTLY_ONCE replenishments/1", "UPDATE replenishment SET wanted_count = 1 WHERE state = 'DONE'"),
        ("I3_EXACTLY_ONCE replenishments/1", "UPDATE replenishment SET assign_request_id = 'x' WHERE state = 'DONE'"),
        ("I3_EXACTLY_ONCE replenishments/1", "UPDATE replenishment SET draw_count = 1 WHERE state = 'DONE'"),
        ("I3_EXACTLY_ONCE replenishments/2", "UPDATE replenishment SET assigned_count = 1 WHERE state = 'REFUSED'"),
        ("I3_EXACTLY_ONCE replenishments/2", "UPDATE replenishment SET assign_request_id = 'fill-1' WHERE state = 'REFUSED'"),
        (
            "I3_EXACTLY_ONCE replenishments/1",
            ("UPDATE replenishment SET draw_request_id = (SELECT request_id FROM stock_grant)"
            " WHERE state = 'DONE'"),
        ),
        ("I3_EXACTLY_ONCE fill-1", "DELETE FROM replenishment WHERE state = 'DONE'"),
    ],
)  # fmt: skip
def test_what_was_changed_behind_its_back_is_found(path: Path, found: str, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    assert connection.changes(), statement
    connection.close()

    assert any(one.startswith(found) for one in _findings(path)), _findings(path)
