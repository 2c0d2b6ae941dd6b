"""The books of changes: each meter's are numbered from 1 without a gap, up to its last."""

from collections.abc import Iterator

import apsw

from ledger.books_tally import found
from ledger.records import Finding
from ledger.values import fetch, fetch_one

# Numbers of one meter are unique, so these three tell of every gap.
_METERS = """
SELECT m.tax_number, m.machine_number, m.type, m.change_number,
       count(c.change_number), ifnull(min(c.change_number), 1), ifnull(max(c.change_number), 0)
  FROM meter AS m
  LEFT JOIN change AS c ON c.meter_id = m.meter_id
 GROUP BY m.meter_id
"""
_STRAY = "SELECT count(*) FROM change WHERE meter_id NOT IN (SELECT meter_id FROM meter)"


def check_changes(connection: apsw.Connection) -> Iterator[Finding]:
    """Check that no change is missing; what they tell is checked with the lives."""
    for *meter, due, count, first, last in fetch(connection, _METERS):
        subject = "taxpayers/{}/devices/{}/types/{}".format(*meter)
        if last != due:
            yield found("I6_CHANGES", subject, f"the last is {last}, the meter says {due}")
        if (first, last) != (1, count):
            missing = f"there are {count} changes, numbered from {first} to {last}"
            yield found("I6_CHANGES", subject, missing)
    if fetch_one(connection, _STRAY):
        yield found("I6_CHANGES", "changes", "there are changes of no meter")
