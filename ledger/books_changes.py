"""The books of changes: numbered without a gap, and exactly those the invoices have been through."""

from collections import defaultdict
from collections.abc import Iterator

import apsw

from ledger.books_tally import Findings, Fingerprint, Tally, found
from ledger.meters import MeterName
from ledger.records import Finding
from ledger.values import fetch
from ledger.verdicts import change_of

_METERS = """
SELECT meter_id, change_number, tax_number, machine_number, type FROM meter ORDER BY meter_id
"""
_PAGE = """
SELECT change_number, invoice_id, what
  FROM change
 WHERE meter_id = ? AND change_number > ?
 ORDER BY change_number
 LIMIT 5000
"""
_EVENTS = ("ISSUE", "VOID", "BLANK_VOID")
# Each of these is told once of an invoice; what reds do to their blue is checked with the reds.
_ONCE = ("ISSUED", "VOIDED", "BLANK_VOIDED", *(change_of(event, "ACCEPTED") for event in _EVENTS))
_REVERSING = ("PARTLY_REVERSED", "REVERSED", "RESTORED")
_REFUSING = ("REJECTED", "SIGNATURE_REJECTED", "RETRIED")
_KNOWN = frozenset(
    (*_ONCE, *_REVERSING, *(change_of(event, what) for event in _EVENTS for what in _REFUSING))
)
_STRAY = "SELECT count(*) FROM change WHERE meter_id NOT IN (SELECT meter_id FROM meter)"


def check_changes(connection: apsw.Connection, tally: Tally) -> Iterator[list[Finding]]:
    """Check each meter's changes, a few thousand at a time, against the invoices added up before."""
    for meter_id, last_change, *name in fetch(connection, _METERS):
        meter: MeterName = (name[0], name[1], name[2])
        seen: defaultdict[str, Fingerprint] = defaultdict(Fingerprint)
        at = 0
        while rows := fetch(connection, _PAGE, (meter_id, at)):
            findings = []
            for change_number, invoice_id, what in rows:
                if change_number != at + 1:
                    missing = f"changes {at + 1} to {change_number - 1} are missing"
                    findings.append(found("I6_CHANGES", _subject(meter), missing))
                at = change_number
                seen[what].add(invoice_id)
            yield findings
        yield list(_compare(meter, at, last_change, seen, tally))
    if fetch(connection, _STRAY)[0][0]:
        yield [found("I6_CHANGES", "changes", "there are changes of no meter")]


def _compare(
    meter: MeterName,
    at: int,
    last_change: int,
    seen: defaultdict[str, Fingerprint],
    tally: Tally,
) -> Findings:
    if at != last_change:
        yield found(
            "I6_CHANGES", _subject(meter), f"the last is {at}, the meter says {last_change}"
        )
    sums = tally.meters[meter]
    for what in _ONCE:
        if seen[what] != sums.changes[what]:
            yield found("I6_CHANGES", _subject(meter), f"{what} changes and invoices differ")
    for event in _EVENTS:
        rejected, signature_rejected, retried = (seen[change_of(event, what)] for what in _REFUSING)
        due = sums.refused[event]
        if event == "ISSUE":
            due += sums.resolved
        if rejected + signature_rejected - retried != due:
            yield found("I6_CHANGES", _subject(meter), f"refusals of {event} and changes differ")
    for what in seen.keys() - _KNOWN:
        yield found("I6_CHANGES", _subject(meter), f"nobody knows what {what} is")


def _subject(meter: MeterName) -> str:
    tax_number, machine_number, type_code = meter
    return f"taxpayers/{tax_number}/devices/{machine_number}/types/{type_code}"
