"""A check of the books finds where operators' decisions and what is stored do not agree."""

from pathlib import Path

import apsw
import pytest

from ledger.records import RateWindow
from ledger.sqlite import SqliteLedger
from quota.offline import OfflineLimits
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT, TYPE, WORKER

Rows = list[tuple[object, ...]]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Books in which numbers were assigned, recalled and returned, and uploads steered."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.open_shop(ledger, 100)
    await building.draw(ledger, 50, 501)
    await building.issue(ledger, "r-1", "r-2", "r-3")
    await building.upload(ledger, "s-1", rejected=["00000002", "00000003"])
    await ledger.recall(
        tax_number=TAX_NUMBER,
        point=0,
        type=TYPE,
        count=20,
        binding=building.binding("recall"),
        act=ACT,
    )
    for segment_id, answer in ((2, "RT1"), (2, ""), (1, None)):
        bound = building.binding("return", segment=segment_id, answer=answer)
        known = await ledger.segments(TENANT, TAX_NUMBER)
        wanted = next((one for one in known if one.segment_id == segment_id), known[-1])
        await ledger.request_return(
            tax_number=TAX_NUMBER,
            segment_id=wanted.segment_id,
            count=5,
            authority_request_id=f"authority-{bound.request_id}",
            binding=bound,
            act=ACT,
        )
        if answer:
            await ledger.store_return(TENANT, bound.request_id, answer, now=NOW)
        elif answer is not None:
            await ledger.refuse_return(TENANT, bound.request_id, "NUMBER_USED", now=NOW)
    await ledger.retry_uploads(
        tax_number=TAX_NUMBER, invoices=[], binding=building.binding("retry"), act=ACT
    )
    await ledger.pause_uploads(
        tax_number=TAX_NUMBER, until=NOW + 60, binding=building.binding("pause"), act=ACT
    )
    await ledger.set_upload_windows(
        tax_number=TAX_NUMBER,
        windows=[RateWindow(period_s=1.0, call_count_max=2)],
        binding=building.binding("set-rate"),
        act=ACT,
    )
    await ledger.set_offline_limits(
        tax_number=TAX_NUMBER,
        limits=OfflineLimits(count_max=50, age_hours_max=0),
        binding=building.binding("set-limits"),
        act=ACT,
    )
    await ledger.close()
    return path


def _findings(path: Path) -> set[str]:
    words = SqliteLedger(path, verify=building.verify).check_books()
    return {f"{one.check} {one.subject}" for word in words for one in word.findings}


def _plant(path: Path, *statements: str) -> None:
    """Change the file as no ledger would."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
        assert connection.changes(), statement
    connection.close()


def test_sound_books_balance(path: Path) -> None:
    assert _findings(path) == set()


TAXPAYER = f"taxpayers/{TAX_NUMBER}"
RETURNING = "(SELECT segment_id FROM stock_return WHERE state = 'REQUESTED')"
RETURNED = "(SELECT segment_id FROM stock_return WHERE state = 'RETURNED')"


@pytest.mark.parametrize(
    ("found", "statement"),
    [
        ("I2_GAPLESS segments/2", "UPDATE segment SET point = 1 WHERE segment_id = 2"),
        ("I2_GAPLESS segments/3", "UPDATE segment SET point = 1 WHERE grant_number = 2"),
        ("I2_GAPLESS segments/", f"UPDATE segment SET point = NULL WHERE segment_id = {RETURNED}"),
        ("I2_GAPLESS segments/", f"UPDATE segment SET returning_count = 0 WHERE segment_id = {RETURNING}"),
        ("I2_GAPLESS segments/", f"UPDATE segment SET returned_count = 0 WHERE segment_id = {RETURNED}"),
        ("I2_GAPLESS segments/", f"UPDATE segment SET returned_count = 5, returning_count = 0 WHERE segment_id = {RETURNING}"),
        ("I2_GAPLESS segments/2", "UPDATE segment SET returned_count = 5 WHERE segment_id = 2"),
        ("I2_GAPLESS segments/", "UPDATE stock_return SET state = 'RETURNED' WHERE state = 'REQUESTED'"),
        ("I2_GAPLESS segments/", "UPDATE stock_return SET state = 'REFUSED' WHERE state = 'RETURNED'"),
        ("I2_GAPLESS segments/", "UPDATE stock_return SET state = 'RETURNED' WHERE state = 'REFUSED'"),
        ("I2_GAPLESS segments/", "UPDATE stock_return SET count = count + 1 WHERE state = 'REQUESTED'"),
        ("I2_GAPLESS segments/", "UPDATE stock_return SET first = first - 1 WHERE state = 'RETURNED'"),
        ("I2_GAPLESS segments/", "UPDATE stock_return SET type = '028' WHERE state = 'RETURNED'"),
        ("I3_EXACTLY_ONCE", "UPDATE stock_return SET segment_id = 2 WHERE state = 'RETURNED'"),
        ("I3_EXACTLY_ONCE", "UPDATE stock_return SET request_id = 'x' WHERE state = 'REFUSED'"),
        ("I3_EXACTLY_ONCE", "UPDATE stock_return SET authority_request_id = 'x' WHERE state = 'REFUSED'"),
        ("I3_EXACTLY_ONCE", "DELETE FROM stock_return WHERE state = 'REFUSED'"),
        ("I9_AUDITED return", f"UPDATE segment SET returned_count = 0 WHERE segment_id = {RETURNED}; UPDATE stock_return SET state = 'REFUSED' WHERE state = 'RETURNED'"),
        ("I9_AUDITED return", f"UPDATE segment SET returned_count = 5, returning_count = 0 WHERE segment_id = {RETURNING}; UPDATE stock_return SET state = 'RETURNED' WHERE state = 'REQUESTED'"),
        ("I9_AUDITED return", f"UPDATE segment SET returned_count = 0, returning_count = 5 WHERE segment_id = {RETURNED}; UPDATE stock_return SET state = 'REQUESTED', answered_at = NULL WHERE state = 'RETURNED'"),
        ("I9_AUDITED return", "UPDATE stock_return SET return_serial = 'x' WHERE state = 'RETURNED'"),
        ("I9_AUDITED return", "UPDATE stock_return SET refusal = 'x' WHERE state = 'REFUSED'"),
        ("I9_AUDITED return", "UPDATE stock_return SET answered_at = NULL WHERE state = 'REFUSED'"),
        ("I9_AUDITED authority-return", "DELETE FROM stock_return WHERE state = 'REFUSED'"),
        ("I3_EXACTLY_ONCE return", "UPDATE stock_return SET count = count - 1 WHERE state = 'REFUSED'"),
        ("I3_EXACTLY_ONCE return", "UPDATE stock_return SET first = first - 1 WHERE state = 'REFUSED'"),
        ("I3_EXACTLY_ONCE return", "UPDATE stock_return SET type = '028' WHERE state = 'REFUSED'"),
        ("I3_EXACTLY_ONCE", "UPDATE request_id SET request = x'5b5d' WHERE action = 'pause'"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE upload_control SET paused = 0"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE upload_control SET paused_until = NULL"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE upload_control SET pause_reason = 'x'"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE upload_control SET windows = '[[1.0,3]]'"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE upload_control SET windows = NULL"),
        ("I9_AUDITED " + TAXPAYER, "DELETE FROM upload_control"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE offline_control SET count_max = 51"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE offline_control SET count_max = NULL"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE offline_control SET age_hours_max = NULL"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE offline_control SET amount_fen_max = 1"),
        ("I9_AUDITED " + TAXPAYER, "UPDATE offline_control SET lock_day = 15"),
        ("I9_AUDITED " + TAXPAYER, "DELETE FROM offline_control"),
        ("I6_CHANGES " + TAXPAYER, "UPDATE change SET what = 'REJECTED' WHERE what = 'RETRIED'"),
        ("I6_CHANGES " + TAXPAYER, "UPDATE change SET what = 'RETRIED' WHERE change_number = 1"),
    ],
)  # fmt: skip
def test_what_was_changed_is_found(path: Path, found: str, statement: str) -> None:
    _plant(path, statement)

    assert any(finding.startswith(found) for finding in _findings(path)), _findings(path)
