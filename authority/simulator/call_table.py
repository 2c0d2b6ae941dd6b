"""The calls the windows count, and the windows' verdict on the next one."""

from typing import Final

import apsw

from authority.simulator.policy import Policy
from authority.simulator.refusal import Refusal
from authority.simulator.windows import wait_ns

_LAST: Final = """
SELECT admitted_ordinal FROM call
WHERE tax_number = :tax_number AND admitted_ordinal IS NOT NULL
ORDER BY admitted_ordinal DESC LIMIT 1
"""
_ARRIVAL: Final = """
SELECT arrival_ns FROM call WHERE tax_number = :tax_number AND admitted_ordinal = :ordinal
"""
_LATEST: Final = "SELECT arrival_ns FROM call ORDER BY call_id DESC LIMIT 1"
_ADD: Final = """
INSERT INTO call (tax_number, method, arrival_ns, admitted_ordinal)
VALUES (:tax_number, :method, :arrival_ns, :ordinal)
"""

EXPORT: Final = """
SELECT tax_number, method, arrival_ns, admitted_ordinal IS NULL FROM call
WHERE :tax_number IN ('', tax_number) ORDER BY call_id
"""


def count_call(
    connection: apsw.Connection,
    *,
    tax_number: str,
    method: str,
    arrival_ns: int,
    policy: Policy,
    since_ns: int,
) -> int:
    """Put the call on record; return how many ns it must wait, 0 when it is admitted.

    Calls before ``since_ns`` do not count. Arrivals never run backwards on the record, whatever
    the clock did over a restart.
    """
    latest = connection.execute(_LATEST).fetchone()
    now_ns = max(arrival_ns, latest[0]) if latest else arrival_ns
    last = connection.execute(_LAST, {"tax_number": tax_number}).fetchone()
    admitted_count = last[0] if last else 0

    def nth_last(n: int) -> int | None:
        row = connection.execute(
            _ARRIVAL, {"tax_number": tax_number, "ordinal": admitted_count - n + 1}
        ).fetchone()
        return row[0] if row and row[0] >= since_ns else None

    waiting_ns = wait_ns(policy.windows, now_ns, nth_last)
    connection.execute(
        _ADD,
        {
            "tax_number": tax_number,
            "method": method,
            "arrival_ns": now_ns,
            "ordinal": None if waiting_ns else admitted_count + 1,
        },
    )
    return waiting_ns


def throttled(waiting_ns: int) -> Refusal:
    """Return the refusal of a call that passes a window."""
    retry_s = waiting_ns / 1e9
    return Refusal("THROTTLED", f"a rate window is full for {retry_s:.3f} s", retry_s=retry_s)
