"""Permits: what the authority's rate windows have seen, kept over restarts.

Rules of this file. Stored times are by the clock of the process that runs: the wall clock when it
started and the monotonic one since (``gateway/upload/pacer.py``), so a step opens no window. The
next process takes them over through the monotonic clock, which goes on while the machine does.
After a boot nobody knows how long it was away, for the wall clock may have been set: what might
still count is then answered at the start.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import apsw

from ledger.records import Permit
from ledger.values import fetch

# An operator may have set a longer window than any of the authority's.
_LONGEST = """
max((SELECT longest_window_s FROM taxpayer WHERE tax_number = {taxpayer}),
    ifnull((SELECT max(value ->> 0) FROM upload_control, json_each(windows)
             WHERE tax_number = {taxpayer}), 0))
"""
# One window after its answer a permit counts nowhere any more; twice that leaves room for clocks.
_FORGET = f"""
DELETE FROM permit
 WHERE tax_number = ?1 AND answered_at < ?2 - 2 * {_LONGEST.format(taxpayer="?1")}
"""  # noqa: S608 - put together from constants
_ADD = "INSERT INTO permit (tax_number, sent_at) VALUES (?, ?)"
_ANSWER = "UPDATE permit SET answered_at = ? WHERE permit_id = ? AND answered_at IS NULL"
_ANSWER_OPEN = "UPDATE permit SET answered_at = max(?, sent_at) WHERE answered_at IS NULL"
_CLOCK = "SELECT boot_id, epoch FROM permit_clock"
_SET_CLOCK = (
    "INSERT OR REPLACE INTO permit_clock (permit_clock_id, boot_id, epoch) VALUES (1, ?, ?)"
)
_SHIFT = "UPDATE permit SET sent_at = sent_at + ?1, answered_at = answered_at + ?1"
# What was over before the last permit is over. All others move to the new clock, both times, so
# that it is behind whatever counts. The margin is that of two clocks.
_MOVE = f"""
UPDATE permit AS p
   SET sent_at = ?1, answered_at = ?1
 WHERE answered_at IS NULL
    OR answered_at > (SELECT coalesce(answered_at, sent_at) FROM permit
                       WHERE tax_number = p.tax_number ORDER BY permit_id DESC LIMIT 1)
                   - 1.001 * {_LONGEST.format(taxpayer="p.tax_number")} - 1
"""  # noqa: S608 - put together from constants
_COUNTING = """
SELECT permit_id, tax_number, sent_at, answered_at
  FROM permit
 WHERE tax_number = ? AND (answered_at IS NULL OR answered_at > ?)
 ORDER BY permit_id
"""


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Boot:
    """A moment of the machine: which boot it is, "" if that is not known, and how far into it."""

    boot_id: str
    monotonic_s: float


def this_boot() -> Boot:
    """Read the machine's."""
    try:
        boot_id = _BOOT_ID.read_text("ascii").strip()
    except OSError:
        boot_id = ""
    return Boot(boot_id, time.monotonic())


def add(connection: apsw.Connection, tax_number: str, sent_at: float) -> Permit:
    """Store a permit and forget those that count in no window any more."""
    connection.execute(_FORGET, (tax_number, sent_at))
    connection.execute(_ADD, (tax_number, sent_at))
    return Permit(
        permit_id=connection.last_insert_rowid(),
        tax_number=tax_number,
        sent_at=sent_at,
        answered_at=None,
    )


def answer(connection: apsw.Connection, permit: Permit, answered_at: float) -> None:
    """Store when its call was answered or timed out; the first word counts."""
    connection.execute(_ANSWER, (answered_at, permit.permit_id))


def take_over(connection: apsw.Connection, now: float, boot: Boot) -> None:
    """At a start, read every permit on the new process's clock; unanswered ones are answered now."""
    epoch = now - boot.monotonic_s
    known = fetch(connection, _CLOCK)
    if known and boot.boot_id and known[0][0] == boot.boot_id:
        connection.execute(_SHIFT, (epoch - known[0][1],))
        connection.execute(_ANSWER_OPEN, (now,))
    else:
        connection.execute(_MOVE, (now,))
    connection.execute(_SET_CLOCK, (boot.boot_id, epoch))


def counting(connection: apsw.Connection, tax_number: str, answered_after: float) -> list[Permit]:
    """Return permits unanswered or answered after an instant."""
    rows = fetch(connection, _COUNTING, (tax_number, answered_after))
    return [
        Permit(permit_id=row[0], tax_number=row[1], sent_at=row[2], answered_at=row[3])
        for row in rows
    ]
