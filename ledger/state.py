"""What can be measured of a ledger at one look, without asking the database. Read from any thread."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """Sizes of the file and of its write-ahead log, and the pieces of work that wait for the writer.

    ``free_bytes`` is what is left on the disk for a user without privileges.
    """

    file_bytes: int
    log_bytes: int
    free_bytes: int
    waiting_count: int


def state_of(path: Path, *, waiting_count: int) -> StoreState:
    """Look at the ledger ``path``; raise ``OSError`` when its folder cannot be read."""
    disk = os.statvfs(path.parent)
    return StoreState(
        file_bytes=_size(path),
        log_bytes=_size(path.with_name(path.name + "-wal")),
        free_bytes=disk.f_bavail * disk.f_frsize,
        waiting_count=waiting_count,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # the log is gone while nobody has the ledger open
        return 0
