"""Amounts and lengths of time as people type them."""

import re
from decimal import Decimal
from typing import Final

from taxctl.session import Unusable
from taxctl.words import tr

_INT64_MAX: Final = 2**63 - 1
_LENGTH: Final = re.compile(r"([1-9]\d{0,8})([smhd])", re.ASCII)
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def fen(yuan: str, option: str) -> int:
    """Read yuan with at most two decimals; raise :class:`Unusable`."""
    try:
        found = Decimal(yuan.replace(",", "")) * 100
        exact = found == found.to_integral_value()
    except ArithmeticError:  # no number, or one beyond all bounds
        exact = False
    # ASCII only: Decimal also reads other scripts' digits.
    if not (exact and yuan.isascii() and abs(found) <= _INT64_MAX):
        raise Unusable(
            tr("{option} must be yuan with at most 2 decimals, not {given!r}").format(
                option=option, given=yuan
            )
        )
    return int(found)


def seconds(length: str, option: str) -> int:
    """Read ``90s``, ``30m``, ``4h`` or ``2d``; raise :class:`Unusable`."""
    match = _LENGTH.fullmatch(length)
    if match is None:
        raise Unusable(
            tr("{option} must be a time such as 30m, 4h or 2d, not {given!r}").format(
                option=option, given=length
            )
        )
    return int(match[1]) * _UNIT_S[match[2]]


def length(seconds: int) -> str:
    """Write a length of time as :func:`seconds` reads it, in the largest unit that is exact."""
    for unit in ("d", "h", "m"):
        if seconds % _UNIT_S[unit] == 0:
            return f"{seconds // _UNIT_S[unit]}{unit}"
    return f"{seconds}s"
