"""The nouns of an invoice request, as the authority's FPKJ interface has them.

Rules of this file: data only, no checks (``rules.py`` judges), no wire names (the servicer
and ``fpkj`` translate). Text fields are ``""`` when empty, never None. Money is integer fen.
Field names equal the proto field names of ``taxcontrol.v1.IssueInvoiceRequest``, so that a
violation's path is the path a caller sent.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Blue (蓝字, an ordinary invoice) or red (红字, the negative one that reverses a blue)."""

    BLUE = "blue"
    RED = "red"


class Nature(StrEnum):
    """What a line is (发票行性质, FPHXZ)."""

    PLAIN = "plain"
    DISCOUNT = "discount"
    DISCOUNTED = "discounted"


class ZeroRateFlag(StrEnum):
    """Why a line bears no tax (零税率标识, LSLBS). EMPTY: the rate is above zero."""

    EMPTY = ""
    EXPORT = "0"
    EXEMPT = "1"
    NOT_TAXABLE = "2"
    PLAIN_ZERO = "3"


class Priority(StrEnum):
    """Who goes first when there is not enough for all: people at a counter, or batch work."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Seller (销售方) or buyer (购买方). A private buyer has a name only."""

    tax_number: str = ""
    name: str = ""
    address_phone: str = ""
    bank_account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line (项目).

    ``quantity`` and ``unit_price`` are decimal text, ``""`` when absent. ``rate_ppm`` is
    parts per million: 130000 is 13 %. ``amount_fen`` and ``unit_price`` include tax when
    ``tax_inclusive`` (含税标志 HSBZ = 1). ``deduction_fen`` is None when there is none (扣除额 KCE).
    """

    nature: Nature = Nature.PLAIN
    name: str = ""
    unit: str = ""
    specification: str = ""
    quantity: str = ""
    unit_price: str = ""
    amount_fen: int = 0
    tax_fen: int = 0
    rate_ppm: int = 0
    classification_code: str = ""
    own_code: str = ""
    preferential: bool = False
    preferential_policy: str = ""
    zero_rate_flag: ZeroRateFlag = ZeroRateFlag.EMPTY
    deduction_fen: int | None = None
    tax_inclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The blue invoice a red one reverses. ``code`` is ``""`` for a digital one."""

    code: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Everything a caller says about the invoice it wants; no number and no time yet.

    ``type`` is the field's own code ("026", see ``types.py``). ``original`` is None unless
    the request names one. Of a donation receipt (公益事业捐赠票据) the seller is the issuing
    organisation, the buyer's name the donor (捐赠人), ``donation_project`` (捐赠项目) what the gift
    is for.
    """

    kind: Kind
    type: str
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    net_fen: int
    tax_fen: int
    gross_fen: int
    clerk: str = ""
    payee: str = ""
    reviewer: str = ""
    remark: str = ""
    original: Original | None = None
    red_notice_number: str = ""
    red_reason: str = ""
    list_attached: bool = False
    code_table_version: str = ""
    donation_project: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeGrant:
    """What a taxpayer may issue of one type: rates (ppm) and the per-invoice limit (单张限额) on |net|."""

    type: str
    rates_ppm: frozenset[int]
    invoice_limit_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxpayer:
    """A registered seller as the rules need it.

    ``version`` counts changes of the registration: rules are checked against one version and
    the version is compared again inside the reserving transaction.
    """

    tax_number: str
    name: str
    address_phone: str
    bank_account: str
    grants: dict[str, TypeGrant]
    version: int = 1
