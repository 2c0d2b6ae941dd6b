"""The invoice types (发票类型) served, in one table. What differs between types is a column here.

No code elsewhere compares type codes. Types to come (081, 082, D01) are rows.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Need(Enum):
    """Whether a field must, may or must not be filled."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceType:
    """One row of the table.

    ``buyer_contact`` covers address and telephone, and bank and account. More lines than
    ``listed_count_max`` need a separate list (清单); None: never. ``reverses`` are the types of
    the blue invoices a red one of this type may name. ``partial_red``: a blue of this type may be
    reversed in part. Special types have no check code (校验码).
    """

    code: str
    name: str
    chinese_name: str
    special: bool = False
    electronic: bool = False
    buyer_tax_number: Need = Need.OPTIONAL
    buyer_contact: Need = Need.OPTIONAL
    line_count_max: int
    listed_count_max: int | None = None
    remark_bytes_max: int = 200
    qr_kind: str
    partial_red: bool = True
    red_reason: Need = Need.OPTIONAL
    reverses: frozenset[str]


_ALL: Final = (
    InvoiceType(
        code="004",
        name="special VAT invoice, paper",
        chinese_name="增值税专用发票",
        special=True,
        buyer_tax_number=Need.REQUIRED,
        buyer_contact=Need.REQUIRED,
        line_count_max=2000,
        listed_count_max=8,
        qr_kind="01",
        reverses=frozenset({"004"}),
    ),
    InvoiceType(
        code="007",
        name="general VAT invoice, paper",
        chinese_name="增值税普通发票",
        line_count_max=2000,
        listed_count_max=8,
        qr_kind="04",
        reverses=frozenset({"007", "026", "025"}),
    ),
    InvoiceType(
        code="025",
        name="roll invoice",
        chinese_name="增值税普通发票（卷票）",
        buyer_contact=Need.NONE,
        line_count_max=100,
        qr_kind="11",
        # A blue roll invoice is reversed by 007 or 026; no pair names a red roll invoice.
        reverses=frozenset(),
    ),
    InvoiceType(
        code="026",
        name="general VAT invoice, electronic",
        chinese_name="增值税电子普通发票",
        electronic=True,
        line_count_max=100,
        remark_bytes_max=130,
        qr_kind="10",
        partial_red=False,
        red_reason=Need.REQUIRED,
        reverses=frozenset({"007", "026", "025"}),
    ),
    InvoiceType(
        code="028",
        name="special VAT invoice, electronic",
        chinese_name="增值税电子专用发票",
        special=True,
        electronic=True,
        buyer_tax_number=Need.REQUIRED,
        buyer_contact=Need.REQUIRED,
        line_count_max=100,
        remark_bytes_max=130,
        qr_kind="08",
        reverses=frozenset({"028"}),
    ),
)

TYPES: Final = {row.code: row for row in _ALL}

# A request of a type we do not know is refused at `type`; what holds for every type is still
# judged, so that its sender sees all that is wrong at once.
UNKNOWN: Final = InvoiceType(
    code="",
    name="unknown",
    chinese_name="未知",
    line_count_max=max(row.line_count_max for row in _ALL),
    qr_kind="",
    reverses=frozenset(),
)
