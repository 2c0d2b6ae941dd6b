"""Workers and their heartbeats: whose reserved entries are still being finished."""

import apsw

from ledger import permits, uploads
from ledger.rows import DEAD_AFTER_S
from ledger.values import fetch

_OTHERS = "DELETE FROM worker WHERE worker <> ?"
_BEAT = """
INSERT INTO worker (worker, beat_at) VALUES (?, ?)
    ON CONFLICT (worker) DO UPDATE SET beat_at = max(beat_at, excluded.beat_at)
"""
_ALIVE = "SELECT 1 FROM worker WHERE worker = ? AND beat_at > ?"
_TOUCH = "UPDATE worker SET beat_at = beat_at"


def start(connection: apsw.Connection, *, worker: str, now: float, boot: permits.Boot) -> None:
    """Enrol the only worker there can be, and doubt whatever the last one left unanswered."""
    connection.execute(_OTHERS, (worker,))
    beat(connection, worker=worker, now=now)
    uploads.doubt_prepared(connection)
    permits.take_over(connection, now, boot)


def beat(connection: apsw.Connection, *, worker: str, now: float) -> None:
    """Store that a worker lives. A clock set back does not make it look dead."""
    connection.execute(_BEAT, (worker, now))


def alive(connection: apsw.Connection, *, worker: str, now: float) -> bool:
    """Return whether a worker has been heard of lately."""
    return bool(fetch(connection, _ALIVE, (worker, now - DEAD_AFTER_S)))


def touch(connection: apsw.Connection) -> None:
    """Write something that changes nothing: the disk has to take it all the same."""
    connection.execute(_TOUCH)
