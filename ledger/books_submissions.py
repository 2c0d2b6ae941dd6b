"""The books of submissions: each holds what it was made of, and what it accepted says so."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

import apsw

from ledger.books_tally import Tally, found
from ledger.records import Finding
from ledger.sums import SUM_MASK, accepted
from ledger.values import fetch
from ledger.verdicts import change_of

_OPEN: Final = frozenset({"PREPARED", "IN_DOUBT", "SUBMITTED"})
# Every open event that was claimed is an item of an open submission of its taxpayer.
_STRAY_CLAIMS = """
SELECT o.event_id, o.submission_number
  FROM outbox AS o
 WHERE o.state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT')
   AND NOT EXISTS (SELECT 1
                     FROM submission_item AS m
                     JOIN submission AS s ON s.submission_number = m.submission_number
                    WHERE m.submission_number = o.submission_number
                      AND m.event_id = o.event_id AND s.state = o.state
                      AND s.tax_number = o.tax_number)
"""
_REFUSED = """
SELECT o.event_id, o.tax_number, o.submission_number, s.tax_number, s.state
  FROM outbox AS o
  LEFT JOIN submission AS s ON s.submission_number = o.submission_number
 WHERE o.state IN ('REJECTED', 'SIGNATURE_REJECTED')
   AND (s.tax_number IS NOT o.tax_number OR s.state = 'RELEASED')
"""
# And the other way round.
_ITEMS = """
SELECT m.submission_number, m.event_id, m.invoice_id, m.event, s.state,
       o.invoice_id, o.event, o.submission_number,
       iif(m.event = 'ISSUE', i.submission_number, t.submission_number),
       m.event = 'ISSUE' AND i.submission_number IS NULL
           AND (t.kind, t.submission_number IS NULL) = ('VOID', 0)
  FROM submission_item AS m
  LEFT JOIN submission AS s ON s.submission_number = m.submission_number
  LEFT JOIN outbox AS o ON o.event_id = m.event_id
  LEFT JOIN invoice AS i ON i.invoice_id = m.invoice_id
  LEFT JOIN statement AS t ON t.invoice_id = m.invoice_id AND m.event IN ('ISSUE', t.kind)
 ORDER BY m.submission_number, m.event_id
"""
_RETRIED = """
SELECT DISTINCT invoice_id, what
  FROM change
 WHERE what IN ('RETRIED', 'VOID_RETRIED', 'BLANK_VOID_RETRIED')
"""
_ANSWERED = """
SELECT s.submission_number
  FROM submission AS s
 WHERE s.state IN ('PREPARED', 'IN_DOUBT', 'SUBMITTED')
   AND NOT EXISTS (SELECT 1
                     FROM submission_item AS m
                     JOIN outbox AS o
                       ON o.event_id = m.event_id AND o.submission_number = m.submission_number
                    WHERE m.submission_number = s.submission_number
                      AND o.state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT'))
"""
_SUMS = """
SELECT submission_number, accepted_sum FROM submission WHERE accepted_sum IS NOT NULL
"""
_SAID = """
SELECT submission_number, invoice_id, 'ISSUE' FROM invoice WHERE submission_number IS NOT NULL
 UNION ALL
SELECT submission_number, invoice_id, kind FROM statement WHERE submission_number IS NOT NULL
"""


class _Item(NamedTuple):
    """A row of ``_ITEMS``; ``event_…`` are of its event in the outbox, if it is there."""

    submission_number: int
    event_id: int
    invoice_id: int
    event: str
    state: str | None
    event_invoice_id: int | None
    event_event: str | None
    event_submission_number: int | None
    accepting_number: int | None
    resolved: int | None

    @property
    def about_another(self) -> bool:
        """Whether it has the event's id and not the event."""
        there = self.event_invoice_id, self.event_event
        return self.event_invoice_id is not None and there != (self.invoice_id, self.event)

    @property
    def accounted(self) -> bool:
        """Whether its event is claimed by it, or has its word from it."""
        if self.event_invoice_id is not None:
            return self.event_submission_number == self.submission_number
        return bool(self.resolved) or self.accepting_number == self.submission_number


def acceptance_faults(
    tax_number: str, submission_number: int, submission: tuple[str | None, str | None]
) -> Iterator[str]:
    """Say why an event cannot be accepted in a submission of this taxpayer and state."""
    whose, state = submission
    if whose is None:
        yield f"there is no submission {submission_number}"
    elif whose != tax_number:
        yield f"submission {submission_number} is one of {whose}"
    elif state == "RELEASED":
        yield f"submission {submission_number} was refused as a whole"


def check_submissions(connection: apsw.Connection, tally: Tally) -> Iterator[Finding]:
    """Check submissions against events, and events against submissions."""
    for event_id, number in fetch(connection, _STRAY_CLAIMS):
        yield found("I6_UPLOADED", f"events/{event_id}", f"submission {number} does not hold it")
    for event_id, tax_number, number, *submission in fetch(connection, _REFUSED):
        for fault in acceptance_faults(tax_number, number, (submission[0], submission[1])):
            yield found("I6_UPLOADED", f"events/{event_id}", fault)
    yield from _check_items(connection)
    for (number,) in fetch(connection, _ANSWERED):
        message = "it waits for the authority, and holds nothing that does"
        yield found("I6_UPLOADED", f"submissions/{number}", message)
    yield from _check_sums(connection, tally)


def _check_items(connection: apsw.Connection) -> Iterator[Finding]:
    strange = []
    for row in fetch(connection, _ITEMS):
        item = _Item(*row)
        if item.state not in _OPEN:
            yield _astray(item, f"submission {item.submission_number} is over and holds it still")
        elif item.about_another:
            yield _astray(item, f"submission {item.submission_number} holds it as another")
        elif not item.accounted:
            strange.append(item)
    if not strange:
        return
    # One that was refused may have been retried before the others of its submission were judged.
    retried = set(fetch(connection, _RETRIED))
    for item in strange:
        if (item.invoice_id, change_of(item.event, "RETRIED")) not in retried:
            yield _astray(item, f"submission {item.submission_number} would send it once more")


def _astray(item: _Item, message: str) -> Finding:
    return found("I6_UPLOADED", f"events/{item.event_id}", message)


def _check_sums(connection: apsw.Connection, tally: Tally) -> Iterator[Finding]:
    """Check that what was accepted names the submission that accepted it."""
    total = 0
    for _, accepted_sum in connection.execute(_SUMS):
        total = total + int(str(accepted_sum)) & SUM_MASK
    if total == tally.accepted_sum:
        return
    sums: defaultdict[int, int] = defaultdict(int)
    for number, invoice_id, event in connection.execute(_SAID):
        added = accepted(int(str(number)), int(str(invoice_id)), str(event))
        sums[int(str(number))] = sums[int(str(number))] + added & SUM_MASK
    for number, accepted_sum in fetch(connection, _SUMS):
        if sums[number] != accepted_sum:
            message = "other events say that they were accepted in it than were"
            yield found("I6_UPLOADED", f"submissions/{number}", message)
