"""What a run has done, so that books and authorities can be held against it."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from taxcontrol.v1.invoice_pb2 import IssuedInvoice, VoidStatement


class InvoiceParts(NamedTuple):
    """What an invoice's name is made of; ``code`` is ``""`` where there is none."""

    tax_number: str
    code: str
    number: str


class ReturnedNumbers(NamedTuple):
    """Numbers that went back to the authority."""

    tax_number: str
    type: str
    code: str
    first_number: str
    number_count: int


@dataclass(slots=True, kw_only=True)
class Deeds:
    """Everything that an authority must have heard of, as the gateway answered it.

    ``issued`` holds the reds too; ``reds`` says how many of them there are.
    """

    issued: list[IssuedInvoice] = field(default_factory=list)
    reds: int = 0
    voids: list[VoidStatement] = field(default_factory=list)
    blank_voids: list[VoidStatement] = field(default_factory=list)
    returned: list[ReturnedNumbers] = field(default_factory=list)

    @property
    def event_count(self) -> int:
        """How many events there are to upload."""
        return len(self.issued) + len(self.voids) + len(self.blank_voids)

    @property
    def returned_count(self) -> int:
        """How many numbers went back."""
        return sum(one.number_count for one in self.returned)

    def of(self, tax_numbers: Container[str]) -> Self:
        """The part of some taxpayers."""
        issued = [one for one in self.issued if parts(one.name).tax_number in tax_numbers]
        return type(self)(
            issued=issued,
            voids=[one for one in self.voids if parts(one.invoice).tax_number in tax_numbers],
            blank_voids=[
                one for one in self.blank_voids if parts(one.invoice).tax_number in tax_numbers
            ],
            returned=[one for one in self.returned if one.tax_number in tax_numbers],
        )


def parts(name: str) -> InvoiceParts:
    """Take ``taxpayers/{tax_number}/invoices/{code}-{number}`` apart."""
    _, tax_number, _, last = name.split("/")
    code, _, number = last.rpartition("-")
    return InvoiceParts(tax_number, code, number)
