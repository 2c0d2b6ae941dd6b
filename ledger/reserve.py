"""Reserving: a draft gets its number. A number leaves the shelf and enters the journal together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import apsw

from invoice.content import differences, tail_of
from invoice.document import Kind
from invoice.errors import (
    InvoiceError,
    LedgerUnavailable,
    PointNotFound,
    RequestIdReused,
    TaxpayerNotFound,
)
from ledger.bulk import Bulk
from ledger.meters import clock_fault
from ledger.records import Reservation, Reserved
from ledger.reds import look_up
from ledger.rows import entry_by_id
from ledger.segments import read_segment
from ledger.taking import Counter, CounterName, OpenSegment, Taking
from ledger.values import Value
from quota.offline import MeterState, OfflineLimits

_KNOWN = Bulk(
    """
SELECT tenant, request_id, invoice_id
  FROM request_id
 WHERE (tenant, request_id) IN (VALUES {rows})
""",
    column_count=2,
)
_COUNTERS = Bulk(
    """
SELECT w.column1, w.column2, w.column3, t.tenant, t.version, p.machine_number, m.meter_id,
       max(m.last_issue_time, m.issue_time_min), (SELECT ifnull(max(invoice_id), 0) FROM invoice),
       min(ifnull(t.age_hours_max, o.age_hours_max), ifnull(o.age_hours_max, t.age_hours_max)),
       min(ifnull(t.amount_fen_max, o.amount_fen_max), ifnull(o.amount_fen_max, t.amount_fen_max)),
       min(ifnull(t.count_max, o.count_max), ifnull(o.count_max, t.count_max)),
       min(ifnull(t.lock_day, o.lock_day), ifnull(o.lock_day, t.lock_day)),
       m.unuploaded_count, m.unuploaded_amount_fen, m.oldest_issue_time, m.open_period,
       m.summarised_at, g.issue_deadline, s.segment_id, s.code, s.prefix, s.width, s.first, s.count,
       s.next, s.returning_count, s.returned_count
  FROM (VALUES {rows}) AS w
  JOIN taxpayer AS t ON t.tax_number = w.column1
  LEFT JOIN offline_control AS o ON o.tax_number = w.column1
  LEFT JOIN point AS p ON p.tax_number = w.column1 AND p.point = w.column2
  LEFT JOIN meter AS m
    ON m.tax_number = w.column1 AND m.machine_number = p.machine_number AND m.type = w.column3
  LEFT JOIN segment AS s
    ON s.segment_id = (SELECT f.segment_id
                         FROM segment AS f INDEXED BY segment_available
                        WHERE f.tax_number = w.column1 AND f.type = w.column3
                          AND f.point = w.column2
                          AND f.next < f.first + f.count - f.returning_count - f.returned_count
                        ORDER BY f.segment_id
                        LIMIT 1)
  LEFT JOIN stock_grant AS g ON g.grant_number = s.grant_number
""",
    column_count=3,
)
ITEM_FAULTS = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What one item can do to its group: the others are tried without it."""


class ItemFault(Exception):
    """One item of a group cannot be stored, and it is not known which."""


def reserve_all(
    connection: apsw.Connection,
    reservations: Sequence[Reservation],
    *,
    worker: str,
    now: float,
    behind_s_max: int,
    buyer_key: bytes,
) -> tuple[list[Reserved], float]:
    """Reserve a group in as few statements as it takes; answer in order, and the clamp.

    Raises:
        ItemFault: An item was refused by the database: undo everything, take them one by one.
    """
    try:
        return _reserve(connection, reservations, Taking(worker, now, buyer_key), behind_s_max)
    except ITEM_FAULTS as error:
        raise ItemFault from error


def reserve_each(
    connection: apsw.Connection,
    reservations: Sequence[Reservation],
    *,
    worker: str,
    now: float,
    behind_s_max: int,
    buyer_key: bytes,
) -> tuple[list[Reserved], float]:
    """Reserve a group one by one, each behind its own savepoint, so that a bad one fails alone."""
    answers = []
    clamped_s = 0.0
    for reservation in reservations:
        connection.execute("SAVEPOINT item")
        try:
            (answer,), clamp_s = _reserve(
                connection, (reservation,), Taking(worker, now, buyer_key), behind_s_max
            )
        except ITEM_FAULTS as error:
            connection.execute("ROLLBACK TO item")
            answer, clamp_s = Reserved(error=_refused(reservation, error)), 0.0
        connection.execute("RELEASE item")
        answers.append(answer)
        clamped_s = max(clamped_s, clamp_s)
    return answers, clamped_s


def _reserve(
    connection: apsw.Connection,
    reservations: Sequence[Reservation],
    group: Taking,
    behind_s_max: int,
) -> tuple[list[Reserved], float]:
    again = _fill(connection, group, reservations, range(len(reservations)), behind_s_max)
    while again:
        # The same id twice in one group: the second finds what the first has bound, if it has.
        again = _fill(connection, group, reservations, again, behind_s_max)
    return [group.answers[at] for at in range(len(reservations))], group.clamped_s


def _fill(
    connection: apsw.Connection,
    group: Taking,
    reservations: Sequence[Reservation],
    positions: Iterable[int],
    behind_s_max: int,
) -> list[int]:
    """Answer each position once per id and store what was reserved; return those left over."""
    positions = tuple(positions)
    known = _known(connection, [reservations[at] for at in positions])
    seen: set[tuple[str, str]] = set()
    again = []
    wanted: defaultdict[CounterName, list[int]] = defaultdict(list)
    for at in positions:
        item = reservations[at]
        key = item.tenant, item.request_id
        if key in known:
            group.answers[at] = _replay(connection, item, known[key])
        elif key in seen:
            again.append(at)
        else:
            seen.add(key)
            wanted[CounterName(item.tax_number, item.point, item.type)].append(at)
    if wanted:
        _take(connection, group, reservations, wanted, behind_s_max)
    return again


def _take(
    connection: apsw.Connection,
    group: Taking,
    reservations: Sequence[Reservation],
    wanted: dict[CounterName, list[int]],
    behind_s_max: int,
) -> None:
    counters = _counters(connection, group, wanted)
    reds = [
        reservations[at]
        for positions in wanted.values()
        for at in positions
        if reservations[at].kind is Kind.RED
    ]
    group.reds = look_up(connection, reds) if reds else None
    for name in sorted(wanted):
        counter = counters.get(name)
        takers = []
        for at in wanted[name]:
            answer = _judge(reservations[at], counter, group.now, behind_s_max)
            if answer is None:
                takers.append(at)
            else:
                group.answers[at] = answer
        if takers:
            assert counter is not None
            group.take(connection, counter, [(at, reservations[at]) for at in takers])
    group.judge_unknown()
    group.store(connection)


def _judge(
    item: Reservation, counter: Counter | None, now: float, behind_s_max: int
) -> Reserved | None:
    """Return why the item gets no number, or None when its meter and its stock have the last word."""
    if counter is None or counter.tenant != item.tenant:
        return _no(TaxpayerNotFound(item.tax_number))
    if counter.version != item.taxpayer_version:
        return Reserved(stale=True)
    if counter.machine_number is None:
        return _no(PointNotFound(item.tax_number, item.point))
    fault = clock_fault(counter.issue_time_min, now, behind_s_max)
    return None if fault is None else _no(fault)


def _known(
    connection: apsw.Connection, items: Sequence[Reservation]
) -> dict[tuple[str, str], int | None]:
    """Map the ids that are bound to their invoice, or to None for another kind of write."""
    ids: list[Value] = []
    # Sorted, as every ledger takes them: first of all locks.
    for tenant, request_id in sorted({(item.tenant, item.request_id) for item in items}):
        ids += (tenant, request_id)
    return {(row[0], row[1]): row[2] for row in _KNOWN.run(connection, ids)}


def _counters(
    connection: apsw.Connection, group: Taking, names: Iterable[CounterName]
) -> dict[CounterName, Counter]:
    wanted: list[Value] = []
    for name in names:
        wanted += name
    counters = {}
    for row in _COUNTERS.run(connection, wanted):
        name = CounterName(*row[:3])
        limits = OfflineLimits(
            age_hours_max=row[9], amount_fen_max=row[10], count_max=row[11], lock_day=row[12]
        )
        counters[name] = Counter(
            name=name,
            tenant=row[3],
            version=row[4],
            machine_number=row[5],
            meter_id=row[6],
            issue_time_min=row[7] or 0,
            limits=limits,
            state=None if row[6] is None else _state(*row[13:18]),
            first=None if row[19] is None else OpenSegment(read_segment(row[19:]), row[18]),
        )
        group.next_invoice_id = row[8] + 1
    return counters


def _state(
    unuploaded_count: int,
    unuploaded_amount_fen: int,
    oldest_issue_time: int,
    open_period: str,
    summarised_at: float,
) -> MeterState:
    return MeterState(
        unuploaded_count=unuploaded_count,
        unuploaded_amount_fen=unuploaded_amount_fen,
        oldest_issue_time=oldest_issue_time,
        open_period=open_period,
        summarised_at=summarised_at,
    )


def _replay(connection: apsw.Connection, item: Reservation, invoice_id: int | None) -> Reserved:
    if invoice_id is None:
        return _no(RequestIdReused(item.request_id, ("action",)))
    entry = entry_by_id(connection, invoice_id)
    if entry.fingerprint == item.fingerprint:
        return Reserved(entry=entry, replayed=True)
    fields = differences(tail_of(entry.content), item.tail)
    return _no(RequestIdReused(item.request_id, fields))


def _no(error: InvoiceError) -> Reserved:
    return Reserved(error=error)


def _refused(item: Reservation, error: Exception) -> LedgerUnavailable:
    refusal = LedgerUnavailable(
        f"the ledger refused this invoice: {type(error).__name__}: {error}",
        request_id=item.request_id,
    )
    refusal.__cause__ = error
    return refusal
