"""The books of lives: the changes of each invoice, replayed in their order, lead to what it is now.

A byte stands for how far an invoice has come. Some million invoices are held at a time, and the
changes are read once for each such slice: so what is kept does not grow with invoices.
"""

from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

import apsw

from ledger.books_tally import found, invoice_subject
from ledger.records import Finding
from ledger.values import fetch, fetch_one
from ledger.verdicts import change_of

_SLICE_ROWS = 1 << 21
_FIRST = "SELECT min(invoice_id) FROM invoice WHERE invoice_id >= ?"
_LAST = "SELECT max(invoice_id) FROM invoice"
_INVOICES = """
SELECT i.invoice_id, i.state, i.submission_number IS NOT NULL, m.meter_id
  FROM invoice AS i
  LEFT JOIN meter AS m
    ON m.tax_number = i.tax_number AND m.machine_number = i.machine_number AND m.type = i.type
 WHERE i.invoice_id >= ? AND i.invoice_id < ?
 ORDER BY i.invoice_id
 LIMIT 5000
"""
_STATEMENTS = """
SELECT invoice_id, kind, submission_number IS NOT NULL
  FROM statement
 WHERE state = 'SETTLED' AND invoice_id >= ? AND invoice_id < ?
 ORDER BY invoice_id
 LIMIT 5000
"""
_REFUSED = """
SELECT invoice_id, event, state
  FROM outbox
 WHERE state IN ('REJECTED', 'SIGNATURE_REJECTED')
   AND (invoice_id, event) > (?, ?) AND invoice_id < ?
 ORDER BY invoice_id, event
 LIMIT 5000
"""
_CHANGES = """
SELECT meter_id, change_number, invoice_id, what
  FROM change
 WHERE (meter_id, change_number) > (?, ?)
 ORDER BY meter_id, change_number
 LIMIT 5000
"""
_COUNT = "SELECT count(*) FROM change"
_NAME = "SELECT tax_number, code, number FROM invoice WHERE invoice_id = ?"

_OPEN: Final = "OPEN"
_REFUSALS: Final = ("REJECTED", "SIGNATURE_REJECTED")
# The authority has refused the issue and then accepted the void, which carried it along.
_RESOLVED: Final = "RESOLVED"
_UPLOADS: Final = {
    **{(_OPEN, word): word for word in ("ACCEPTED", *_REFUSALS)},
    **{(word, "RETRIED"): _OPEN for word in _REFUSALS},
}
_VERDICTS: Final = {
    change_of(event, word): (event, word)
    for event in ("ISSUE", "VOID", "BLANK_VOID")
    for word in ("ACCEPTED", *_REFUSALS, "RETRIED")
}
# What reds may do to a blue after what; it begins whole.
_REVERSALS: Final = {
    "RESTORED": frozenset({"PARTLY_REVERSED", "REVERSED"}),
    "PARTLY_REVERSED": frozenset({"PARTLY_REVERSED", "REVERSED", "RESTORED"}),
    "REVERSED": frozenset({"PARTLY_REVERSED", "RESTORED"}),
}
_WHATS: Final = ("ISSUED", "VOIDED", "BLANK_VOIDED", *_REVERSALS, *_VERDICTS)


class _Life(NamedTuple):
    """How far an invoice has come.

    ``issue`` and ``end`` are the uploads of its issue and of the statement of kind ``ended``;
    ``""`` before there is one. ``reds`` is what they have done to it last.
    """

    issue: str = ""
    ended: str = ""
    end: str = ""
    reds: str = "RESTORED"


_BEGIN: Final = _Life()


def _after(life: _Life, what: str) -> _Life | None:
    """Return the life after a change; None when it cannot come then."""
    alive = life.issue != "" and life.ended == ""
    if what == "ISSUED":
        return _Life(issue=_OPEN) if life == _BEGIN else None
    if what == "BLANK_VOIDED":
        return _Life(ended="BLANK_VOID", end=_OPEN) if life == _BEGIN else None
    if what == "VOIDED":
        whole = life.reds == _BEGIN.reds
        return life._replace(ended="VOID", end=_OPEN) if alive and whole else None
    if what in _REVERSALS:
        return life._replace(reds=what) if alive and what in _REVERSALS[life.reds] else None
    return _judged(life, *_VERDICTS[what])


def _judged(life: _Life, event: str, word: str) -> _Life | None:
    if event == "ISSUE":
        issue = _UPLOADS.get((life.issue, word))
        return None if issue is None else life._replace(issue=issue)
    end = _UPLOADS.get((life.end, word))
    if end is None or event != life.ended:
        return None
    if (event, word) == ("VOID", "ACCEPTED") and life.issue in _REFUSALS:
        life = life._replace(issue=_RESOLVED)
    return life._replace(end=end)


def _all_lives() -> list[_Life]:
    lives = [_BEGIN]
    for life in lives:  # grows while it is walked
        following = (_after(life, what) for what in _WHATS)
        lives += {one for one in following if one is not None and one not in lives}
    return lives


_LIVES: Final = _all_lives()
_BYTE_OF: Final = {life: at for at, life in enumerate(_LIVES)}
# No invoice comes to this, so it is told apart from all that do.
_IMPOSSIBLE: Final = 254
_ASTRAY: Final = 255
_NOWHERE: Final = bytes([_ASTRAY] * 256)


def _step(what: str) -> bytes:
    """For each byte the one after ``what``."""
    following = (_after(life, what) for life in _LIVES)
    steps = [_ASTRAY if life is None else _BYTE_OF[life] for life in following]
    return bytes(steps).ljust(256, bytes([_ASTRAY]))


_STEPS: Final = {what: _step(what) for what in _WHATS}


def check_lives(
    connection: apsw.Connection, *, slice_rows: int = _SLICE_ROWS
) -> Iterator[list[Finding]]:
    """Check what the changes tell of every invoice, a few thousand rows at a time.

    ``slice_rows`` are held in mind while the changes are read once.
    """
    last = fetch_one(connection, _LAST)
    told_count, first = 0, fetch_one(connection, _FIRST, (-(2**63),))
    while first is not None:
        count = min(slice_rows, last - first + 1)
        lives = _Slice(connection, first, count)
        yield from lives.read()
        yield from lives.replay()
        yield from lives.compare()
        told_count += lives.told_count
        first = fetch_one(connection, _FIRST, (first + count,)) if first + count <= last else None
    strange_count = fetch_one(connection, _COUNT) - told_count
    if strange_count:
        yield [found("I6_CHANGES", "changes", f"{strange_count} tell of no invoice")]


class _Slice:
    """Invoices with ids side by side: what they should be, and what their changes make of them."""

    def __init__(self, connection: apsw.Connection, first: int, count: int) -> None:
        self.told_count = 0
        self._connection = connection
        self._first = first
        self._end = first + count
        self._due = bytearray(count)
        self._now = bytearray(count)
        self._meters = array("q", bytes(8 * count))

    def read(self) -> Iterator[list[Finding]]:
        """Read what each should be."""
        first, end = self._first, self._end
        plain: dict[tuple[str, int], int] = {}
        at = first
        while rows := fetch(self._connection, _INVOICES, (at, end)):
            for invoice_id, state, accepted, meter_id in rows:
                key = state, accepted
                if key not in plain:
                    plain[key] = _byte_of(_life(state, accepted=bool(accepted)))
                self._due[invoice_id - first] = plain[key]
                self._meters[invoice_id - first] = meter_id or 0
            at = rows[-1][0] + 1
            yield []
        at = first
        while rows := fetch(self._connection, _STATEMENTS, (at, end)):
            for invoice_id, kind, accepted in rows:
                self._expect(invoice_id, ended=kind, end="ACCEPTED" if accepted else _OPEN)
            at = rows[-1][0] + 1
            yield []
        place = first, ""
        while rows := fetch(self._connection, _REFUSED, (*place, end)):
            for invoice_id, event, state in rows:
                self._expect(invoice_id, **{"issue" if event == "ISSUE" else "end": state})
            place = rows[-1][0], rows[-1][1]
            yield []

    def replay(self) -> Iterator[list[Finding]]:
        """Let the changes happen again."""
        place = -(2**63), 0
        while rows := fetch(self._connection, _CHANGES, place):
            yield self._replay(rows)
            place = rows[-1][0], rows[-1][1]

    def compare(self) -> Iterator[list[Finding]]:
        """Say of which invoices the changes do not lead to what they are."""
        if self._now != self._due:
            for at, (now, due) in enumerate(zip(self._now, self._due, strict=True)):
                if now not in (due, _ASTRAY):
                    message = f"its changes lead to {_text(now)}, it is {_text(due)}"
                    yield [self._found(self._first + at, message)]

    def _replay(self, rows: list[tuple[int, int, int, str]]) -> list[Finding]:
        findings = []
        now, meters, first, count = self._now, self._meters, self._first, len(self._now)
        for meter_id, change_number, invoice_id, what in rows:
            at = invoice_id - first
            if not 0 <= at < count:
                continue
            self.told_count += 1
            before = now[at]
            after = now[at] = _STEPS.get(what, _NOWHERE)[before]
            if after == _ASTRAY != before:
                message = f"change {change_number} says {what}, it came to {_text(before)} before"
                findings.append(self._found(invoice_id, message))
            if meters[at] != meter_id:
                message = f"change {change_number} of meter {meter_id} is not one of its meter"
                findings.append(self._found(invoice_id, message))
        return findings

    def _expect(self, invoice_id: int, **parts: str) -> None:
        at = invoice_id - self._first
        if self._due[at] >= len(_LIVES):
            return
        life = _LIVES[self._due[at]]._replace(**parts)
        if (life.ended, life.end, life.issue) == ("VOID", "ACCEPTED", _OPEN):
            life = life._replace(issue=_RESOLVED)
        self._due[at] = _byte_of(life)

    def _found(self, invoice_id: int, message: str) -> Finding:
        rows = fetch(self._connection, _NAME, (invoice_id,))
        subject = invoice_subject(*rows[0]) if rows else f"rows/{invoice_id}"
        return found("I6_CHANGES", subject, message)


def _life(state: str, *, accepted: bool) -> _Life:
    """What an invoice should have come to, but for what was stated or refused."""
    if state in ("RESERVED", "BLANK_VOIDED"):
        return _BEGIN
    reds = state if state in _REVERSALS else _BEGIN.reds
    return _Life(issue="ACCEPTED" if accepted else _OPEN, reds=reds)


def _byte_of(life: _Life) -> int:
    return _BYTE_OF.get(life, _IMPOSSIBLE)


def _text(byte: int) -> str:
    if byte >= len(_LIVES):
        return "what no invoice can be"
    life = _LIVES[byte]
    parts = life.issue and f"ISSUE {life.issue}", life.ended and f"{life.ended} {life.end}"
    reds = life.reds if life.reds != _BEGIN.reds else ""
    return ", ".join(filter(None, (*parts, reds))) or "nothing"
