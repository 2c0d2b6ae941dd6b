"""Reserving: a draft gets its number. A number leaves the shelf and enters the journal together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import apsw

from invoice.content import complete, differences, tail_of
from invoice.errors import (
    ClockSkew,
    InvoiceError,
    LedgerUnavailable,
    PointNotFound,
    StockExhausted,
    TaxpayerNotFound,
)
from invoice.lifecycle import InvoiceState
from ledger.bindings import ISSUE, reused
from ledger.bulk import Bulk
from ledger.meters import Load, add_reserved
from ledger.records import Entry, Reservation, Reserved
from ledger.rows import entry_by_id
from ledger.segments import open_segments, store_taken
from ledger.values import Value
from stock.segment import take_across

# A clock this far behind the last invoice cannot be trusted to date another (domain.md §8).
CLOCK_BEHIND_S_MAX = 1_800

_KNOWN = Bulk(
    """
SELECT tenant, request_id, action, invoice_id
  FROM request_id
 WHERE (tenant, request_id) IN (VALUES {rows})
""",
    column_count=2,
)
_COUNTERS = Bulk(
    """
SELECT w.column1, w.column2, w.column3, t.tenant, t.version, p.machine_number, m.meter_id,
       m.last_issue_time, (SELECT ifnull(max(invoice_id), 0) FROM invoice)
  FROM (VALUES {rows}) AS w
  JOIN taxpayer AS t ON t.tax_number = w.column1
  LEFT JOIN point AS p ON p.tax_number = w.column1 AND p.point = w.column2
  LEFT JOIN meter AS m
    ON m.tax_number = w.column1 AND m.machine_number = p.machine_number AND m.type = w.column3
""",
    column_count=3,
)
_BIND = Bulk(
    "INSERT INTO request_id (tenant, request_id, action, invoice_id) VALUES {rows}", column_count=4
)
_JOURNAL = Bulk(
    """
INSERT INTO invoice (invoice_id, tax_number, code, number, tenant, request_id, fingerprint,
    machine_number, point, type, kind, issue_time, net_fen, tax_fen, state, worker, reserved_at)
VALUES {rows}
""",
    column_count=17,
)
_CONTENT = Bulk("INSERT INTO content (invoice_id, content) VALUES {rows}", column_count=2)

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


class _CounterName(NamedTuple):
    tax_number: str
    point: int
    type: str


class _Counter(NamedTuple):
    """Where a point issues one type: its taxpayer, device and meter, as the group found them."""

    name: _CounterName
    tenant: str
    version: int
    machine_number: str | None
    meter_id: int | None
    last_issue_time: int


@dataclass(slots=True)
class _Group:
    """What a group is about to store, and what its items are answered."""

    worker: str
    now: float
    next_invoice_id: int = 0
    answers: dict[int, Reserved] = field(default_factory=dict)
    bound: list[Value] = field(default_factory=list)
    journal: list[Value] = field(default_factory=list)
    contents: list[Value] = field(default_factory=list)
    loads: defaultdict[int, Load] = field(default_factory=lambda: defaultdict(lambda: Load(0, 0)))
    issue_times: dict[int, int] = field(default_factory=dict)
    nexts: list[Value] = field(default_factory=list)
    clamped_s: float = 0.0


def reserve_all(
    connection: apsw.Connection, reservations: Sequence[Reservation], *, worker: str, now: float
) -> tuple[list[Reserved], float]:
    """Reserve a group in as few statements as it takes; answer in order, and the clamp.

    Raises:
        ItemFault: An item was refused by the database: undo everything, take them one by one.
    """
    try:
        return _reserve(connection, reservations, worker=worker, now=now)
    except ITEM_FAULTS as error:
        raise ItemFault from error


def reserve_each(
    connection: apsw.Connection, reservations: Sequence[Reservation], *, worker: str, now: float
) -> tuple[list[Reserved], float]:
    """Reserve a group one by one, each behind its own savepoint, so that a bad one fails alone."""
    answers = []
    clamped_s = 0.0
    for reservation in reservations:
        connection.execute("SAVEPOINT item")
        try:
            (answer,), clamp_s = _reserve(connection, (reservation,), worker=worker, now=now)
        except ITEM_FAULTS as error:
            connection.execute("ROLLBACK TO item")
            answer, clamp_s = Reserved(error=_refused(reservation, error)), 0.0
        connection.execute("RELEASE item")
        answers.append(answer)
        clamped_s = max(clamped_s, clamp_s)
    return answers, clamped_s


def _reserve(
    connection: apsw.Connection, reservations: Sequence[Reservation], *, worker: str, now: float
) -> tuple[list[Reserved], float]:
    group = _Group(worker, now)
    again = _fill(connection, group, reservations, range(len(reservations)))
    while again:
        # The same id twice in one group: the second finds what the first has bound, if it has.
        again = _fill(connection, group, reservations, again)
    return [group.answers[at] for at in range(len(reservations))], group.clamped_s


def _fill(
    connection: apsw.Connection,
    group: _Group,
    reservations: Sequence[Reservation],
    positions: Iterable[int],
) -> list[int]:
    """Answer each position once per id and store what was reserved; return those left over."""
    positions = tuple(positions)
    known = _known(connection, [reservations[at] for at in positions])
    seen: set[tuple[str, str]] = set()
    again = []
    wanted: defaultdict[_CounterName, list[int]] = defaultdict(list)
    for at in positions:
        item = reservations[at]
        key = item.tenant, item.request_id
        if key in known:
            group.answers[at] = _replay(connection, item, *known[key])
        elif key in seen:
            again.append(at)
        else:
            seen.add(key)
            wanted[_CounterName(item.tax_number, item.point, item.type)].append(at)
    if wanted:
        _take(connection, group, reservations, wanted)
    return again


def _take(
    connection: apsw.Connection,
    group: _Group,
    reservations: Sequence[Reservation],
    wanted: dict[_CounterName, list[int]],
) -> None:
    counters = _counters(connection, group, wanted)
    for name in sorted(wanted):
        counter = counters.get(name)
        takers = []
        for at in wanted[name]:
            answer = _judge(reservations[at], counter, group.now)
            if answer is None:
                takers.append(at)
            else:
                group.answers[at] = answer
        if takers:
            assert counter is not None
            _take_numbers(connection, group, counter, [(at, reservations[at]) for at in takers])
    _store(connection, group)


def _judge(item: Reservation, counter: _Counter | None, now: float) -> Reserved | None:
    """Return why the item gets no number, or None when only stock can still stand in its way."""
    if counter is None or counter.tenant != item.tenant:
        return _no(TaxpayerNotFound("no such taxpayer is registered", tax_number=item.tax_number))
    if counter.version != item.taxpayer_version:
        return Reserved(stale=True)
    if counter.machine_number is None:
        return _no(PointNotFound(f"there is no point {item.point}", point=item.point))
    behind_s = counter.last_issue_time - now
    if behind_s > CLOCK_BEHIND_S_MAX:
        return _no(ClockSkew(f"the clock is {behind_s:.0f} s behind the last invoice"))
    return None


def _take_numbers(
    connection: apsw.Connection,
    group: _Group,
    counter: _Counter,
    takers: Sequence[tuple[int, Reservation]],
) -> None:
    """Give each taker (position, item) the next number of its counter, or say that none is left."""
    name, count = counter.name, len(takers)
    waiting = iter(takers)
    served: list[Entry] = []
    issue_time = max(int(group.now), counter.last_issue_time)
    for part in take_across(open_segments(connection, name, count), count):
        code = part.segment.code
        group.nexts += (part.segment.segment_id, part.segment.next)
        for number, (at, item) in zip(part.numbers, waiting, strict=False):
            entry = _write(group, item, counter, code=code, number=number, issue_time=issue_time)
            group.answers[at] = Reserved(entry=entry)
            served.append(entry)
    for at, _ in waiting:
        group.answers[at] = _no(
            StockExhausted(
                f"point {name.point} has no number of type {name.type} left",
                point=name.point,
                type=name.type,
            )
        )
    if served:
        _load(group, counter, served, issue_time)


def _load(group: _Group, counter: _Counter, served: Sequence[Entry], issue_time: int) -> None:
    # Without a meter there is no granted type, and without that no segment to come from.
    assert counter.meter_id is not None
    load = group.loads[counter.meter_id]
    group.loads[counter.meter_id] = Load(
        load.invoice_count + len(served),
        load.amount_fen + sum(abs(entry.net_fen) for entry in served),
    )
    group.issue_times[counter.meter_id] = issue_time
    group.clamped_s = max(group.clamped_s, counter.last_issue_time - group.now)


def _write(
    group: _Group,
    item: Reservation,
    counter: _Counter,
    *,
    code: str,
    number: str,
    issue_time: int,
) -> Entry:
    machine_number = counter.machine_number
    assert machine_number is not None
    content = complete(
        item.tail, device=machine_number, code=code, number=number, issue_time=issue_time
    )
    invoice_id = group.next_invoice_id
    group.next_invoice_id = invoice_id + 1
    group.bound += (item.tenant, item.request_id, ISSUE, invoice_id)
    group.journal += (
        invoice_id,
        item.tax_number,
        code,
        number,
        item.tenant,
        item.request_id,
        item.fingerprint,
        machine_number,
        item.point,
        item.type,
        item.kind,
        issue_time,
        item.net_fen,
        item.tax_fen,
        "RESERVED",
        group.worker,
        group.now,
    )
    group.contents += (invoice_id, content)
    return Entry(
        tenant=item.tenant,
        request_id=item.request_id,
        fingerprint=item.fingerprint,
        tax_number=item.tax_number,
        machine_number=machine_number,
        point=item.point,
        type=item.type,
        kind=item.kind,
        code=code,
        number=number,
        issue_time=issue_time,
        net_fen=item.net_fen,
        tax_fen=item.tax_fen,
        content=content,
        state=InvoiceState.RESERVED,
        worker=group.worker,
        reserved_at=group.now,
    )


def _store(connection: apsw.Connection, group: _Group) -> None:
    if not group.bound:
        return
    _BIND.run(connection, group.bound)
    _JOURNAL.run(connection, group.journal)
    _CONTENT.run(connection, group.contents)
    store_taken(connection, group.nexts)
    add_reserved(connection, group.loads, group.issue_times)
    for stored in (group.bound, group.journal, group.contents, group.nexts):
        stored.clear()
    group.loads.clear()


def _known(
    connection: apsw.Connection, items: Sequence[Reservation]
) -> dict[tuple[str, str], tuple[str, int | None]]:
    ids: list[Value] = []
    # Sorted, as every ledger takes them: first of all locks.
    for tenant, request_id in sorted({(item.tenant, item.request_id) for item in items}):
        ids += (tenant, request_id)
    return {(row[0], row[1]): (row[2], row[3]) for row in _KNOWN.run(connection, ids)}


def _counters(
    connection: apsw.Connection, group: _Group, names: Iterable[_CounterName]
) -> dict[_CounterName, _Counter]:
    wanted: list[Value] = []
    for name in names:
        wanted += name
    counters = {}
    for row in _COUNTERS.run(connection, wanted):
        name = _CounterName(*row[:3])
        counters[name] = _Counter(
            name=name,
            tenant=row[3],
            version=row[4],
            machine_number=row[5],
            meter_id=row[6],
            last_issue_time=row[7] or 0,
        )
        group.next_invoice_id = row[8] + 1
    return counters


def _replay(
    connection: apsw.Connection, item: Reservation, action: str, invoice_id: int | None
) -> Reserved:
    if invoice_id is None:
        return _no(reused(item.request_id, action, ("action",)))
    entry = entry_by_id(connection, invoice_id)
    if entry.fingerprint == item.fingerprint:
        return Reserved(entry=entry, replayed=True)
    fields = differences(tail_of(entry.content), item.tail)
    return _no(reused(item.request_id, action, fields))


def _no(error: InvoiceError) -> Reserved:
    return Reserved(error=error)


def _refused(item: Reservation, error: Exception) -> LedgerUnavailable:
    refusal = LedgerUnavailable(
        f"the ledger refused this invoice: {type(error).__name__}: {error}",
        request_id=item.request_id,
    )
    refusal.__cause__ = error
    return refusal
