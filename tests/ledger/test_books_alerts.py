"""A check of the books finds where alerts, what was told of them, and what was decided do not agree."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from ledger.alert_records import AlertChangeRecord, AlertNews, AlertPlace, AlertThresholdsRecord
from ledger.port import Ledger
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import ACT, NOW, OTHER_TAX_NUMBER, TAX_NUMBER, TENANT, TYPE, WORKER

STOCK = AlertPlace("STOCK_LOW", TAX_NUMBER, point=0, type=TYPE)
CLOCK = AlertPlace("CLOCK_SKEW")
TAXPAYER = f"taxpayers/{TAX_NUMBER}"


def _targets(change: AlertChangeRecord) -> Sequence[str]:
    return ("pager", "chat") if change.alert.place == STOCK else ("pager",)


def _news(what: str, place: AlertPlace, at: float, raised_at: float = NOW) -> AlertNews:
    return AlertNews(
        what=what,
        place=place,
        raised_at=raised_at,
        at=at,
        severity="WARNING",
        message=f"{what} at {at}",
        message_zh="库存不足",
        facts={"at": str(at)},
        limit_at=at + 3600.0,
    )


async def _end_first(ledger: Ledger, target: str, *, delivered: bool, error: str = "") -> None:
    first = await ledger.next_delivery(target)
    assert first is not None
    await ledger.end_delivery(first.delivery_id, delivered=delivered, error=error, now=NOW + 50)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Books of three alerts: 1 ended, 2 acknowledged, 3 at the place of 1; some of it delivered.

    Changes 1 to 7: 1 raised, 2 raised, 1 updated, 2 acknowledged, 1 resolved, 3 raised, 3 updated.
    """
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.register(ledger)
    await ledger.store_alerts(
        TENANT,
        [
            _news("RAISED", STOCK, NOW),
            _news("RAISED", CLOCK, NOW),
            _news("UPDATED", STOCK, NOW + 1),
        ],
        targets=_targets,
    )
    [_, second] = await ledger.standing_alerts(TENANT)
    await ledger.acknowledge_alert(
        second.alert_id,
        binding=building.binding("acknowledge_alert"),
        act=replace(ACT, at=NOW + 2),
        targets=_targets,
    )
    await ledger.store_alerts(
        TENANT,
        [
            _news("RESOLVED", STOCK, NOW + 3),
            _news("RAISED", STOCK, NOW + 4, NOW + 4),
            _news("UPDATED", STOCK, NOW + 5, NOW + 4),
        ],
        targets=_targets,
    )
    await _end_first(ledger, "pager", delivered=True)
    await _end_first(ledger, "pager", delivered=False, error="410 Gone")
    waiting = await ledger.next_delivery("pager")
    assert waiting is not None
    await ledger.postpone_delivery(waiting.delivery_id, next_at=NOW + 60, error="500")
    for count in (500, 700):
        await ledger.set_alert_thresholds(
            TAX_NUMBER,
            AlertThresholdsRecord(unuploaded_count=count, period_days=5),
            binding=building.binding("set_alert_thresholds", count=count),
            act=ACT,
        )
    await ledger.close()
    return path


def _findings(path: Path) -> set[str]:
    words = SqliteLedger(path, verify=building.verify).check_books()
    return {f"{one.check} {one.subject}: {one.message}" for word in words for one in word.findings}


def _plant(path: Path, *statements: str) -> None:
    """Change the file as no ledger would."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_deleted")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_sound_books_balance(path: Path) -> None:
    assert _findings(path) == set()


def _snapshot(change_number: int, field: str, value: str) -> str:
    changed = f"json_set(snapshot, '$.{field}', {value})"
    return f"UPDATE alert_change SET snapshot = {changed} WHERE change_number = {change_number}"


def _loosely(table: str) -> str:
    """Copy a table without its constraints, so that what they forbid can be planted."""
    return (
        f"ALTER TABLE {table} RENAME TO kept; CREATE TABLE {table} AS SELECT * FROM kept;"
        "DROP TABLE kept"
    )


def _copied(table: str, key: str, where: str, **changed: str) -> str:
    """Insert a row again, with some columns changed."""
    names = ", ".join(changed)
    values = ", ".join(changed.values())
    return (
        f"CREATE TEMP TABLE copy AS SELECT * FROM {table} WHERE {where};"
        f"UPDATE copy SET ({key}{', ' if names else ''}{names}) ="
        f" ((SELECT max({key}) + 1 FROM {table}){', ' if values else ''}{values});"
        f"INSERT INTO {table} SELECT * FROM copy"
    )


def _swapped(table: str, key: str, first: int, second: int) -> str:
    """Give two rows each other's key."""
    moves = (first, 99), (second, first), (99, second)
    return ";".join(
        f"UPDATE {table} SET {key} = {after} WHERE {key} = {before}" for before, after in moves
    )


LIVES = [
    # Numbers.
    ("I6_ALERTS alerts: there are 6", "DELETE FROM alert_change WHERE change_number = 1"),
    ("I6_ALERTS alerts: there are 6", "DELETE FROM alert_change WHERE change_number = 4"),
    ("I6_ALERTS alerts: there are 6", "DELETE FROM alert_change WHERE change_number = 7"),
    ("I6_ALERTS alerts: there are 7", "UPDATE alert_change SET change_number = 9 WHERE change_number = 7"),
    ("I6_ALERTS alerts: there are 7", "UPDATE alert_change SET change_number = 0 WHERE change_number = 1"),
    ("I6_ALERTS alerts: change 4 is of no alert", "UPDATE alert_change SET alert_id = 9 WHERE change_number = 4"),
    ("I6_ALERTS alerts: change 2 is of no alert", "DELETE FROM alert WHERE alert_id = 2"),
    # One at a place.
    ("I6_ALERTS alerts/4: it was raised while another stood",
     "DROP INDEX alert_open;" + _copied("alert", "alert_id", "alert_id = 3", raised_at="raised_at + 1")),
    ("I6_ALERTS alerts/3: it was raised while another stood",
     _swapped("alert_change", "change_number", 5, 6)),
    # Its life.
    ("I6_ALERTS alerts/1: it was not raised first", "UPDATE alert_change SET what = 'UPDATED' WHERE change_number = 1"),
    ("I6_ALERTS alerts/1: it was not raised first", "UPDATE alert_change SET what = 'RAISED' WHERE change_number = 3"),
    ("I6_ALERTS alerts/3: it was not raised first", "DELETE FROM alert_change WHERE alert_id = 3"),
    ("I6_ALERTS alerts/2: it was acknowledged more than once",
     _copied("alert_change", "change_number", "change_number = 4", at="at + 1")),
    ("I6_ALERTS alerts/1: something became of it after", "UPDATE alert_change SET what = 'RESOLVED' WHERE change_number = 3"),
    ("I6_ALERTS alerts/1: something became of it after",
     _copied("alert_change", "change_number", "change_number = 3", at="at + 9")),
    ("I6_ALERTS alerts/1: its change 3 is told to others", "UPDATE alert_change SET tenant = 'x' WHERE change_number = 3"),
    ("I6_ALERTS alerts/1: its change 3 is told to others", "UPDATE alert_change SET tax_number = '' WHERE change_number = 3"),
    # What each change shows.
    ("I6_ALERTS alerts/1: its change 3 shows it otherwise", "UPDATE alert_change SET at = at + 1 WHERE change_number = 3"),
    ("I6_ALERTS alerts/1: its change 3 shows it otherwise", "UPDATE alert_change SET snapshot = '[' WHERE change_number = 3"),
    ("I6_ALERTS alerts/1: its change 3 shows it otherwise", "UPDATE alert_change SET snapshot = '[]' WHERE change_number = 3"),
    ("I6_ALERTS alerts/1: its change 1 shows it otherwise", _snapshot(1, "state", "'ACKNOWLEDGED'")),
    ("I6_ALERTS alerts/1: its change 3 shows it otherwise", _snapshot(3, "state", "'RESOLVED'")),
    ("I6_ALERTS alerts/1: its change 3 changed place", _snapshot(3, "place[0]", "'CLOCK_SKEW'")),
    ("I6_ALERTS alerts/1: its change 3 changed raised_at", _snapshot(3, "raised_at", "1.5")),
    ("I6_ALERTS alerts/1: its change 3 changed acknowledged_by", _snapshot(3, "acknowledged_by", "'x'")),
    ("I6_ALERTS alerts/1: its change 5 changed message", _snapshot(5, "message", "'x'")),
    ("I6_ALERTS alerts/2: its change 4 changed", _snapshot(4, "severity", "'CRITICAL'")),
    ("I6_ALERTS alerts/3: its change 7 changed more", _snapshot(7, "more", "1")),
    # What stands.
    *(
        ("I6_ALERTS alerts/3: it does not stand", f"UPDATE alert SET {changed} WHERE alert_id = 3")
        for changed in (
            "tenant = 'x'", "kind = 'PERIOD_DUE'", "tax_number = ''", "machine_number = '1'", "point = 1",
            "point = -1", "type = '028'", "severity = 'CRITICAL'", "message = 'x'", "message_zh = 'x'",
            "facts = '{}'", "facts = '{'", "limit_at = NULL", "limit_at = limit_at + 1", "drained_at = 1",
            "raised_at = raised_at + 1", "updated_at = updated_at + 1", "state = 'RESOLVED', resolved_at = 1",
        )
    ),
    ("I6_ALERTS alerts/2: it does not stand", "UPDATE alert SET state = 'RAISED' WHERE alert_id = 2"),
    ("I6_ALERTS alerts/1: it does not stand", "UPDATE alert SET resolved_at = 1 WHERE alert_id = 1"),
    ("I6_ALERTS alerts/1: it does not stand", "DROP INDEX alert_open; UPDATE alert SET state = 'RAISED', resolved_at = NULL WHERE alert_id = 1"),
]  # fmt: skip

ACKNOWLEDGED = "UPDATE alert SET {0} WHERE alert_id = 2; UPDATE alert_change SET snapshot = json_set(snapshot, {1}) WHERE change_number = 4"
ACKNOWLEDGEMENTS = [
    ("I9_AUDITED alerts/2", ACKNOWLEDGED.format("acknowledged_by = 'x'", "'$.acknowledged_by', 'x'")),
    ("I9_AUDITED alerts/2", ACKNOWLEDGED.format("acknowledge_reason = 'x'", "'$.acknowledge_reason', 'x'")),
    ("I9_AUDITED alerts/2", ACKNOWLEDGED.format("acknowledged_at = 1.5", "'$.acknowledged_at', 1.5")),
    ("I9_AUDITED alerts/2",
     "UPDATE alert SET (state, acknowledged_at, acknowledged_by, acknowledge_reason) = ('RAISED', NULL, '', '') WHERE alert_id = 2"),
    ("I9_AUDITED alerts/3: it is acknowledged by another",
     "UPDATE alert SET acknowledged_at = 1.5, acknowledged_by = 'x' WHERE alert_id = 3"),
    ("I9_AUDITED alerts/3: it is acknowledged by another",
     "UPDATE alert SET acknowledge_reason = 'x' WHERE alert_id = 3"),
    ("I9_AUDITED alerts/2", "UPDATE audit SET actor = 'x' WHERE action = 'acknowledge_alert'"),
    ("I9_AUDITED alerts/2", "UPDATE audit SET reason = 'x' WHERE action = 'acknowledge_alert'"),
    ("I9_AUDITED alerts/2", "UPDATE audit SET target = 'alerts/1' WHERE action = 'acknowledge_alert'"),
    ("I9_AUDITED alerts/2", "UPDATE audit SET tenant = 'x' WHERE action = 'acknowledge_alert'"),
    ("I9_AUDITED alerts/2", "DELETE FROM audit WHERE action = 'acknowledge_alert'"),
    ("I9_AUDITED alerts/2", "DELETE FROM request_id WHERE action = 'acknowledge_alert'"),
    ("I9_AUDITED alerts/1: it was acknowledged, it does not show",
     "UPDATE request_id SET effect = '{\"alert_id\":1}' WHERE action = 'acknowledge_alert'"),
    ("I9_AUDITED alerts/2",
     _copied("audit", "audit_id", "action = 'acknowledge_alert'")),
]  # fmt: skip

# Deliveries: 1 (chat: 2) of change 1; 3 of 2; 4, 5 of 3; 6 of 4; 7, 8 of 5; ... `pager` had 1, gave 3 up
# and failed 4.
DELIVERIES = [
    ("I6_ALERTS deliveries/6: it brings change 99", "UPDATE webhook_delivery SET change_number = 99 WHERE delivery_id = 6"),
    ("I6_ALERTS deliveries/6: it was not made", "UPDATE webhook_delivery SET created_at = 1 WHERE delivery_id = 6"),
    ("I6_ALERTS deliveries/13: pager was to have change 4 before",
     _loosely("webhook_delivery") + ";" + _copied("webhook_delivery", "delivery_id", "delivery_id = 6")),
    ("I6_ALERTS deliveries/7: pager was to have change 4 before",
     _swapped("webhook_delivery", "delivery_id", 6, 7)),
    ("I6_ALERTS deliveries/1: it is DELIVERED and ended at None", "UPDATE webhook_delivery SET ended_at = NULL WHERE delivery_id = 1"),
    ("I6_ALERTS deliveries/6: it is PENDING and ended", "UPDATE webhook_delivery SET ended_at = 1 WHERE delivery_id = 6"),
    ("I6_ALERTS deliveries/1: it was had and never tried", "UPDATE webhook_delivery SET attempt_count = 0 WHERE delivery_id = 1"),
    ("I6_ALERTS deliveries/3: it was given up for nothing", "UPDATE webhook_delivery SET last_error = '' WHERE delivery_id = 3"),
    ("I6_ALERTS deliveries/4: it failed and was never tried", "UPDATE webhook_delivery SET attempt_count = 0 WHERE delivery_id = 4"),
    ("I6_ALERTS deliveries/6: pager had it before what still waits",
     "UPDATE webhook_delivery SET (state, ended_at, attempt_count) = ('DELIVERED', 1, 1) WHERE delivery_id = 6"),
]  # fmt: skip

THRESHOLDS = [
    *(
        (f"I9_AUDITED {TAXPAYER}", f"UPDATE alert_threshold SET {changed}")
        for changed in (
            "unuploaded_count = 500", "unuploaded_count = NULL", "unuploaded_amount_fen = 1",
            "unuploaded_age_s = 1", "certificate_days = 1", "period_days = 6",
        )
    ),
    (f"I9_AUDITED {TAXPAYER}", "DELETE FROM alert_threshold"),
    (f"I9_AUDITED taxpayers/{OTHER_TAX_NUMBER}", f"INSERT INTO alert_threshold (tax_number) VALUES ('{OTHER_TAX_NUMBER}')"),
    (f"I9_AUDITED {TAXPAYER}", "DELETE FROM audit WHERE action = 'set_alert_thresholds'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "statement"), [*LIVES, *ACKNOWLEDGEMENTS, *DELIVERIES, *THRESHOLDS]
)
def test_what_was_changed_is_found(path: Path, found: str, statement: str) -> None:
    _plant(path, statement)

    assert any(finding.startswith(found) for finding in _findings(path)), _findings(path)


async def test_a_delivery_that_is_given_up_stays_so(path: Path) -> None:
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await ledger.end_delivery(3, delivered=True, error="", now=NOW + 99)
    await ledger.close()

    connection = apsw.Connection(str(path))
    row = connection.execute(
        "SELECT state, last_error, ended_at FROM webhook_delivery WHERE delivery_id = 3"
    ).get
    connection.close()
    assert row == ("GIVEN_UP", "410 Gone", NOW + 50)
