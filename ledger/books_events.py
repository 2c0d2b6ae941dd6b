"""The books of events: each belongs to its invoice or statement, and to its family."""

from collections.abc import Iterator

import apsw

from ledger.books_tally import Tally, found
from ledger.records import Finding
from ledger.values import fetch

# Of the issue of a blue and of a blank void nobody else's event depends.
_ASTRAY = """
SELECT o.event_id, o.event, o.event <> 'ISSUE' AND t.invoice_id IS NULL,
       o.family_id IS NOT CASE o.event
           WHEN 'ISSUE' THEN d.original_id
           WHEN 'VOID' THEN ifnull(d.original_id, o.invoice_id)
       END,
       o.issue_time IS NOT iif(o.event = 'ISSUE', i.issue_time, t.statement_time)
  FROM outbox AS o
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
  LEFT JOIN red AS d ON d.invoice_id = o.invoice_id
  LEFT JOIN statement AS t
    ON t.invoice_id = o.invoice_id AND t.kind = o.event AND t.state = 'SETTLED'
 WHERE (o.event <> 'ISSUE' AND t.invoice_id IS NULL)
    OR o.family_id IS NOT CASE o.event
           WHEN 'ISSUE' THEN d.original_id
           WHEN 'VOID' THEN ifnull(d.original_id, o.invoice_id)
       END
    OR o.issue_time IS NOT iif(o.event = 'ISSUE', i.issue_time, t.statement_time)
"""
_REFUSED = """
SELECT i.tax_number, i.machine_number, i.type, o.event, o.invoice_id
  FROM outbox AS o
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
 WHERE o.state IN ('REJECTED', 'SIGNATURE_REJECTED')
"""


def check_events(connection: apsw.Connection, tally: Tally) -> Iterator[Finding]:
    """Check every event, and add up those that were refused."""
    for event_id, event, unstated, wrong_family, wrong_time in fetch(connection, _ASTRAY):
        subject = f"events/{event_id}"
        if unstated:
            yield found("I6_STATED", subject, f"there is no signed {event}")
            continue
        if wrong_family:
            yield found("I6_UPLOADED", subject, "it keeps in step with another family")
        if wrong_time:
            yield found("I6_UPLOADED", subject, "its time is not that of what it reports")
    for *meter, event, invoice_id in connection.execute(_REFUSED):
        tax_number, machine_number, type_code = meter
        sums = tally.meters[str(tax_number), str(machine_number), str(type_code)]
        sums.refused[str(event)].add(int(str(invoice_id)))
