"""The changes of a taxpayer's invoices as a watch reads them, piece by piece.

Each meter numbers its own changes without a gap, in the order in which they become visible. So a
position, the last number seen of each meter, neither misses nor repeats a change, whatever the
order in which transactions on different meters end.
"""

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import takewhile
from typing import Final, NamedTuple

import apsw

from invoice.errors import TaxpayerNotFound
from ledger.loading import load
from ledger.queries import ChangeRecord
from ledger.values import Value, fetch, fetch_one

# Of each meter that has changes, however many meters share a piece.
_METER_COUNT_MIN: Final = 16

_OWNED = "SELECT 1 FROM taxpayer WHERE tenant = ? AND tax_number = ?"
_METERS = "SELECT meter_id, change_number FROM meter WHERE tax_number = ?"
_METERS_OF_TYPE = _METERS + " AND type = ?"
_CHANGES = """
SELECT c.change_number, c.at, c.what, c.invoice_id, i.point
  FROM change AS c
  JOIN invoice AS i ON i.invoice_id = c.invoice_id
 WHERE c.meter_id = ? AND c.change_number > ?
 ORDER BY c.change_number
 LIMIT ?
"""


class _Change(NamedTuple):
    """A change before its invoice is read. ``time`` is ``at``, but never runs back in its meter."""

    time: float
    meter_id: int
    change_number: int
    at: float
    what: str
    invoice_id: int
    point: int


def positions(
    connection: apsw.Connection, tenant: str, tax_number: str, type_code: str
) -> dict[int, int]:
    """Return the last change number of each meter; raise :class:`TaxpayerNotFound`."""
    if fetch_one(connection, _OWNED, (tenant, tax_number)) is None:
        raise TaxpayerNotFound(tax_number)
    values: tuple[Value, ...] = (tax_number, type_code) if type_code else (tax_number,)
    return dict(fetch(connection, _METERS_OF_TYPE if type_code else _METERS, values))


def changes(
    connection: apsw.Connection,
    tenant: str,
    tax_number: str,
    *,
    after: Mapping[int, int],
    type_code: str,
    point: int | None,
    count_max: int,
    bytes_max: int,
) -> list[ChangeRecord]:
    """Return the next changes behind ``after``, by time, each meter's in its own order."""
    last = positions(connection, tenant, tax_number, type_code)
    behind = {
        meter: after.get(meter, 0) for meter in sorted(last) if last[meter] > after.get(meter, 0)
    }
    if not behind:
        return []
    share = max(_METER_COUNT_MIN, count_max // len(behind))
    meters = [_of_meter(connection, meter, number, share) for meter, number in behind.items()]
    # A meter of which there is more may have the next change behind its last one here.
    edge = min((found[-1] for found in meters if len(found) == share), default=None)
    piece: Iterable[_Change] = merge(*meters)
    if edge is not None:
        piece = takewhile(lambda change: change <= edge, piece)
    return list(_loaded(connection, list(piece)[:count_max], point, bytes_max))


def _of_meter(
    connection: apsw.Connection, meter_id: int, after: int, count_max: int
) -> list[_Change]:
    time = 0.0
    found = []
    for number, at, what, invoice_id, point in fetch(
        connection, _CHANGES, (meter_id, after, count_max)
    ):
        time = max(time, at)
        found.append(_Change(time, meter_id, number, at, what, invoice_id, point))
    return found


def _loaded(
    connection: apsw.Connection, piece: list[_Change], point: int | None, bytes_max: int
) -> Iterator[ChangeRecord]:
    """The changes as far as their invoices may be loaded at once."""
    wanted = [change.invoice_id for change in piece if point in (None, change.point)]
    records = load(connection, wanted, bytes_max=bytes_max)
    for change in piece:
        shown = point in (None, change.point)
        if shown and change.invoice_id not in records:
            return
        yield ChangeRecord(
            meter_id=change.meter_id,
            change_number=change.change_number,
            what=change.what,
            at=change.at,
            record=records[change.invoice_id] if shown else None,
        )
