"""Lists of invoices, page by page: what the runs find, merged as far as every one of them has looked.

So a page may be empty while the search goes on behind it. Positions are made of what never changes,
so no invoice is met twice.
"""

from typing import Final

import apsw

from invoice.errors import TaxpayerNotFound
from ledger.loading import load
from ledger.queries import InvoiceFilter, InvoicePage, ListPosition
from ledger.runs import BY_NUMBER, BY_TIME, Found, Order, Search, runs_for
from ledger.values import fetch_one

# Rows that the runs of a page look at together, and that each of them may look at in any case.
_EXAMINED_COUNT_MAX: Final = 4_000
_RUN_COUNT_MIN: Final = 500

_OWNED = "SELECT 1 FROM taxpayer WHERE tenant = ? AND tax_number = ?"


def list_invoices(
    connection: apsw.Connection,
    tenant: str,
    wanted: InvoiceFilter,
    *,
    after: ListPosition | None,
    count_max: int,
    bytes_max: int,
    newest_first: bool,
) -> InvoicePage:
    """Return one page; raise :class:`TaxpayerNotFound` for another tenant's taxpayer."""
    if fetch_one(connection, _OWNED, (tenant, wanted.tax_number)) is None:
        raise TaxpayerNotFound(wanted.tax_number)
    order = Order(BY_NUMBER if wanted.by_number else BY_TIME, newest_first)
    runs = runs_for(connection, wanted)
    share = max(_RUN_COUNT_MIN, _EXAMINED_COUNT_MAX // max(1, len(runs)))
    search = Search(connection, order, after, count_max, share)
    found = _merged([search.follow(run) for run in runs], order, count_max)
    return _page(connection, found, bytes_max)


def _merged(found: list[Found], order: Order, count_max: int) -> Found:
    """The first ``count_max`` of all runs, as far as every one has looked."""
    positions = sorted(
        (position for one in found for position in one.positions),
        key=order.values,
        reverse=order.newest_first,
    )
    horizons = [one.horizon for one in found if one.horizon is not None]
    nearest = max if order.newest_first else min
    horizon = nearest(horizons, key=order.values) if horizons else None
    if horizon is not None:
        positions = [position for position in positions if order.reaches(position, horizon)]
    if len(positions) > count_max:
        return Found(positions[:count_max], positions[count_max - 1])
    return Found(positions, horizon)


def _page(connection: apsw.Connection, found: Found, bytes_max: int) -> InvoicePage:
    """Load what was found; what no longer fits comes with the next page."""
    loaded = load(
        connection, (position.invoice_id for position in found.positions), bytes_max=bytes_max
    )
    positions = found.positions[: len(loaded)]
    whole = len(positions) == len(found.positions)
    return InvoicePage(
        records=tuple(loaded.values()),
        positions=tuple(positions),
        next=found.horizon if whole else positions[-1],
    )
