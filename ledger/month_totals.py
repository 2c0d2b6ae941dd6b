"""The running totals of each month: kept in the transactions that change them, a statement a group.

Which month it is, is told by the stored issue time, of a blank void by its own.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

import apsw

from invoice.rates import RateSum
from ledger.bulk import Bulk
from ledger.values import Value

WHOLE: Final = -1
"""Where a rate stands, of the totals of whole invoices."""

_ADD = Bulk(
    """
INSERT INTO month_total (tax_number, machine_number, type, period, what, rate_ppm, invoice_count,
    net_fen, tax_fen)
VALUES {rows}
ON CONFLICT (tax_number, machine_number, type, period, what, rate_ppm) DO UPDATE
   SET invoice_count = invoice_count + excluded.invoice_count,
       net_fen = net_fen + excluded.net_fen,
       tax_fen = tax_fen + excluded.tax_fen
""",
    column_count=9,
)


class Month(NamedTuple):
    """A month of one device and type."""

    tax_number: str
    machine_number: str
    type: str
    period: str


class TotalName(NamedTuple):
    """What is added up. ``what`` is a group, or BLANK_VOID."""

    tax_number: str
    machine_number: str
    type: str
    period: str
    what: str
    rate_ppm: int


class MonthTotals:
    """What is to be added to the totals, or taken off them."""

    def __init__(self) -> None:
        self.sums: defaultdict[TotalName, list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(  # noqa: PLR0917 - called for every invoice: names cost more than they tell here
        self,
        month: Month,
        what: str,
        net_fen: int,
        tax_fen: int,
        rates: Iterable[RateSum],
        times: int = 1,
    ) -> None:
        """Add one invoice ``times`` (-1 takes it off)."""
        self._add(TotalName(*month, what, WHOLE), net_fen, tax_fen, times)
        for rate in rates:
            self._add(TotalName(*month, what, rate.rate_ppm), rate.net_fen, rate.tax_fen, times)

    def store(self, connection: apsw.Connection) -> None:
        """Put them into the books, once."""
        if not self.sums:
            return
        values: list[Value] = []
        for name in sorted(self.sums):
            values += (*name, *self.sums[name])
        self.sums.clear()
        _ADD.run(connection, values)

    def _add(self, name: TotalName, net_fen: int, tax_fen: int, times: int) -> None:
        sums = self.sums[name]
        sums[0] += times
        sums[1] += times * net_fen
        sums[2] += times * tax_fen


def add_blank_void(connection: apsw.Connection, month: Month) -> None:
    """Count one number that will never be an invoice."""
    totals = MonthTotals()
    totals.add(month, "BLANK_VOID", 0, 0, ())
    totals.store(connection)
