"""Bringing a ledger's schema up to date, one numbered file after another.

What was applied is remembered with its checksum. A file that reads otherwise today, or a step
that this software does not know, ends the start: guessing at a schema loses invoices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

import apsw

from ledger.errors import LedgerTooNew, NotALedger
from ledger.opening import APPLICATION_ID
from ledger.values import fetch

_TABLE = """
CREATE TABLE IF NOT EXISTS migration (
    number     INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at REAL NOT NULL
) STRICT
"""
_APPLIED = "SELECT number, name, checksum FROM migration ORDER BY number"
_REMEMBER = "INSERT INTO migration (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: ``0001_books.sql`` has number 1 and name ``books``."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the script, in hexadecimal."""
        return sha256(self.script.encode()).hexdigest()


def shipped() -> tuple[Migration, ...]:
    """Return the steps this software comes with, in order."""
    folder = files("ledger.migrations")
    scripts = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(sorted(map(_read, scripts), key=lambda step: step.number))


def migrate(connection: apsw.Connection, steps: Sequence[Migration], now: float) -> None:
    """Apply what is missing, each step in its own transaction.

    Raises:
        LedgerTooNew: A step was applied that is not among ``steps``.
        NotALedger: An applied step reads otherwise, or one before it is missing.
    """
    with connection:
        connection.pragma("application_id", APPLICATION_ID)
        connection.execute(_TABLE)
    applied = fetch(connection, _APPLIED)
    _check(applied, steps)
    for step in steps[len(applied) :]:
        with connection:
            fetch(connection, step.script)
            connection.execute(_REMEMBER, (step.number, step.name, step.checksum, now))


def _check(applied: Iterable[tuple[int, str, str]], steps: Sequence[Migration]) -> None:
    known = {step.number: step for step in steps}
    for position, (number, name, checksum) in enumerate(applied):
        step = known.get(number)
        if step is None:
            raise LedgerTooNew(f"migration {number:04} ({name}) is not known to this version")
        if step.checksum != checksum:
            raise NotALedger(f"migration {number:04} ({name}) is not the one that was applied")
        if step is not steps[position]:
            raise NotALedger(f"migration {steps[position].number:04} was never applied")


def _read(entry: Traversable) -> Migration:
    number, _, name = entry.name.removesuffix(".sql").partition("_")
    return Migration(int(number), name, entry.read_text(encoding="utf-8"))
