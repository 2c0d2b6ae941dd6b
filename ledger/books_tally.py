"""What a check of the books adds up while it reads."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from ledger.meters import MeterName
from ledger.month_totals import MonthTotals
from ledger.records import Finding
from ledger.sums import SUM_MASK, accepted

Findings: TypeAlias = Iterable[Finding]


def found(check: str, subject: str, message: str) -> Finding:
    """Write one finding."""
    return Finding(check=check, subject=subject, message=message)


def invoice_subject(tax_number: str, code: str, number: str) -> str:
    """Name an invoice in a finding, even one whose number is damaged."""
    return f"taxpayers/{tax_number}/invoices/{code}{'-' if code else ''}{number}"


@dataclass(slots=True)
class MeterTally:
    """What the invoices of one meter add up to."""

    reserved_count: int = 0
    reserved_amount_fen: int = 0
    oldest_reserved_time: int = 0
    last_issue_time: int = 0


@dataclass(slots=True)
class Tally:
    """What all invoices add up to; ``accepted_sum`` of what says in which submission it was accepted."""

    checked_count: int = 0
    issued_count: int = 0
    reserved_count: int = 0
    uploaded_count: int = 0
    rejected_count: int = 0
    pending_count: int = 0
    accepted_sum: int = 0
    meters: defaultdict[MeterName, MeterTally] = field(
        default_factory=lambda: defaultdict(MeterTally)
    )
    months: MonthTotals = field(default_factory=MonthTotals)

    def add_accepted(self, submission_number: int, invoice_id: int, event: str) -> None:
        """Add an event that says that it was accepted in a submission."""
        added = accepted(submission_number, invoice_id, event)
        self.accepted_sum = self.accepted_sum + added & SUM_MASK
