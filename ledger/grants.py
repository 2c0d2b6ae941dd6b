"""Grants of stock in two phases: wished, granted, confirmed. What is not confirmed is found again."""

import apsw

from invoice.errors import HoldingExceeded, InvalidRequest
from invoice.identifiers import number_text
from ledger.bindings import bind, first_effect
from ledger.errors import GrantOverlaps
from ledger.records import Act, Binding, GrantRecord, TaxpayerRecord
from ledger.segments import held_count
from ledger.taxpayers import taxpayer_of
from ledger.values import Json, Row, fetch, fetch_one

_COLUMNS = """
SELECT tenant, request_id, authority_request_id, tax_number, type, count, state, grant_id, code,
       prefix, width, first, refusal, requested_at, issue_deadline
  FROM stock_grant
"""
_ONE = _COLUMNS + "WHERE tenant = ? AND request_id = ?"
_OPEN = (
    _COLUMNS  # noqa: S608 - put together from constants
    + """
 WHERE state IN ('REQUESTED', 'GRANTED')
   AND grant_number > ifnull((SELECT grant_number
                                FROM stock_grant
                               WHERE tenant = ? AND request_id = ?), 0)
 ORDER BY grant_number
 LIMIT ?
"""
)
_OPEN_COUNT = """
SELECT ifnull(sum(count), 0)
  FROM stock_grant
 WHERE tax_number = ? AND type = ? AND state IN ('REQUESTED', 'GRANTED')
"""
_WISH = """
INSERT INTO stock_grant (tenant, request_id, authority_request_id, tax_number, type, count, state,
    requested_at)
VALUES (?, ?, ?, ?, ?, ?, 'REQUESTED', ?)
"""
# Granted ranges never overlap, so the one that begins last before the new one's end is the only
# one that can reach into it.
_NEIGHBOUR = """
SELECT grant_id, last_number
  FROM stock_grant
 WHERE code = ? AND width = ? AND first_number <= ? AND state IN ('GRANTED', 'CONFIRMED')
 ORDER BY first_number DESC
 LIMIT 1
"""
_GRANT = """
UPDATE stock_grant
   SET state = 'GRANTED', count = ?, grant_id = ?, code = ?, prefix = ?, width = ?, first = ?,
       first_number = ?, last_number = ?, issue_deadline = ?
 WHERE tenant = ? AND request_id = ? AND state = 'REQUESTED'
"""
# A month that is closed gets no numbers any more, whatever a clock that was set back says.
_CONFIRM = """
UPDATE stock_grant
   SET state = 'CONFIRMED',
       confirmed_at = max(?, (SELECT ifnull(max(m.issue_time_min), 0)
                                FROM meter AS m
                               WHERE m.tax_number = stock_grant.tax_number))
 WHERE tenant = ? AND request_id = ? AND state = 'GRANTED'
"""
_SHELVE = """
INSERT INTO segment (grant_number, tax_number, type, code, prefix, width, first, count, next)
SELECT grant_number, tax_number, type, code, prefix, width, first, count, first
  FROM stock_grant
 WHERE tenant = ? AND request_id = ?
"""
_REFUSE = """
UPDATE stock_grant
   SET state = 'REFUSED', refusal = ?
 WHERE tenant = ? AND request_id = ? AND state IN ('REQUESTED', 'GRANTED')
"""


def request_grant(
    connection: apsw.Connection, grant: GrantRecord, binding: Binding, act: Act
) -> tuple[GrantRecord, bool]:
    """Store a wish; see ``port.Ledger.request_grant``."""
    if first_effect(connection, binding) is not None:
        return grant_of(connection, binding.tenant, binding.request_id), True
    _check_wish(connection, grant, taxpayer_of(connection, grant.tenant, grant.tax_number))
    connection.execute(
        _WISH,
        (
            grant.tenant,
            grant.request_id,
            grant.authority_request_id,
            grant.tax_number,
            grant.type,
            grant.count,
            grant.requested_at,
        ),
    )
    effect: Json = {"grant": grant.authority_request_id, "type": grant.type, "count": grant.count}
    bind(connection, binding, act, target=f"taxpayers/{grant.tax_number}", effect=effect)
    return grant_of(connection, grant.tenant, grant.request_id), False


def store_grant(connection: apsw.Connection, grant: GrantRecord) -> GrantRecord:
    """Store what the authority granted; see ``port.Ledger.store_grant``."""
    stored = grant_of(connection, grant.tenant, grant.request_id)
    if stored.state != "REQUESTED":
        _check_same(stored, grant)
        return stored
    first, last = _ends(grant)
    _check_free(connection, grant, first, last)
    connection.execute(
        _GRANT,
        (
            grant.count,
            grant.grant_id,
            grant.code,
            grant.prefix,
            grant.width,
            grant.first,
            first,
            last,
            grant.issue_deadline,
            grant.tenant,
            grant.request_id,
        ),
    )
    return grant_of(connection, grant.tenant, grant.request_id)


def confirm_grant(
    connection: apsw.Connection, tenant: str, request_id: str, now: float
) -> GrantRecord:
    """Put a grant's numbers into the pool, once."""
    connection.execute(_CONFIRM, (now, tenant, request_id))
    if connection.changes():
        connection.execute(_SHELVE, (tenant, request_id))
    confirmed = grant_of(connection, tenant, request_id)
    if confirmed.state != "CONFIRMED":
        raise LookupError(f"grant {request_id} is {confirmed.state} and cannot be confirmed")
    return confirmed


def refuse_grant(
    connection: apsw.Connection, tenant: str, request_id: str, refusal: str
) -> GrantRecord:
    """Store that the authority refused a wish or its confirmation, for good."""
    connection.execute(_REFUSE, (refusal, tenant, request_id))
    refused = grant_of(connection, tenant, request_id)
    if refused.state != "REFUSED":
        raise LookupError(f"grant {request_id} is {refused.state} and cannot be refused")
    return refused


def open_grants(
    connection: apsw.Connection, after: tuple[str, str], count_max: int
) -> list[GrantRecord]:
    """Return grants the authority must be asked about again, oldest first."""
    return list(map(_record, fetch(connection, _OPEN, (*after, count_max))))


def grant_of(connection: apsw.Connection, tenant: str, request_id: str) -> GrantRecord:
    """Return a grant; LookupError when no such wish was stored."""
    rows = fetch(connection, _ONE, (tenant, request_id))
    if not rows:
        raise LookupError(f"no grant was wished for under {request_id}")
    return _record(rows[0])


def _check_wish(connection: apsw.Connection, grant: GrantRecord, owner: TaxpayerRecord) -> None:
    if grant.type not in owner.taxpayer.grants:
        raise InvalidRequest("type", "TYPE_NOT_AUTHORISED", "not granted to this taxpayer")
    held_max = owner.holding_count_max.get(grant.type)
    if held_max is None:
        return
    held = _held(connection, grant.tax_number, grant.type)
    if held + grant.count > held_max:
        raise HoldingExceeded(
            f"{grant.count} wanted and {held} held or on the way, at most {held_max}",
            taxpayer=grant.tax_number,
            type=grant.type,
            held_count=held,
            holding_count_max=held_max,
        )


def holding_left(connection: apsw.Connection, owner: TaxpayerRecord, type_code: str) -> int | None:
    """Return how many more numbers of a type may be drawn; None when that is not limited."""
    held_max = owner.holding_count_max.get(type_code)
    if held_max is None:
        return None
    return max(0, held_max - _held(connection, owner.taxpayer.tax_number, type_code))


def _held(connection: apsw.Connection, tax_number: str, type_code: str) -> int:
    """How many numbers are held, or on their way here."""
    name = tax_number, type_code
    return held_count(connection, *name) + int(fetch_one(connection, _OPEN_COUNT, name))


def _check_free(connection: apsw.Connection, grant: GrantRecord, first: str, last: str) -> None:
    rows = fetch(connection, _NEIGHBOUR, (grant.code, grant.width, last))
    if rows and rows[0][1] >= first:
        raise GrantOverlaps(
            f"grant {grant.grant_id} ({grant.code} {first}-{last}) overlaps grant {rows[0][0]}"
        )


def _check_same(stored: GrantRecord, grant: GrantRecord) -> None:
    if _range(stored) != _range(grant):
        raise GrantOverlaps(
            f"the authority answered {_range(grant)} where it had granted {_range(stored)}"
        )


def _range(grant: GrantRecord) -> tuple[str, str, str, int, int, int]:
    return grant.grant_id, grant.code, grant.prefix, grant.width, grant.first, grant.count


def _ends(grant: GrantRecord) -> tuple[str, str]:
    prefix, width = grant.prefix, grant.width
    try:
        last = number_text(prefix, width, grant.first + grant.count - 1)
        return number_text(prefix, width, grant.first), last
    except ValueError as error:
        raise GrantOverlaps(f"grant {grant.grant_id} does not fit its width: {error}") from error


def _record(row: Row) -> GrantRecord:
    return GrantRecord(
        tenant=row[0],
        request_id=row[1],
        authority_request_id=row[2],
        tax_number=row[3],
        type=row[4],
        count=row[5],
        state=row[6],
        grant_id=row[7],
        code=row[8],
        prefix=row[9],
        width=row[10],
        first=row[11],
        refusal=row[12],
        requested_at=row[13],
        issue_deadline=row[14],
    )
