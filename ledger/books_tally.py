"""What a check of the books adds up while it reads."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from ledger.meters import MeterName
from ledger.records import Finding

Findings: TypeAlias = Iterable[Finding]

_MASK = (1 << 64) - 1


def found(check: str, subject: str, message: str) -> Finding:
    """Write one finding."""
    return Finding(check=check, subject=subject, message=message)


def invoice_subject(tax_number: str, code: str, number: str) -> str:
    """Name an invoice in a finding, even one whose number is damaged."""
    return f"taxpayers/{tax_number}/invoices/{code}{'-' if code else ''}{number}"


@dataclass(slots=True)
class Fingerprint:
    """Which invoices, in any order, in constant space: a count and a sum of scattered ids.

    Two different sets agree by chance once in 2^64.
    """

    count: int = 0
    total: int = 0

    def add(self, invoice_id: int) -> None:
        """Add one invoice."""
        self.count += 1
        # Two rounds of a 64-bit finaliser, so that neighbouring ids share nothing.
        mixed = (invoice_id ^ invoice_id >> 33) * 0xFF51AFD7ED558CCD & _MASK
        mixed = (mixed ^ mixed >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
        self.total = self.total + (mixed ^ mixed >> 33) & _MASK

    def __add__(self, other: "Fingerprint") -> "Fingerprint":
        """Return both together; what is in both counts twice."""
        return Fingerprint(self.count + other.count, self.total + other.total & _MASK)

    def __sub__(self, other: "Fingerprint") -> "Fingerprint":
        """Return what is left without the other."""
        return Fingerprint(self.count - other.count, self.total - other.total & _MASK)


def _fingerprints() -> defaultdict[str, Fingerprint]:
    return defaultdict(Fingerprint)


@dataclass(slots=True)
class MeterTally:
    """What the invoices of one meter add up to.

    ``changes`` are those that must have been told, by name; ``refused`` the events in the outbox
    that the authority refused, by kind; ``resolved`` the issues of which it took the void instead.
    """

    reserved_count: int = 0
    reserved_amount_fen: int = 0
    last_issue_time: int = 0
    changes: defaultdict[str, Fingerprint] = field(default_factory=_fingerprints)
    refused: defaultdict[str, Fingerprint] = field(default_factory=_fingerprints)
    resolved: Fingerprint = field(default_factory=Fingerprint)


@dataclass(slots=True)
class Tally:
    """What all invoices add up to."""

    checked_count: int = 0
    issued_count: int = 0
    reserved_count: int = 0
    uploaded_count: int = 0
    meters: defaultdict[MeterName, MeterTally] = field(
        default_factory=lambda: defaultdict(MeterTally)
    )
