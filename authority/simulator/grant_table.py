"""Grants of numbers in two phases, and the holding they are measured against."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import apsw

from authority.simulator.allocation import (
    Layout,
    Range,
    Series,
    SeriesExhausted,
    allocate,
    count_granted,
    layout,
    running_part,
)
from authority.simulator.counter_table import count_up
from authority.simulator.identifiers import region
from authority.simulator.policy import NO_DEADLINE
from authority.simulator.refusal import Refusal
from authority.simulator.registry_table import require_taxpayer

_BY_REQUEST: Final = """
SELECT grant_id, request_id, tax_number, type, wanted_count, code, prefix, width, first, count,
       confirmed, issue_deadline
FROM stock_grant WHERE request_id = :request_id
"""
_BY_ID: Final = """
SELECT grant_id, request_id, tax_number, type, wanted_count, code, prefix, width, first, count,
       confirmed, issue_deadline
FROM stock_grant WHERE grant_id = :grant_id
"""
_BY_NUMBER: Final = """
SELECT grant_id, request_id, tax_number, type, wanted_count, code, prefix, width, first, count,
       confirmed, issue_deadline
FROM stock_grant
WHERE code = :code AND prefix = :prefix AND width = :width AND first <= :running
ORDER BY first DESC LIMIT 1
"""
# Returns never overlap.
_RETURNED_UP_TO: Final = """
SELECT first + count FROM stock_return
WHERE code = :code AND prefix = :prefix AND width = :width AND first <= :running
ORDER BY first DESC LIMIT 1
"""
_CONFIRM: Final = """
UPDATE stock_grant SET confirmed = 1, confirmed_ns = ifnull(confirmed_ns, :now_ns)
WHERE grant_id = :grant_id
"""
_ADD: Final = """
INSERT INTO stock_grant
    (grant_id, request_id, tax_number, type, wanted_count, code, prefix, width, first, count,
     confirmed, issue_deadline)
VALUES (:grant_id, :request_id, :tax_number, :type, :wanted_count, :code, :prefix, :width, :first,
        :count, 0, :issue_deadline)
"""
_SERIES: Final = "SELECT batch, next FROM series WHERE stem = :stem"
_SAVE_SERIES: Final = """
INSERT INTO series (stem, batch, next) VALUES (:stem, :batch, :next)
ON CONFLICT (stem) DO UPDATE SET batch = excluded.batch, next = excluded.next
"""
_HELD: Final = """
SELECT granted_count - used_count, holding_count_max FROM allowance
WHERE tax_number = :tax_number AND type = :type
"""
_HOLD: Final = """
UPDATE allowance SET granted_count = granted_count + :count
WHERE tax_number = :tax_number AND type = :type
"""
_RELEASE: Final = """
UPDATE allowance SET granted_count = granted_count - :count
WHERE tax_number = :tax_number AND type = :type
"""
_USE: Final = """
UPDATE allowance SET used_count = used_count + 1 WHERE tax_number = :tax_number AND type = :type
"""

EXPORT: Final = """
SELECT grant_id, request_id, tax_number, type, wanted_count, code, prefix, width, first, count,
       confirmed, issue_deadline
FROM stock_grant WHERE :tax_number IN ('', tax_number) ORDER BY grant_id
"""

# Numbers of fully digital invoices are held by year, province and channel.
_DIGITAL_WIDTH: Final = 20
_DIGITAL_PREFIX_LENGTH: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a new grant follows: the civil day, how many days it lasts (0: any), its id's start.

    ``deadline`` holds instead where there is one: a day, or ``none``.
    """

    today: date
    issue_days: int
    deadline: str
    initial: str

    @property
    def issue_deadline(self) -> str:
        """The last civil day of its numbers, empty for none."""
        if self.deadline:
            return "" if self.deadline == NO_DEADLINE else self.deadline
        return (self.today + timedelta(self.issue_days)).isoformat() if self.issue_days else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant on record; see ``authority.proto``."""

    grant_id: str
    request_id: str
    tax_number: str
    type: str
    wanted_count: int
    code: str
    prefix: str
    width: int
    first: int
    count: int
    confirmed: bool
    issue_deadline: str


def grant_of(row: tuple[Any, ...]) -> Grant:
    """Read a row of :data:`EXPORT`."""
    return Grant(
        grant_id=row[0],
        request_id=row[1],
        tax_number=row[2],
        type=row[3],
        wanted_count=row[4],
        code=row[5],
        prefix=row[6],
        width=row[7],
        first=row[8],
        count=row[9],
        confirmed=bool(row[10]),
        issue_deadline=row[11],
    )


def grant_stock(
    connection: apsw.Connection,
    *,
    request_id: str,
    tax_number: str,
    type_: str,
    wanted_count: int,
    terms: Terms,
) -> Grant:
    """Grant numbers, or answer the grant of the request. Refused: as the RPC says."""
    require_taxpayer(connection, tax_number)
    present = find_by_request(connection, request_id)
    if present is not None:
        if (present.tax_number, present.type, present.wanted_count) != (
            tax_number,
            type_,
            wanted_count,
        ):
            raise Refusal("REQUEST_ID_REUSED", f"{request_id!r} asked for something else")
        return present
    count = count_granted(type_, wanted_count)
    _hold(connection, tax_number, type_, count)
    form = layout(type_, region=region(tax_number), year=terms.today.year)
    cut = _cut(connection, form, count)
    return _add(
        connection,
        cut,
        request_id=request_id,
        tax_number=tax_number,
        type_=type_,
        wanted_count=wanted_count,
        terms=terms,
    )


def find_by_request(connection: apsw.Connection, request_id: str) -> Grant | None:
    """Return the grant a request asked for, None when there is none."""
    row = connection.execute(_BY_REQUEST, {"request_id": request_id}).fetchone()
    return None if row is None else grant_of(row)


def confirm(connection: apsw.Connection, grant_id: str, *, now_ns: int) -> Grant:
    """Confirm a grant. Refused: GRANT_UNKNOWN."""
    connection.execute(_CONFIRM, {"grant_id": grant_id, "now_ns": now_ns})
    row = connection.execute(_BY_ID, {"grant_id": grant_id}).fetchone()
    if row is None:
        raise Refusal("GRANT_UNKNOWN", f"no grant {grant_id!r}")
    return grant_of(row)


def find_holder(connection: apsw.Connection, *, code: str, number: str) -> Grant | None:
    """Return the confirmed grant that holds a number; None when none does, or it was returned."""
    digital = len(number) == _DIGITAL_WIDTH
    prefix = number[:_DIGITAL_PREFIX_LENGTH] if digital else ""
    running = running_part(number, prefix=prefix, width=len(number))
    if running is None:
        return None
    place = {"code": code, "prefix": prefix, "width": len(number), "running": running}
    returned_up_to = connection.execute(_RETURNED_UP_TO, place).fetchone()
    if returned_up_to is not None and running < returned_up_to[0]:
        return None
    return find_granted(connection, code=code, prefix=prefix, width=len(number), running=running)


def find_granted(
    connection: apsw.Connection, *, code: str, prefix: str, width: int, running: int
) -> Grant | None:
    """Return the confirmed grant that a number came with, None when it came with none."""
    row = connection.execute(
        _BY_NUMBER, {"code": code, "prefix": prefix, "width": width, "running": running}
    ).fetchone()
    if row is None:
        return None
    grant = grant_of(row)
    holds = grant.confirmed and running < grant.first + grant.count
    return grant if holds else None


def release(connection: apsw.Connection, *, tax_number: str, type_: str, count: int) -> None:
    """Count numbers as no longer held, since they were returned."""
    connection.execute(_RELEASE, {"tax_number": tax_number, "type": type_, "count": count})


def use(connection: apsw.Connection, *, tax_number: str, type_: str) -> None:
    """Count one held number as used up."""
    connection.execute(_USE, {"tax_number": tax_number, "type": type_})


def _hold(connection: apsw.Connection, tax_number: str, type_: str, count: int) -> None:
    """Count numbers as held. Refused: TYPE_NOT_GRANTED, HOLDING_EXCEEDED."""
    whose = {"tax_number": tax_number, "type": type_}
    row = connection.execute(_HELD, whose).fetchone()
    if row is None:
        raise Refusal("TYPE_NOT_GRANTED", f"the taxpayer may not issue {type_!r}")
    held_count, held_count_max = row
    if held_count + count > held_count_max:
        raise Refusal(
            "HOLDING_EXCEEDED",
            f"{count} wanted + {held_count} held > {held_count_max}",
            held_count=str(held_count),
            holding_count_max=str(held_count_max),
        )
    connection.execute(_HOLD, whose | {"count": count})


def _cut(connection: apsw.Connection, form: Layout, count: int) -> Range:
    """Cut a range off its series. Refused: NO_STOCK."""
    row = connection.execute(_SERIES, {"stem": form.stem}).fetchone()
    series = Series() if row is None else Series(batch=row[0], next=row[1])
    try:
        cut, left = allocate(form, series, count)
    except SeriesExhausted as error:
        raise Refusal("NO_STOCK", "no numbers are left to grant") from error
    connection.execute(_SAVE_SERIES, {"stem": form.stem, "batch": left.batch, "next": left.next})
    return cut


def _add(
    connection: apsw.Connection,
    cut: Range,
    *,
    request_id: str,
    tax_number: str,
    type_: str,
    wanted_count: int,
    terms: Terms,
) -> Grant:
    grant = Grant(
        grant_id=f"{terms.initial}G{count_up(connection, 'grant'):012d}",
        request_id=request_id,
        tax_number=tax_number,
        type=type_,
        wanted_count=wanted_count,
        code=cut.code,
        prefix=cut.prefix,
        width=cut.width,
        first=cut.first,
        count=cut.count,
        confirmed=False,
        issue_deadline=terms.issue_deadline,
    )
    connection.execute(
        _ADD,
        {
            "grant_id": grant.grant_id,
            "request_id": request_id,
            "tax_number": tax_number,
            "type": type_,
            "wanted_count": wanted_count,
            "code": cut.code,
            "prefix": cut.prefix,
            "width": cut.width,
            "first": cut.first,
            "count": cut.count,
            "issue_deadline": grant.issue_deadline,
        },
    )
    return grant
