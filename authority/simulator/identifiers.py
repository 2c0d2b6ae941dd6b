"""Numbers and ids, by the letter of their standards."""

import re
from typing import Final

_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,120}", re.ASCII)

# GB 32100-2015: digits and capitals without I, O, S, V, Z. Characters 3–8 are the administrative
# division (GB/T 2260), which is where invoice codes take their region from.
_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_TAX_NUMBER: Final = re.compile(rf"[{_ALPHABET}]{{2}}[0-9]{{6}}[{_ALPHABET}]{{10}}", re.ASCII)
_WEIGHTS: Final = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def request_id_valid(text: str) -> bool:
    """Say whether ``text`` is 1–120 of ``[0-9A-Za-z._:-]``."""
    return _REQUEST_ID.fullmatch(text) is not None


def tax_number_valid(text: str) -> bool:
    """Say whether ``text`` is a unified social credit code with the right check character."""
    if _TAX_NUMBER.fullmatch(text) is None:
        return False
    total = sum(
        weight * _ALPHABET.index(character)
        for weight, character in zip(_WEIGHTS, text, strict=False)
    )
    return _ALPHABET[(31 - total % 31) % 31] == text[17]


def region(tax_number: str) -> str:
    """Return the four digits of province and city of a valid tax number."""
    return tax_number[2:6]


def machine_number(ordinal: int, *, machine_first: int) -> str:
    """Return the 12-digit machine number (机器编号) of the ``ordinal``-th device, from 1."""
    return f"{machine_first + ordinal:012d}"
