"""The books of events: each belongs to its invoice or statement, and to its family."""

from collections.abc import Iterator
from typing import Final

import apsw

from ledger.books_tally import Tally, found
from ledger.records import Finding
from ledger.values import fetch, fetch_one

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
_COUNTS = """
SELECT count(*) FILTER (WHERE state IN ('REJECTED', 'SIGNATURE_REJECTED')),
       count(*) FILTER (WHERE state NOT IN ('REJECTED', 'SIGNATURE_REJECTED'))
  FROM outbox
"""
# The last that the books have heard of the time. A gateway at work beats every few seconds.
_NOW = """
SELECT max(ifnull((SELECT max(beat_at) FROM worker), 0),
           ifnull((SELECT at FROM audit ORDER BY audit_id DESC LIMIT 1), 0),
           ifnull((SELECT created_at FROM submission ORDER BY submission_number DESC LIMIT 1), 0))
"""
_STUCK = """
SELECT event_id, not_before, batch_count_max
  FROM outbox
 WHERE not_before > ? OR batch_count_max < 1
"""
# W3C's form, version 00. What is none would be left out of its trace without a word.
_UNTRACEABLE = """
SELECT event_id
  FROM outbox
 WHERE traceparent IS NOT NULL
   AND (length(traceparent) <> 55 OR traceparent NOT GLOB '00-*-*-[0-9a-f][0-9a-f]'
        OR substr(traceparent, 4, 32) GLOB '*[^0-9a-f]*'
        OR substr(traceparent, 37, 16) GLOB '*[^0-9a-f]*')
"""
# Whoever puts an event off means moments; the rest is left for clocks.
_PUT_OFF_S_MAX: Final = 48 * 3600.0


def check_events(connection: apsw.Connection, tally: Tally) -> Iterator[Finding]:
    """Check every event, and add up those that were refused and those that are open."""
    ((tally.rejected_count, tally.pending_count),) = fetch(connection, _COUNTS)
    for event_id, event, unstated, wrong_family, wrong_time in fetch(connection, _ASTRAY):
        subject = f"events/{event_id}"
        if unstated:
            yield found("I6_STATED", subject, f"there is no signed {event}")
            continue
        if wrong_family:
            yield found("I6_UPLOADED", subject, "it keeps in step with another family")
        if wrong_time:
            yield found("I6_UPLOADED", subject, "its time is not that of what it reports")
    yield from _check_pace(connection)
    for (event_id,) in fetch(connection, _UNTRACEABLE):
        yield found("I6_TRACED", f"events/{event_id}", "what it calls its trace is none")


def _check_pace(connection: apsw.Connection) -> Iterator[Finding]:
    """Check that nothing keeps an event from ever being sent."""
    latest = fetch_one(connection, _NOW) + _PUT_OFF_S_MAX
    for event_id, not_before, batch_count_max in fetch(connection, _STUCK, (latest,)):
        subject = f"events/{event_id}"
        if not_before > latest:
            yield found("I6_UPLOADED", subject, f"it is put off until {not_before:.0f}")
        if batch_count_max is not None and batch_count_max < 1:
            yield found("I6_UPLOADED", subject, f"it goes in batches of {batch_count_max}")
