"""Keys of this ledger's own, and what is made with them inside it."""

from hashlib import sha256
from hmac import digest
from typing import Final

import apsw

from ledger.values import fetch_one

BUYER_DIGEST: Final = "buyer-digest"
"""Finds invoices by buyer where the file does not tell who bought."""
RESUME_TOKEN: Final = "resume-token"  # noqa: S105 - the name of a secret
"""Makes the tokens of lists and watches, which nobody else can make."""
SECRET_BYTES: Final = 32

# Of the 32 bytes; two of a million million buyers meet once in a million such ledgers.
_BUYER_DIGEST_BYTES = 16


def secret(connection: apsw.Connection, name: str) -> bytes:
    """Return the 32 bytes of the secret ``name``; raise LookupError when there is none."""
    value: bytes | None = fetch_one(connection, "SELECT value FROM secret WHERE name = ?", (name,))
    if value is None:
        raise LookupError(f"the ledger has no secret {name}")
    return value


def buyer_digest(key: bytes, tax_number: str) -> bytes | None:
    """Return how a buyer's tax number is stored; None for a private buyer, who has none."""
    if not tax_number:
        return None
    return digest(key, tax_number.encode(), sha256)[:_BUYER_DIGEST_BYTES]


class Secrets:
    """The secrets of one ledger, each read once. Used by one thread."""

    def __init__(self) -> None:
        self._read: dict[str, bytes] = {}

    def key(self, connection: apsw.Connection, name: str) -> bytes:
        """Return the secret ``name``; LookupError as :func:`secret`."""
        known = self._read.get(name)
        if known is None:
            known = self._read[name] = secret(connection, name)
        return known
