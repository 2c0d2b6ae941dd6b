"""Reds: what each takes of its blue, decided in the transaction that gives it its number.

``reversal`` has two sums for every blue that a red ever named. The *live* one counts reds from the
moment they have a number, and decides what remains. The *issued* one counts those that are signed,
and gives the blue's visible state.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import apsw

from invoice.document import Kind
from invoice.errors import (
    InvoiceError,
    InvoiceNotReversible,
    RedExceedsBlue,
    RedNotFull,
    RedNoticeUsed,
    RedOriginalNotFound,
    RedTypeMismatch,
)
from invoice.lifecycle import InvoiceState
from invoice.types import TYPES
from ledger.bulk import Bulk
from ledger.records import Entry, OriginalRef, Reservation
from ledger.values import Value

# The events are looked up by their invoice, so this is one row for each blue.
_BLUES = Bulk(
    """
SELECT i.tax_number, i.code, i.number, i.invoice_id, i.type, i.kind, i.state, i.net_fen, i.tax_fen,
       ifnull(r.live_net_fen, 0), ifnull(r.live_tax_fen, 0),
       EXISTS (SELECT 1 FROM statement AS s WHERE s.invoice_id = i.invoice_id),
       EXISTS (SELECT 1
                 FROM outbox AS o
                WHERE o.invoice_id = i.invoice_id AND o.event = 'ISSUE'
                  AND o.state = 'SIGNATURE_REJECTED')
  FROM (VALUES {rows}) AS w
  JOIN invoice AS i ON i.tax_number = w.column1 AND i.code = w.column2 AND i.number = w.column3
  LEFT JOIN reversal AS r ON r.invoice_id = i.invoice_id
""",
    column_count=3,
)
_NOTICES = Bulk(
    """
SELECT d.tax_number, d.red_notice_number
  FROM (VALUES {rows}) AS w
  JOIN red AS d ON d.tax_number = w.column1 AND d.red_notice_number = w.column2
 WHERE d.red_notice_number <> '' AND d.live = 1
""",
    column_count=2,
)
_LINK = Bulk(
    "INSERT INTO red (invoice_id, original_id, tax_number, red_notice_number) VALUES {rows}",
    column_count=4,
)
_TAKE = Bulk(
    """
INSERT INTO reversal (invoice_id, live_count, live_net_fen, live_tax_fen)
VALUES {rows}
    ON CONFLICT (invoice_id) DO UPDATE
   SET live_count = live_count + excluded.live_count,
       live_net_fen = live_net_fen + excluded.live_net_fen,
       live_tax_fen = live_tax_fen + excluded.live_tax_fen
""",
    column_count=4,
)

_Name = tuple[str, str, str]
"""Tax number, code, number."""


@dataclass(slots=True)
class Blue:
    """What a red names, and what reds have taken of it so far, this group's included."""

    invoice_id: int
    type: str
    kind: str
    state: str
    net_fen: int
    tax_fen: int
    live_net_fen: int = 0
    live_tax_fen: int = 0
    stated: bool = False
    signature_rejected: bool = False

    @property
    def standing(self) -> str:
        """Why no red may name it, ``""`` when nothing stands in the way."""
        if self.state in ("RESERVED", "VOIDED", "BLANK_VOIDED"):
            return self.state
        if self.stated:
            return "VOIDING"
        return "SIGNATURE_REJECTED" if self.signature_rejected else ""


@dataclass(slots=True)
class Reds:
    """The reds of a group: each is judged by what the ones before it have left."""

    blues: dict[_Name, Blue]
    used_notices: set[tuple[str, str]]
    _links: list[Value] = field(default_factory=list)
    _takes: list[Value] = field(default_factory=list)

    def refusal(self, item: Reservation) -> InvoiceError | None:
        """Return why the item cannot reverse what it names; None when it can."""
        original = item.original or OriginalRef(code="", number="")
        blue = self.blues.get(_name(item))
        if blue is None:
            return RedOriginalNotFound(original.code, original.number)
        known = TYPES.get(item.type)
        if blue.kind != Kind.BLUE or known is None or blue.type not in known.reverses:
            return RedTypeMismatch(type=item.type, original_type=blue.type, original_kind=blue.kind)
        if blue.standing:
            return InvoiceNotReversible(original.code, original.number, state=blue.standing)
        return _too_much(item, blue) or self._notice_refusal(item)

    def take(self, item: Reservation) -> None:
        """Take of its blue what an item reverses that was not refused and will get a number."""
        blue = self.blues[_name(item)]
        blue.live_net_fen += abs(item.net_fen)
        blue.live_tax_fen += abs(item.tax_fen)
        self.used_notices.add((item.tax_number, item.red_notice_number))

    def link(self, item: Reservation, invoice_id: int) -> None:
        """Note the row of an item that was taken."""
        blue = self.blues[_name(item)]
        self._links += (invoice_id, blue.invoice_id, item.tax_number, item.red_notice_number)
        self._takes += (blue.invoice_id, 1, abs(item.net_fen), abs(item.tax_fen))

    def store(self, connection: apsw.Connection) -> None:
        """Store what was linked."""
        _LINK.run(connection, self._links)
        _TAKE.run(connection, self._takes)

    def add_reserved(self, entries: Iterable[Entry]) -> None:
        """Know of what the same group has taken and not stored yet: it cannot be reversed either."""
        for entry in entries:
            name = entry.tax_number, entry.code, entry.number
            self.blues[name] = Blue(
                invoice_id=0,
                type=entry.type,
                kind=entry.kind,
                state=InvoiceState.RESERVED,
                net_fen=entry.net_fen,
                tax_fen=entry.tax_fen,
            )

    def _notice_refusal(self, item: Reservation) -> RedNoticeUsed | None:
        notice = item.red_notice_number
        if notice and (item.tax_number, notice) in self.used_notices:
            return RedNoticeUsed(notice)
        return None


def look_up(connection: apsw.Connection, items: Sequence[Reservation]) -> Reds:
    """Return what a group's reds name, as it is stored."""
    names: list[Value] = []
    for name in sorted({_name(item) for item in items}):
        names += name
    blues = {(row[0], row[1], row[2]): Blue(*row[3:]) for row in _BLUES.run(connection, names)}
    notices: list[Value] = []
    stated = {(item.tax_number, item.red_notice_number) for item in items}
    for tax_number, notice in sorted(stated):
        if notice:
            notices += (tax_number, notice)
    used = {(row[0], row[1]) for row in _NOTICES.run(connection, notices)}
    return Reds(blues, used)


def _name(item: Reservation) -> _Name:
    original = item.original
    if original is None:
        return item.tax_number, "", ""
    return item.tax_number, original.code, original.number


def _too_much(item: Reservation, blue: Blue) -> InvoiceError | None:
    net_fen, tax_fen = abs(item.net_fen), abs(item.tax_fen)
    remaining_net_fen = blue.net_fen - blue.live_net_fen
    remaining_tax_fen = blue.tax_fen - blue.live_tax_fen
    if net_fen > remaining_net_fen or tax_fen > remaining_tax_fen:
        return RedExceedsBlue(
            remaining_net_fen=remaining_net_fen, remaining_tax_fen=remaining_tax_fen
        )
    full = (net_fen, tax_fen) == (blue.net_fen, blue.tax_fen)
    if not full and not TYPES[blue.type].partial_red:
        return RedNotFull(net_fen=blue.net_fen, tax_fen=blue.tax_fen)
    return None
