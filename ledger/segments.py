"""Segments as rows: what a point can take from, what lies in the pool, what an operator sees."""

from collections.abc import Iterator
from dataclasses import replace

import apsw

from invoice.identifiers import number_text
from ledger.bulk import Bulk
from ledger.records import SegmentRecord, StockLevelRecord
from ledger.values import Row, Value, fetch, fetch_one
from stock.assignment import Cut
from stock.segment import Segment

_AVAILABLE = "next < first + count - returning_count - returned_count"
_SEGMENT = """
SELECT segment_id, code, prefix, width, first, count, next, returning_count, returned_count
  FROM segment
"""
_DEADLINE = """(SELECT g.issue_deadline
                FROM stock_grant AS g
               WHERE g.grant_number = segment.grant_number)"""
_OPEN = f"""{_SEGMENT}
 WHERE tax_number = ? AND point = ? AND type = ? AND {_AVAILABLE}
   AND ifnull(nullif({_DEADLINE}, ''), '9999-12-31') >= ?
 ORDER BY segment_id
 LIMIT ?
"""
# A day compares as text; the empty one is no limit.
_EXPIRED = f"""{_SEGMENT}
 WHERE tax_number = ? AND point = ? AND type = ? AND {_AVAILABLE}
   AND {_DEADLINE} <> '' AND {_DEADLINE} < ?
 ORDER BY segment_id
 LIMIT ?
"""
_EXPIRED_LEVEL = f"""
SELECT max({_DEADLINE}), sum(first + count - returning_count - returned_count - next)
  FROM segment
 WHERE tax_number = ? AND point = ? AND type = ? AND {_AVAILABLE}
   AND {_DEADLINE} <> '' AND {_DEADLINE} < ?
"""  # noqa: S608 - put together from constants
# Only a confirmed grant has parts, so its number orders them by age.
_POOL = f"""{_SEGMENT}
 WHERE tax_number = ? AND point IS NULL AND type = ? AND {_AVAILABLE}
   AND ifnull(nullif({_DEADLINE}, ''), '9999-12-31') >= ?
 ORDER BY grant_number, first
"""
_NEWEST_FIRST = f"""{_SEGMENT}
 WHERE tax_number = ? AND point = ? AND type = ? AND {_AVAILABLE}
 ORDER BY segment_id DESC
"""
_OWN = _SEGMENT + "WHERE segment_id = ? AND tax_number = ?"
_PART = """
SELECT grant_number, tax_number, type, code, prefix, width FROM segment WHERE segment_id = ?
"""
_SHORTEN = "UPDATE segment SET first = ?, next = ?, count = ? WHERE segment_id = ?"
_EMPTY = "DELETE FROM segment WHERE segment_id = ?"
_GIVE = """
INSERT INTO segment (grant_number, tax_number, type, code, prefix, width, point, first, count, next)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_TAKEN = Bulk(
    "UPDATE segment SET next = w.column2 FROM (VALUES {rows}) AS w WHERE segment_id = w.column1",
    column_count=2,
)
_RECORD = """
SELECT s.segment_id, g.grant_id, s.tax_number, s.type, s.point, s.code, s.prefix, s.width,
       s.first, s.count, s.next, s.returning_count, s.returned_count, g.issue_deadline
  FROM segment AS s
  JOIN stock_grant AS g ON g.grant_number = s.grant_number
"""
_ONE = _RECORD + "WHERE s.segment_id = ?"
_LISTED = (
    _RECORD
    + """
  JOIN taxpayer AS t ON t.tax_number = s.tax_number
 WHERE t.tenant = ? AND s.tax_number = ? AND s.segment_id > ?
 ORDER BY s.segment_id
 LIMIT ?
"""
)
_LEVELS = """
SELECT s.point, s.type, s.code, s.prefix, s.width, s.next,
       s.first + s.count - s.returning_count - s.returned_count - s.next, g.issue_deadline
  FROM segment AS s
  JOIN stock_grant AS g ON g.grant_number = s.grant_number
  JOIN taxpayer AS t ON t.tax_number = s.tax_number
 WHERE t.tenant = ? AND s.tax_number = ?
 ORDER BY s.point NULLS FIRST, s.type,
          CASE WHEN s.point IS NULL THEN s.grant_number END, s.segment_id
"""
_HELD = f"""
SELECT ifnull(sum(first + count - returning_count - returned_count - next), 0)
  FROM segment
 WHERE tax_number = ? AND type = ? AND {_AVAILABLE}
"""  # noqa: S608 - put together from constants
_USABLE = """
SELECT ifnull(sum(s.first + s.count - s.returning_count - s.returned_count - s.next), 0)
  FROM segment AS s INDEXED BY segment_available
  JOIN stock_grant AS g ON g.grant_number = s.grant_number
 WHERE s.tax_number = ? AND s.type = ? AND s.point IS ?
   AND s.next < s.first + s.count - s.returning_count - s.returned_count
   AND (g.issue_deadline = '' OR g.issue_deadline >= ?)
"""
_ON_THE_WAY_BACK = """
SELECT ifnull(sum(count), 0)
  FROM stock_return
 WHERE tax_number = ? AND type = ? AND state = 'REQUESTED'
"""


def open_segments(
    connection: apsw.Connection, counter: tuple[str, int, str], day: str, count: int
) -> Iterator[Segment]:
    """Return what a counter (tax number, point, type) takes its next ``count`` numbers from on a day.

    Oldest assigned first; what is past its day is passed over.
    """
    # Each has at least one number left, so more than `count` of them are never needed.
    return map(read_segment, fetch(connection, _OPEN, (*counter, day, count)))


def expired_segments(
    connection: apsw.Connection, counter: tuple[str, int, str], day: str, count: int
) -> Iterator[Segment]:
    """Return what a counter has and may not issue any more on a day, oldest assigned first."""
    return map(read_segment, fetch(connection, _EXPIRED, (*counter, day, count)))


def expired_level(
    connection: apsw.Connection, counter: tuple[str, int, str], day: str
) -> tuple[str, int]:
    """Return the latest day that is over of what a counter has, and how many numbers are past theirs."""
    latest, count = fetch(connection, _EXPIRED_LEVEL, (*counter, day))[0]
    return latest or "", count or 0


def pool(connection: apsw.Connection, tax_number: str, type_code: str, day: str) -> list[Segment]:
    """Return the pool's parts of a type that may be issued on ``day``, oldest grant first."""
    return list(map(read_segment, fetch(connection, _POOL, (tax_number, type_code, day))))


def at_point(
    connection: apsw.Connection, tax_number: str, point: int, type_code: str
) -> list[Segment]:
    """Return what a point has left of a type, newest assigned first."""
    return list(map(read_segment, fetch(connection, _NEWEST_FIRST, (tax_number, point, type_code))))


def segment_of(connection: apsw.Connection, tax_number: str, segment_id: int) -> Segment | None:
    """Return a taxpayer's segment; None when it has no such one."""
    rows = fetch(connection, _OWN, (segment_id, tax_number))
    return read_segment(rows[0]) if rows else None


def move(connection: apsw.Connection, cut: Cut, point: int | None) -> int:
    """Store one cut and return the new segment's id: ids ascend in the order of moves."""
    moved, rest = cut.moved, cut.rest
    part = fetch(connection, _PART, (moved.segment_id,))[0]
    # Room is made first: no number lies in two segments, even inside a transaction.
    if rest is None:
        connection.execute(_EMPTY, (moved.segment_id,))
    else:
        connection.execute(_SHORTEN, (rest.first, rest.next, rest.count, rest.segment_id))
    connection.execute(_GIVE, (*part, point, moved.first, moved.count, moved.first))
    return connection.last_insert_rowid()


def store_taken(connection: apsw.Connection, nexts: list[Value]) -> None:
    """Store how far segments are taken: segment id and next running part, laid end to end."""
    _TAKEN.run(connection, nexts)


def usable_count(
    connection: apsw.Connection, tax_number: str, point: int | None, type_code: str, day: str
) -> int:
    """Return how many numbers a point (None: the pool) has that may be issued on ``day``."""
    return int(fetch_one(connection, _USABLE, (tax_number, type_code, point, day)))


def held_count(connection: apsw.Connection, tax_number: str, type_code: str) -> int:
    """Return how many numbers of a type are available, in the pool and at points, or RETURNING."""
    name = tax_number, type_code
    available_count = int(fetch_one(connection, _HELD, name))
    return available_count + int(fetch_one(connection, _ON_THE_WAY_BACK, name))


def segment_record(connection: apsw.Connection, segment_id: int) -> SegmentRecord:
    """Return a segment that is known to exist."""
    return _record(fetch(connection, _ONE, (segment_id,))[0])


def find_segment_record(connection: apsw.Connection, segment_id: int) -> SegmentRecord | None:
    """Return a segment; None when its numbers have moved on to others."""
    rows = fetch(connection, _ONE, (segment_id,))
    return _record(rows[0]) if rows else None


def listed(
    connection: apsw.Connection, tenant: str, tax_number: str, after: int, count_max: int
) -> list[SegmentRecord]:
    """Return a tenant's segments by id, from the first one after ``after``."""
    rows = fetch(connection, _LISTED, (tenant, tax_number, after, count_max))
    return list(map(_record, rows))


def levels(
    connection: apsw.Connection,
    tenant: str,
    tax_number: str,
    *,
    point: int | None,
    type_code: str,
    day: str,
) -> list[StockLevelRecord]:
    """Return what is left on ``day`` by point (pool first) and type, and what is issued next."""
    found: dict[tuple[int | None, str], StockLevelRecord] = {}
    for row in fetch(connection, _LEVELS, (tenant, tax_number)):
        key = row[0], row[1]
        if (point is None or row[0] == point) and (not type_code or row[1] == type_code):
            found[key] = _level(row, found.get(key), day)
    return list(found.values())


def _level(row: Row, so_far: StockLevelRecord | None, day: str) -> StockLevelRecord:
    point, type_code, code, prefix, width, following, available_count, issue_deadline = row
    if so_far is None:
        so_far = StockLevelRecord(point=point, type=type_code, available_count=0)
    if not available_count:
        return so_far
    if issue_deadline and issue_deadline < day:
        return replace(so_far, expired_count=so_far.expired_count + available_count)
    if so_far.available_count:
        next_code, next_number = so_far.next_code, so_far.next_number
    else:
        next_code, next_number = code, number_text(prefix, width, following)
    deadlines = filter(None, (so_far.issue_deadline, issue_deadline))
    return StockLevelRecord(
        point=point,
        type=type_code,
        available_count=so_far.available_count + available_count,
        next_code=next_code,
        next_number=next_number,
        issue_deadline=min(deadlines, default=""),
        expired_count=so_far.expired_count,
    )


def read_segment(row: Row) -> Segment:
    """Return the segment that a row of ``_SEGMENT``'s columns tells of."""
    return Segment(
        segment_id=row[0],
        code=row[1],
        prefix=row[2],
        width=row[3],
        first=row[4],
        count=row[5],
        next=row[6],
        returning_count=row[7],
        returned_count=row[8],
    )


def _record(row: Row) -> SegmentRecord:
    return SegmentRecord(
        segment_id=row[0],
        grant_id=row[1],
        tax_number=row[2],
        type=row[3],
        point=row[4],
        code=row[5],
        prefix=row[6],
        width=row[7],
        first=row[8],
        count=row[9],
        next=row[10],
        returning_count=row[11],
        returned_count=row[12],
        issue_deadline=row[13],
    )
