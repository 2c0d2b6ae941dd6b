"""What is asked of the books and what they answer: lists, changes, what a stranger may check.

Plain data, as in ``ledger.records``.
"""

from dataclasses import dataclass

from invoice.lifecycle import InvoiceState, UploadState
from ledger.records import InvoiceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFilter:
    """Which invoices of a taxpayer; every part that is set must fit.

    ``""`` and None mean all. Issue times are unix seconds, ``issued_before`` not included. Numbers
    are text of equal width, both included, and belong to exactly ``code`` (``""`` if digital).
    ``upload_state`` is that of an invoice's last event.
    """

    tax_number: str
    point: int | None = None
    type: str = ""
    code: str = ""
    first_number: str = ""
    last_number: str = ""
    issued_from: int | None = None
    issued_before: int | None = None
    state: InvoiceState | None = None
    upload_state: UploadState | None = None
    buyer_tax_number: str = ""

    @property
    def by_number(self) -> bool:
        """Whether there is a range of numbers, which decides the order of the list."""
        return bool(self.first_number or self.last_number)


@dataclass(frozen=True, slots=True)
class ListPosition:
    """A place in a list, of either order; nothing in it ever changes."""

    issue_time: int
    invoice_id: int
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePage:
    """One page: the ``records`` with their ``positions``, and where the ``next`` page begins after.

    ``next`` is None on the last page. A page may be empty and not the last.
    """

    records: tuple[InvoiceRecord, ...]
    positions: tuple[ListPosition, ...]
    next: ListPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """One change of a meter, and the invoice as it stands when it is read.

    ``what`` is ISSUED, PARTLY_REVERSED, REVERSED, RESTORED, VOIDED or BLANK_VOIDED; or of the upload
    ACCEPTED, REJECTED, SIGNATURE_REJECTED or RETRIED, for a void or blank void with its name before.
    ``record`` is None when the change is of a point that was not asked for.
    """

    meter_id: int
    change_number: int
    what: str
    at: float
    record: InvoiceRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedRecord:
    """What is printed of an invoice, and where it stands: enough to check it against paper."""

    type: str
    state: InvoiceState
    issue_time: int
    net_fen: int
    check_code: str
