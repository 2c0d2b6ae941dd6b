"""The FPKJ fields and ours, in two tables; both directions read them.

An element is required here only where our message cannot say "empty" (amounts, kind, nature);
whether a filled text is good, or an empty one missed, is for the gateway's rules, which name our
fields.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taxcontrol.v1 import invoice_pb2 as pb

_YUAN: Final = re.compile(r"(-?)([0-9]{1,13})(?:\.([0-9]{1,2}))?")
_RATE: Final = re.compile(r"([0-9])(?:\.([0-9]{1,6}))?")
_RATE_PPM_MAX: Final = 9_999_999

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written. Both ways raise ``ValueError`` with a sentence when it is not one."""

    read: Callable[[str], Value]
    write: Callable[[Value], str]


@dataclass(frozen=True, slots=True)
class Field:
    """One element: its name, the path in our message, its form.

    ``absent``: our message tells absence from the default value.
    """

    element: str
    path: str
    form: Form
    required: bool = False
    absent: bool = False


def fen(text: str) -> int:
    """Read yuan as fen. At most two decimals, so nothing is ever rounded."""
    match = _YUAN.fullmatch(text)
    if match is None:
        raise ValueError("must be yuan with at most two decimals")
    sign, yuan, cents = match.groups("")
    return int(f"{sign}{yuan}{cents:0<2}")


def yuan(fen: Value) -> str:
    """Write fen as yuan with two decimals."""
    whole, cents = divmod(abs(int(fen)), 100)
    if whole >= 10**13:
        raise ValueError("beyond ten trillion yuan")
    return f"{'-' if int(fen) < 0 else ''}{whole}.{cents:02}"


def ppm(text: str) -> int:
    """Read a rate such as ``0.13`` as parts per million."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("must be a rate such as 0.13, at most six decimals")
    whole, fraction = match.groups("")
    return int(f"{whole}{fraction:0<6}")


def rate(ppm: Value) -> str:
    """Write parts per million as a rate, without trailing zeros."""
    if not 0 <= int(ppm) <= _RATE_PPM_MAX:
        raise ValueError("must be a rate from 0 to 9.999999")
    whole, fraction = divmod(int(ppm), 1_000_000)
    return f"{whole}.{fraction:06}".rstrip("0").rstrip(".")


def _choice(values: dict[str, Value]) -> Form:
    spellings = {value: text for text, value in reversed(values.items())}

    def read(text: str) -> Value:
        if text not in values:
            raise ValueError(f"must be one of {' '.join(key for key in values if key)}")
        return values[text]

    def write(value: Value) -> str:
        if value not in spellings:
            raise ValueError("has no spelling in FPKJ")
        return spellings[value]

    return Form(read, write)


_TEXT: Final = Form(str, str)
_MONEY: Final = Form(fen, yuan)
_RATE_FORM: Final = Form(ppm, rate)
_FLAG: Final = _choice({"0": False, "1": True})
_KIND: Final = _choice({"0": pb.INVOICE_KIND_BLUE, "1": pb.INVOICE_KIND_RED})
_NATURE: Final = _choice(
    {
        "0": pb.Line.NATURE_PLAIN,
        "1": pb.Line.NATURE_DISCOUNT,
        "2": pb.Line.NATURE_DISCOUNTED,
    }
)
_ZERO_RATE: Final = _choice(
    {
        "": pb.ZERO_RATE_FLAG_UNSPECIFIED,
        "0": pb.ZERO_RATE_FLAG_EXPORT,
        "1": pb.ZERO_RATE_FLAG_EXEMPT,
        "2": pb.ZERO_RATE_FLAG_NOT_TAXABLE,
        "3": pb.ZERO_RATE_FLAG_PLAIN_ZERO,
    }
)

HEADER: Final = (
    Field("FPQQLSH", "request_id", _TEXT),
    Field("FPLXDM", "type", _TEXT),
    Field("KPLX", "kind", _KIND, required=True),
    Field("XSF_NSRSBH", "seller.tax_number", _TEXT),
    Field("XSF_MC", "seller.name", _TEXT),
    Field("XSF_DZDH", "seller.address_phone", _TEXT),
    Field("XSF_YHZH", "seller.bank_account", _TEXT),
    Field("GMF_NSRSBH", "buyer.tax_number", _TEXT),
    Field("GMF_MC", "buyer.name", _TEXT),
    Field("GMF_DZDH", "buyer.address_phone", _TEXT),
    Field("GMF_YHZH", "buyer.bank_account", _TEXT),
    Field("KPR", "clerk", _TEXT),
    Field("SKR", "payee", _TEXT),
    Field("FHR", "reviewer", _TEXT),
    Field("YFP_DM", "original.code", _TEXT),
    Field("YFP_HM", "original.number", _TEXT),
    Field("TZDBH", "red_notice_number", _TEXT),
    Field("CHYY", "red_reason", _TEXT),
    Field("HJJE", "net_fen", _MONEY, required=True),
    Field("HJSE", "tax_fen", _MONEY, required=True),
    Field("JSHJ", "gross_fen", _MONEY, required=True),
    Field("BZ", "remark", _TEXT),
    Field("BMB_BBH", "code_table_version", _TEXT),
    Field("QD_BZ", "list_attached", _FLAG),
)

LINE: Final = (
    Field("FPHXZ", "nature", _NATURE, required=True),
    Field("XMMC", "name", _TEXT),
    Field("DW", "unit", _TEXT),
    Field("GGXH", "specification", _TEXT),
    Field("XMSL", "quantity", _TEXT),
    Field("XMDJ", "unit_price", _TEXT),
    Field("XMJE", "amount_fen", _MONEY, required=True),
    Field("SL", "rate_ppm", _RATE_FORM, required=True),
    Field("SE", "tax_fen", _MONEY, required=True),
    Field("SPBM", "classification_code", _TEXT),
    Field("ZXBM", "own_code", _TEXT),
    Field("YHZCBS", "preferential", _FLAG),
    Field("LSLBS", "zero_rate_flag", _ZERO_RATE),
    Field("ZZSTSGL", "preferential_policy", _TEXT),
    Field("KCE", "deduction_fen", _MONEY, absent=True),
    Field("HSBZ", "tax_inclusive", _FLAG),
)
