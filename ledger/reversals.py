"""What signed reds, and their voids, do to the blue they reverse: its sums and its visible state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apsw

from invoice.lifecycle import InvoiceState
from ledger.bulk import Bulk
from ledger.meters import Change, MeterName
from ledger.values import Value, fetch

_ORIGINALS = Bulk(
    "SELECT invoice_id, original_id FROM red WHERE invoice_id IN (VALUES {rows})", column_count=1
)
_BLUES = Bulk(
    """
SELECT r.invoice_id, i.tax_number, i.machine_number, i.type, i.net_fen, r.issued_count,
       r.issued_net_fen, r.issued_tax_fen
  FROM reversal AS r
  JOIN invoice AS i ON i.invoice_id = r.invoice_id
 WHERE r.invoice_id IN (VALUES {rows})
""",
    column_count=1,
)
_STORE = Bulk(
    """
UPDATE reversal
   SET issued_count = w.column2, issued_net_fen = w.column3, issued_tax_fen = w.column4
  FROM (VALUES {rows}) AS w
 WHERE invoice_id = w.column1
""",
    column_count=4,
)
_SHOW = Bulk(
    """
UPDATE invoice SET state = w.column2
  FROM (VALUES {rows}) AS w
 WHERE invoice_id = w.column1
""",
    column_count=2,
)
_RELEASE = "UPDATE red SET live = 0 WHERE invoice_id = ? AND live = 1 RETURNING original_id"
_GIVE_BACK = """
UPDATE reversal
   SET live_count = live_count - 1, live_net_fen = live_net_fen - ?,
       live_tax_fen = live_tax_fen - ?
 WHERE invoice_id = ?
"""


class Red(NamedTuple):
    """A red by its row, and how much it reverses; not negative."""

    invoice_id: int
    net_fen: int
    tax_fen: int


@dataclass(slots=True)
class _Blue:
    invoice_id: int
    tax_number: str
    machine_number: str
    type: str
    net_fen: int
    issued_count: int
    issued_net_fen: int
    issued_tax_fen: int

    @property
    def state(self) -> InvoiceState:
        return state_by_reds(self.net_fen, self.issued_count, self.issued_net_fen)

    def add(self, red: Red, sign: int) -> tuple[MeterName, Change]:
        """Count a red that was issued (+1) or voided (-1); return what it does to the blue."""
        self.issued_count += sign
        self.issued_net_fen += sign * red.net_fen
        self.issued_tax_fen += sign * red.tax_fen
        state = self.state
        what = "RESTORED" if state is InvoiceState.ISSUED else state.value
        return (self.tax_number, self.machine_number, self.type), (self.invoice_id, what)


def state_by_reds(net_fen: int, issued_count: int, issued_net_fen: int) -> InvoiceState:
    """Return the state of a blue of ``net_fen`` by the reds that are issued and not voided."""
    if issued_count == 0:
        return InvoiceState.ISSUED
    whole = issued_net_fen >= net_fen
    return InvoiceState.REVERSED if whole else InvoiceState.PARTLY_REVERSED


def originals_of(connection: apsw.Connection, reds: Sequence[Red]) -> dict[int, int]:
    """Map reds to the row of their blue."""
    return dict(_ORIGINALS.run(connection, [red.invoice_id for red in reds]))


def count_issued(
    connection: apsw.Connection, reds: Sequence[Red], original_of: Mapping[int, int]
) -> list[tuple[MeterName, Change]]:
    """Count reds that were signed just now; return the changes of their blues, one for each red."""
    blues = _blues(connection, {original_of[red.invoice_id] for red in reds})
    changes = [blues[original_of[red.invoice_id]].add(red, 1) for red in reds]
    _store(connection, blues)
    return changes


def give_back(
    connection: apsw.Connection, red: Red, *, was_issued: bool
) -> list[tuple[MeterName, Change]]:
    """Give back what a red has taken; return the change of its blue, if it was seen to be reversed."""
    ((original_id,),) = fetch(connection, _RELEASE, (red.invoice_id,))
    changes = []
    if was_issued:
        blues = _blues(connection, {original_id})
        changes.append(blues[original_id].add(red, -1))
        # Before what is live: issued reds are never more than live ones, not even inside here.
        _store(connection, blues)
    connection.execute(_GIVE_BACK, (red.net_fen, red.tax_fen, original_id))
    return changes


def _blues(connection: apsw.Connection, ids: set[int]) -> dict[int, _Blue]:
    wanted: list[Value] = sorted(ids)  # type: ignore[assignment]
    return {row[0]: _Blue(*row) for row in _BLUES.run(connection, wanted)}


def _store(connection: apsw.Connection, blues: Mapping[int, _Blue]) -> None:
    sums: list[Value] = []
    states: list[Value] = []
    for blue in blues.values():
        sums += (blue.invoice_id, blue.issued_count, blue.issued_net_fen, blue.issued_tax_fen)
        states += (blue.invoice_id, blue.state)
    _STORE.run(connection, sums)
    _SHOW.run(connection, states)
