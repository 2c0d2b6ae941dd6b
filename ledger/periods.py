"""Closing a month (抄报): decided, signed, taken by the authority (清卡). Each step is stored before the next.

From the first step on nothing is reserved or voided in that month any more, so that its figures are final.
"""

from typing import NamedTuple

import apsw

from invoice.errors import DeviceNotFound, PeriodNotClosable
from invoice.period_content import facts, summary
from ledger.bindings import bind, first_effect, record_answer
from ledger.period_records import DeviceName, MonthRecord, PeriodRecord
from ledger.records import Act, Binding
from ledger.statistics import statistics_of
from ledger.taxpayers import taxpayer_of
from ledger.values import Row, fetch
from quota.period import end_of, next_period, period_of

_COLUMNS = """
SELECT p.tenant, p.request_id, p.authority_request_id, p.tax_number, p.machine_number,
       (SELECT min(type) FROM taxpayer_type AS t WHERE t.tax_number = p.tax_number), p.period,
       p.state, p.content, p.closing_at, p.signature, p.key_id, ifnull(k.certificate, x''),
       p.summarised_at, p.summary_serial
  FROM period AS p
  LEFT JOIN device_key AS k
    ON k.tax_number = p.tax_number AND k.machine_number = p.machine_number AND k.key_id = p.key_id
"""
_BY_REQUEST = _COLUMNS + "WHERE p.tenant = ? AND p.request_id = ?"
_OF_MONTH = _COLUMNS + "WHERE p.tax_number = ? AND p.machine_number = ? AND p.period = ?"
_OPEN = (
    _COLUMNS  # noqa: S608 - put together from constants
    + """
 WHERE p.state = 'CLOSING'
   AND p.period_number > ifnull((SELECT period_number
                                   FROM period
                                  WHERE tenant = ? AND request_id = ?), 0)
 ORDER BY p.period_number
 LIMIT ?
"""
)
_OPEN_PERIOD = """
SELECT min(open_period) FROM meter WHERE tax_number = ? AND machine_number = ?
"""
# One that is CLOSING is asked for by whoever resumes it.
_DUE = """
SELECT DISTINCT m.tax_number, m.machine_number, m.open_period
  FROM meter AS m
  JOIN taxpayer AS t ON t.tax_number = m.tax_number
 WHERE m.open_period < ? AND (m.tax_number, m.machine_number) > (?, ?) AND t.tenant = ?
   AND NOT EXISTS (SELECT 1
                     FROM period AS p
                    WHERE p.tax_number = m.tax_number AND p.machine_number = m.machine_number
                      AND p.period = m.open_period)
 ORDER BY m.tax_number, m.machine_number
 LIMIT ?
"""
_UNSIGNED = """
SELECT (SELECT count(*)
          FROM invoice INDEXED BY invoice_reserved
         WHERE state = 'RESERVED' AND tax_number = ?1 AND machine_number = ?2 AND issue_time < ?3)
       + (SELECT count(*)
            FROM statement INDEXED BY statement_reserved
           WHERE state = 'RESERVED' AND tax_number = ?1 AND machine_number = ?2
             AND statement_time < ?3)
"""
_UNACCEPTED = """
SELECT ifnull(sum(o.state NOT IN ('REJECTED', 'SIGNATURE_REJECTED')), 0),
       ifnull(sum(o.state IN ('REJECTED', 'SIGNATURE_REJECTED')), 0)
  FROM outbox AS o
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
 WHERE o.tax_number = ? AND i.machine_number = ? AND o.issue_time < ?
"""
_CLOSE = """
INSERT INTO period (tax_number, machine_number, period, state, tenant, request_id,
    authority_request_id, content, worker, closing_at)
VALUES (?, ?, ?, 'CLOSING', ?, ?, ?, ?, ?, ?)
"""
_SHUT = """
UPDATE meter
   SET issue_time_min = max(issue_time_min, ?)
 WHERE tax_number = ? AND machine_number = ?
"""
_SIGN = """
UPDATE period
   SET signature = ?, key_id = ?
 WHERE tenant = ? AND request_id = ? AND signature IS NULL
"""
_SUMMARISE = """
UPDATE period
   SET state = 'SUMMARISED', summary_serial = ?, summarised_at = ?
 WHERE tenant = ? AND request_id = ? AND state = 'CLOSING' AND signature IS NOT NULL
RETURNING tax_number, machine_number, period, authority_request_id
"""
_LEAVE_BEHIND = """
UPDATE meter
   SET open_period = ?, summarised_at = ?
 WHERE tax_number = ? AND machine_number = ? AND open_period = ?
"""


class Wish(NamedTuple):
    """Which month of which device, by whom, and when.

    ``told_at`` is the time by the slower of both clocks, this machine's and the authority's.
    """

    name: DeviceName
    period: str
    authority_request_id: str
    worker: str
    told_at: float


def close_period(
    connection: apsw.Connection, wish: Wish, binding: Binding, act: Act
) -> tuple[PeriodRecord, bool]:
    """Decide a month's figures; see ``port.Ledger.close_period``."""
    effect = first_effect(connection, binding)
    if effect is not None:
        return period_of_request(connection, binding.tenant, binding.request_id), True
    check_device(connection, binding.tenant, wish.name)
    present = find_period(connection, wish.name, wish.period)
    if present is not None:
        return present, False
    obstacle = obstacle_of(connection, wish.name, wish.period, wish.told_at)
    if obstacle is not None:
        raise obstacle
    _close(connection, wish, binding, act)
    return period_of_request(connection, binding.tenant, binding.request_id), False


def check_device(connection: apsw.Connection, tenant: str, name: DeviceName) -> None:
    """Raise ``TaxpayerNotFound`` or ``DeviceNotFound`` unless there is such a device."""
    owner = taxpayer_of(connection, tenant, name.tax_number)
    if all(device.machine_number != name.machine_number for device in owner.devices):
        raise DeviceNotFound(name.tax_number, name.machine_number)


def obstacle_of(
    connection: apsw.Connection, name: DeviceName, period: str, told_at: float
) -> PeriodNotClosable | None:
    """Return what is in the way of closing a month, None when nothing is."""
    ends_at = end_of(period)
    if told_at < ends_at:
        return PeriodNotClosable(period, cause="NOT_OVER", message="it is not over")
    open_period = open_period_of(connection, name)
    if period != open_period:
        return _out_of_turn(period, open_period)
    ((unsigned,),) = fetch(connection, _UNSIGNED, (*name, ends_at))
    if unsigned:
        return _in_the_way(period, "RESERVED", unsigned, "wait for their signature")
    ((unuploaded, rejected),) = fetch(connection, _UNACCEPTED, (*name, ends_at))
    if unuploaded:
        return _in_the_way(period, "UNUPLOADED", unuploaded, "are not accepted yet")
    if rejected:
        return _in_the_way(period, "REJECTED", rejected, "were refused by the authority")
    return None


def _out_of_turn(period: str, open_period: str) -> PeriodNotClosable:
    early = period < open_period
    return PeriodNotClosable(
        period,
        cause="BEFORE_FIRST" if early else "OUT_OF_ORDER",
        message=f"the device's first month is {open_period}"
        if early
        else f"{open_period} has to be summarised first",
        next_period=open_period,
    )


def open_period_of(connection: apsw.Connection, name: DeviceName) -> str:
    """Return the first month of a device that is not summarised."""
    ((open_period,),) = fetch(connection, _OPEN_PERIOD, name)
    return str(open_period or "")


def sign_period(
    connection: apsw.Connection, record: PeriodRecord, *, signature: bytes, key_id: str
) -> PeriodRecord:
    """Store the signature of a summary that has none; answer the stored one."""
    connection.execute(_SIGN, (signature, key_id, record.tenant, record.request_id))
    return period_of_request(connection, record.tenant, record.request_id)


def summarise(
    connection: apsw.Connection, record: PeriodRecord, *, summary_serial: str, now: float
) -> PeriodRecord:
    """Store that the authority has a summary, and leave its month behind, once."""
    rows = fetch(connection, _SUMMARISE, (summary_serial, now, record.tenant, record.request_id))
    for tax_number, machine_number, period, authority_request_id in rows:
        device = tax_number, machine_number
        connection.execute(_LEAVE_BEHIND, (next_period(period), now, *device, period))
        record_answer(
            connection,
            record.tenant,
            record.request_id,
            target=f"taxpayers/{tax_number}/devices/{machine_number}",
            answer={"summary": authority_request_id, "summary_serial": summary_serial},
            now=now,
        )
    return period_of_request(connection, record.tenant, record.request_id)


def find_period(connection: apsw.Connection, name: DeviceName, period: str) -> PeriodRecord | None:
    """Return a month's summary, None when it has none."""
    rows = fetch(connection, _OF_MONTH, (*name, period))
    return _record(rows[0]) if rows else None


def period_of_request(connection: apsw.Connection, tenant: str, request_id: str) -> PeriodRecord:
    """Return the summary that a request made; LookupError when it made none."""
    rows = fetch(connection, _BY_REQUEST, (tenant, request_id))
    if not rows:
        raise LookupError(f"no month was summarised under {request_id}")
    return _record(rows[0])


def open_periods(
    connection: apsw.Connection, after: tuple[str, str], count_max: int
) -> list[PeriodRecord]:
    """Return the summaries that the authority is yet to take, oldest first."""
    return list(map(_record, fetch(connection, _OPEN, (*after, count_max))))


def due_periods(
    connection: apsw.Connection,
    tenant: str,
    *,
    period: str,
    after: tuple[str, str],
    count_max: int,
) -> list[tuple[DeviceName, str]]:
    """Return devices whose open month is before ``period`` and nobody has closed, with that month."""
    rows = fetch(connection, _DUE, (period, *after, tenant, count_max))
    return [(DeviceName(row[0], row[1]), row[2]) for row in rows]


def months_of(
    connection: apsw.Connection, tenant: str, name: DeviceName, now: float, count_max: int
) -> list[MonthRecord]:
    """Return the present month of a device and those before, newest first."""
    check_device(connection, tenant, name)
    owner = taxpayer_of(connection, tenant, name.tax_number)
    first, present = period_of(owner.registered_at), period_of(now)
    months = [first]
    while months[-1] < present:
        months.append(next_period(months[-1]))
    return [_month(connection, name, month) for month in reversed(months[-count_max:])]


def _month(connection: apsw.Connection, name: DeviceName, month: str) -> MonthRecord:
    closed = find_period(connection, name, month)
    if closed is None:
        figures = statistics_of(connection, name, month)
    else:
        figures = facts(closed.content).types
    return MonthRecord(period=month, statistics=figures, summary=closed)


def _close(connection: apsw.Connection, wish: Wish, binding: Binding, act: Act) -> None:
    name, ends_at = wish.name, end_of(wish.period)
    content = summary(
        device=name.machine_number,
        taxpayer=name.tax_number,
        period=wish.period,
        summary_time=max(int(act.at), ends_at),
        types=statistics_of(connection, name, wish.period),
    )
    connection.execute(
        _CLOSE,
        (
            *name,
            wish.period,
            binding.tenant,
            binding.request_id,
            wish.authority_request_id,
            content,
            wish.worker,
            act.at,
        ),
    )
    connection.execute(_SHUT, (ends_at, *name))
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{name.tax_number}/devices/{name.machine_number}",
        effect={
            "tax_number": name.tax_number,
            "machine_number": name.machine_number,
            "period": wish.period,
            "summary": wish.authority_request_id,
        },
    )


def _in_the_way(period: str, cause: str, count: int, message: str) -> PeriodNotClosable:
    return PeriodNotClosable(period, cause=cause, message=f"{count} {message}", count=count)


def _record(row: Row) -> PeriodRecord:
    return PeriodRecord(
        tenant=row[0],
        request_id=row[1],
        authority_request_id=row[2],
        tax_number=row[3],
        machine_number=row[4],
        type=row[5],
        period=row[6],
        state=row[7],
        content=row[8],
        closing_at=row[9],
        signature=row[10],
        key_id=row[11],
        certificate=row[12],
        summarised_at=row[13],
        summary_serial=row[14],
    )
