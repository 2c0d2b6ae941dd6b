"""What the desk remembers of the past: numbers taken by hour, and backlogs by the minute; for 8 days."""

from collections.abc import Sequence
from typing import Final

import apsw

from ledger.bulk import Bulk
from ledger.survey import FRESH
from ledger.survey_records import BacklogSample, BurnSample
from ledger.taxpayers import check_owned
from ledger.values import Value, fetch
from stock.forecast import HOUR_S, KEPT_HOUR_COUNT

_COUNTED = """
UPDATE segment INDEXED BY segment_unsampled
   SET sampled_next = next
 WHERE next > ifnull(sampled_next, first)
"""
_BURN = """
INSERT INTO burn (tax_number, point, type, hour, taken_count) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET taken_count = taken_count + excluded.taken_count
"""
_COUNTER = """
INSERT INTO stock_counter (tax_number, point, type, taken_count, first_hour)
VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET taken_count = taken_count + excluded.taken_count
"""
_BACKLOG = Bulk(
    """
INSERT OR IGNORE INTO backlog_sample (tax_number, at, unuploaded_count, unuploaded_amount_fen,
    oldest_age_s, used_ppm)
VALUES {rows}
""",
    column_count=6,
)
_FORGET_BURN = "DELETE FROM burn WHERE hour < ?"
_FORGET_BACKLOG = "DELETE FROM backlog_sample WHERE at < ?"
_BACKLOG_OF = """
SELECT tax_number, at, unuploaded_count, unuploaded_amount_fen, oldest_age_s, used_ppm
  FROM backlog_sample
 WHERE tax_number = ? AND at >= ?
 ORDER BY at
"""
_BURN_OF = """
SELECT point, type, hour, taken_count
  FROM burn
 WHERE tax_number = ? AND hour >= ?
 ORDER BY hour DESC, point DESC, type DESC
 LIMIT ?
"""
KEPT_S: Final = KEPT_HOUR_COUNT * HOUR_S


def record_samples(
    connection: apsw.Connection, samples: Sequence[BacklogSample], now: float
) -> None:
    """Count what was taken since the last time towards this hour, store backlogs, forget what is old."""
    hour = int(now // HOUR_S)
    for *place, count in fetch(connection, FRESH):
        connection.execute(_BURN, (*place, hour, count))
        connection.execute(_COUNTER, (*place, count, hour))
    connection.execute(_COUNTED)
    values: list[Value] = []
    for sample in samples:
        values += sample
    _BACKLOG.run(connection, values)
    connection.execute(_FORGET_BURN, (hour - KEPT_HOUR_COUNT,))
    connection.execute(_FORGET_BACKLOG, (int(now) - KEPT_S,))


def backlog_history(
    connection: apsw.Connection, tenant: str, tax_number: str, start: int
) -> list[BacklogSample]:
    """Return a tenant's samples of a taxpayer from ``start`` on, oldest first."""
    check_owned(connection, tenant, tax_number)
    return [BacklogSample(*row) for row in fetch(connection, _BACKLOG_OF, (tax_number, start))]


def burn_history(
    connection: apsw.Connection, tenant: str, tax_number: str, start: int, count_max: int
) -> list[BurnSample]:
    """Return what a tenant's taxpayer's points took by hour, the newest ``count_max``, oldest first."""
    check_owned(connection, tenant, tax_number)
    values = (tax_number, start // HOUR_S, count_max)
    return [BurnSample(*row) for row in fetch(connection, _BURN_OF, values)][::-1]
