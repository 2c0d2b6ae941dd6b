"""Numbers counted up one by one: machines, grants, serials."""

from typing import Final

import apsw

_NEXT: Final = """
INSERT INTO counter (name, last) VALUES (:name, 1)
ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last
"""


def count_up(connection: apsw.Connection, name: str) -> int:
    """Return the next number under ``name``, from 1."""
    return int(connection.execute(_NEXT, {"name": name}).get)
