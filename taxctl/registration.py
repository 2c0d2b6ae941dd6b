"""Reading taxpayers to register from JSON, in the format of ``samples/taxpayers.json``.

One object or a list. Every key is known and every value checked here for its form; what is a good
tax number, rate or limit is for the gateway to say.
"""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

from taxcontrol.admin.v1.taxpayer_pb2 import Point, Taxpayer, TypeGrant

_REQUIRED: Final = ("tax_no", "name", "addr", "types", "rates", "limit", "points")
# `key` is a nickname for people; the registration has no place for it.
_OPTIONAL: Final = ("key", "bank")
_INT64_MAX: Final = 2**63 - 1
_INT32_MAX: Final = 2**31 - 1
_T = TypeVar("_T")


class NotATaxpayer(Exception):
    """The JSON cannot be read as taxpayers; the sentence names the place, as in ``[2].limit``."""


def taxpayers(data: bytes) -> list[Taxpayer]:
    """Read one taxpayer or a list of them; raise :class:`NotATaxpayer`."""
    try:
        value = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise NotATaxpayer(f"not JSON: {error}") from error
    if isinstance(value, list):
        if not value:
            raise NotATaxpayer("the list is empty")
        return [_taxpayer(one, f"[{place}]") for place, one in enumerate(value)]
    return [_taxpayer(value, "")]


def _taxpayer(value: object, path: str) -> Taxpayer:
    if not isinstance(value, dict):
        raise NotATaxpayer(f"{path or 'the document'} must be an object")
    _check_keys(value, path)
    rates = _list(value, "rates", path, _ppm)
    limit_fen = _text(value, "limit", path, _fen)
    return Taxpayer(
        tax_number=_text(value, "tax_no", path, str),
        display_name=_text(value, "name", path, str),
        address_phone=_text(value, "addr", path, str),
        bank_account=_text(value, "bank", path, str) if "bank" in value else "",
        type_grants=[
            TypeGrant(type=code, rates_ppm=rates, invoice_limit_fen=limit_fen)
            for code in _list(value, "types", path, str)
        ],
        points=[Point(number=number) for number in _list(value, "points", path, _whole)],
    )


def _check_keys(value: Mapping[str, object], path: str) -> None:
    for key in value:
        if key not in _REQUIRED and key not in _OPTIONAL:
            raise NotATaxpayer(f"{_at(path, key)} is not known; known are {_known()}")
    for key in _REQUIRED:
        if key not in value:
            raise NotATaxpayer(f"{_at(path, key)} is missing")


def _text(value: Mapping[str, object], key: str, path: str, read: Callable[[str], _T]) -> _T:
    return _read(value[key], _at(path, key), read)


def _list(value: Mapping[str, object], key: str, path: str, read: Callable[[str], _T]) -> list[_T]:
    found = value[key]
    if not isinstance(found, list):
        raise NotATaxpayer(f"{_at(path, key)} must be a list of texts")
    return [_read(one, f"{_at(path, key)}[{place}]", read) for place, one in enumerate(found)]


def _read(value: object, path: str, read: Callable[[str], _T]) -> _T:
    if not isinstance(value, str):
        raise NotATaxpayer(f"{path} must be a text in quotes")
    try:
        value.encode()
        return read(value)
    except ValueError as error:
        raise NotATaxpayer(f"{path}: {error}") from error


def _ppm(text: str) -> int:
    """Read a rate such as ``0.13``."""
    return _scaled(text, 1_000_000, _INT32_MAX, "a rate such as 0.13, with at most 6 decimals")


def _fen(text: str) -> int:
    """Read yuan."""
    return _scaled(text, 100, _INT64_MAX, "yuan such as 100000.00, with at most 2 decimals")


def _whole(text: str) -> int:
    return _scaled(text, 1, _INT32_MAX, "a whole number")


def _scaled(text: str, factor: int, most: int, what: str) -> int:
    try:
        scaled = Decimal(text) * factor
        exact = scaled == scaled.to_integral_value()
    except InvalidOperation:
        exact = False
    # ASCII only: Decimal also reads other scripts' digits.
    if not (exact and text.isascii() and abs(scaled) <= most):
        raise ValueError(f"must be {what}, not {text!r}")
    return int(scaled)


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _known() -> str:
    return ", ".join((*_REQUIRED, *_OPTIONAL))
