"""Sums of scattered numbers: whether two lists hold the same, in any order, in constant space."""

from hashlib import sha256
from typing import Final

SUM_MASK: Final = (1 << 62) - 1
"""Sums are taken modulo this and one; two of them are added inside SQLite without overflow."""


def accepted(submission_number: int, invoice_id: int, event: str) -> int:
    """Return what the acceptance of an event in a submission adds.

    Two different lists have the same sum by chance once in 2^62.
    """
    digest = sha256(b"%d %d %s" % (submission_number, invoice_id, event.encode())).digest()
    return int.from_bytes(digest[:8]) & SUM_MASK
