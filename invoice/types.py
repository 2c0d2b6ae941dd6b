"""The invoice types (发票类型) served, in one table. What differs between types is a column here.

No code elsewhere compares type codes.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Need(Enum):
    """Whether a field must, may or must not be filled."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


class Office(StrEnum):
    """Who grants the numbers of a type and receives its invoices."""

    TAX = "tax"  # 税务局
    FINANCE = "finance"  # the provincial finance department (财政)


class CheckCode(Enum):
    """What the check code (校验码) of a type looks like."""

    NONE = "none"
    DIGITS = "20 of 0-9"
    CHARACTERS = "6 of 0-9a-z"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceType:
    """One row of the table.

    ``code_widths`` and ``number_width`` are digits of the invoice code and number; a code of
    width 0 is empty. ``vat``: the document states tax, and the rules about tax apply.
    ``buyer_contact`` covers address and telephone, and bank and account. More lines than
    ``listed_count_max`` need a separate list (清单); None: never. ``reverses`` are the types of
    the blue invoices a red one of this type may name. ``partial_red``: a blue of this type may be
    reversed in part. ``red_notice`` and ``red_reason`` say what a red of this type states.
    """

    code: str
    name: str
    chinese_name: str
    authority: Office = Office.TAX
    code_widths: tuple[int, ...] = (10, 12)
    number_width: int = 8
    check_code: CheckCode = CheckCode.DIGITS
    fiscal_code: bool = True
    vat: bool = True
    special: bool = False
    electronic: bool = False
    buyer_tax_number: Need = Need.OPTIONAL
    buyer_contact: Need = Need.OPTIONAL
    line_count_max: int
    listed_count_max: int | None = None
    remark_bytes_max: int = 200
    qr_kind: str
    donation_project: Need = Need.NONE
    partial_red: bool = True
    red_notice: Need = Need.OPTIONAL
    red_reason: Need = Need.OPTIONAL
    reverses: frozenset[str]


_ALL: Final = (
    InvoiceType(
        code="004",
        name="special VAT invoice, paper",
        chinese_name="增值税专用发票",
        check_code=CheckCode.NONE,
        special=True,
        buyer_tax_number=Need.REQUIRED,
        buyer_contact=Need.REQUIRED,
        line_count_max=2000,
        listed_count_max=8,
        qr_kind="01",
        red_notice=Need.REQUIRED,
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
        check_code=CheckCode.NONE,
        special=True,
        electronic=True,
        buyer_tax_number=Need.REQUIRED,
        buyer_contact=Need.REQUIRED,
        line_count_max=100,
        remark_bytes_max=130,
        qr_kind="08",
        red_notice=Need.REQUIRED,
        reverses=frozenset({"028"}),
    ),
    # The kinds 31 and 32 are those of real fully digital invoices; domain reference §2 does not
    # list them.
    InvoiceType(
        code="081",
        name="special VAT invoice, fully digital",
        chinese_name="数电票（增值税专用发票）",
        code_widths=(0,),
        number_width=20,
        check_code=CheckCode.NONE,
        special=True,
        electronic=True,
        buyer_tax_number=Need.REQUIRED,
        buyer_contact=Need.REQUIRED,
        line_count_max=2000,
        qr_kind="31",
        red_notice=Need.REQUIRED,
        reverses=frozenset({"081"}),
    ),
    InvoiceType(
        code="082",
        name="general VAT invoice, fully digital",
        chinese_name="数电票（普通发票）",
        code_widths=(0,),
        number_width=20,
        electronic=True,
        line_count_max=2000,
        qr_kind="32",
        reverses=frozenset({"082"}),
    ),
    InvoiceType(
        code="D01",
        name="donation receipt",
        chinese_name="公益事业捐赠票据",
        authority=Office.FINANCE,
        code_widths=(8,),
        number_width=10,
        check_code=CheckCode.CHARACTERS,
        fiscal_code=False,
        vat=False,
        electronic=True,
        buyer_contact=Need.NONE,
        line_count_max=100,
        qr_kind="D1",  # our own: the finance department's receipts have no published kind
        donation_project=Need.REQUIRED,
        partial_red=False,
        red_notice=Need.NONE,
        reverses=frozenset({"D01"}),
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
    donation_project=Need.OPTIONAL,
    reverses=frozenset(),
)
