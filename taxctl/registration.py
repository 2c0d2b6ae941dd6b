"""Reading taxpayers to register from JSON: the contract's ``Taxpayer``, or the register's own format.

One object or a list. The register's format is that of ``samples/taxpayers.json``: texts throughout,
rates as ``0.13``, the limit in yuan, both for all types alike. Every key is known and every value
checked here for its form; what is a good tax number, rate or limit is for the gateway to say.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

from taxcontrol.admin.v1.taxpayer_pb2 import Point, Taxpayer, TypeGrant
from taxctl.wire_json import DECODER, JsonObject, fill
from taxctl.words import tr

_REQUIRED: Final = ("tax_no", "name", "addr", "types", "points")
# Donation receipts have neither, and who issues only those may leave them out.
_OF_TAX: Final = ("rates", "limit")
# `key` is a nickname for people; the registration has no place for it.
_OPTIONAL: Final = ("key", "bank")
_DONATION: Final = "D01"
_CONTRACTS_OWN: Final = frozenset({"tax_number", "taxNumber"})
# The gateway ignores these in a registration, so what `taxpayer show --json` printed can be used.
_ONLY_IN_ANSWERS: Final = frozenset(
    {
        *("devices", "offline_limits", "offlineLimits", "windows", "version"),
        *("registration_time", "registrationTime"),
        *("granted_offline_limits", "grantedOfflineLimits"),
    }
)
_INT64_MAX: Final = 2**63 - 1
_INT32_MAX: Final = 2**31 - 1
_T = TypeVar("_T")


class NotATaxpayer(Exception):
    """The JSON cannot be read as taxpayers; the sentence names the place, as in ``[2].limit``."""


def taxpayers(data: bytes) -> list[Taxpayer]:
    """Read one taxpayer or a list of them; raise :class:`NotATaxpayer`."""
    try:
        value = DECODER.decode(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise NotATaxpayer(tr("not JSON: {error}").format(error=error)) from error
    if isinstance(value, list):
        if not value:
            raise NotATaxpayer(tr("the list is empty"))
        return [_taxpayer(one, f"[{place}]") for place, one in enumerate(value)]
    return [_taxpayer(value, "")]


def _taxpayer(value: object, path: str) -> Taxpayer:
    if not isinstance(value, JsonObject):
        raise NotATaxpayer(tr("{field} must be an object").format(field=path or tr("the document")))
    if _CONTRACTS_OWN & value.keys():
        return _as_in_the_contract(value, path)
    _check_keys(value, path)
    types = _list(value, "types", path, str)
    return Taxpayer(
        tax_number=_text(value, "tax_no", path, str),
        display_name=_text(value, "name", path, str),
        address_phone=_text(value, "addr", path, str),
        bank_account=_text(value, "bank", path, str) if "bank" in value else "",
        type_grants=_grants(value, types, path),
        points=[Point(number=number) for number in _list(value, "points", path, _whole)],
    )


def _as_in_the_contract(value: JsonObject, path: str) -> Taxpayer:
    for key in _ONLY_IN_ANSWERS & value.keys():
        del value[key]
    taxpayer = Taxpayer()
    faults = fill(taxpayer, value, path)
    if faults:
        raise NotATaxpayer("; ".join(map(str, faults)))
    return taxpayer


def _grants(value: JsonObject, types: Sequence[str], path: str) -> list[TypeGrant]:
    """A grant of each type; of a donation receipt without what it does not have."""
    rates = _list(value, "rates", path, _ppm) if "rates" in value else []
    limit_fen = _text(value, "limit", path, _fen) if "limit" in value else 0
    return [
        TypeGrant(type=code, rates_ppm=filter(None, rates))
        if code == _DONATION
        else TypeGrant(type=code, rates_ppm=rates, invoice_limit_fen=limit_fen)
        for code in types
    ]


def _check_keys(value: JsonObject, path: str) -> None:
    for key in value:
        if key not in (*_REQUIRED, *_OF_TAX, *_OPTIONAL):
            raise NotATaxpayer(
                tr("{field} is not known; known are {known}").format(
                    field=_at(path, key), known=_known()
                )
            )
    for key in value.repeated:
        raise NotATaxpayer(tr("{field} stands there twice").format(field=_at(path, key)))
    donations_only = value.get("types") == [_DONATION]
    for key in _REQUIRED if donations_only else (*_REQUIRED, *_OF_TAX):
        if key not in value:
            raise NotATaxpayer(tr("{field} is missing").format(field=_at(path, key)))


def _text(value: Mapping[str, object], key: str, path: str, read: Callable[[str], _T]) -> _T:
    return _read(value[key], _at(path, key), read)


def _list(value: Mapping[str, object], key: str, path: str, read: Callable[[str], _T]) -> list[_T]:
    found = value[key]
    if not isinstance(found, list):
        raise NotATaxpayer(tr("{field} must be a list of texts").format(field=_at(path, key)))
    return [_read(one, f"{_at(path, key)}[{place}]", read) for place, one in enumerate(found)]


def _read(value: object, path: str, read: Callable[[str], _T]) -> _T:
    if not isinstance(value, str):
        raise NotATaxpayer(tr("{field} must be a text in quotes").format(field=path))
    try:
        value.encode()
        return read(value)
    except ValueError as error:
        raise NotATaxpayer(f"{path}: {error}") from error


def _ppm(text: str) -> int:
    """Read a rate such as ``0.13``."""
    return _scaled(text, 1_000_000, _INT32_MAX, tr("a rate such as 0.13, with at most 6 decimals"))


def _fen(text: str) -> int:
    """Read yuan."""
    return _scaled(text, 100, _INT64_MAX, tr("yuan such as 100000.00, with at most 2 decimals"))


def _whole(text: str) -> int:
    return _scaled(text, 1, _INT32_MAX, tr("a whole number"))


def _scaled(text: str, factor: int, most: int, what: str) -> int:
    try:
        scaled = Decimal(text) * factor
        exact = scaled == scaled.to_integral_value()
    except InvalidOperation:
        exact = False
    # ASCII only: Decimal also reads other scripts' digits.
    if not (exact and text.isascii() and abs(scaled) <= most):
        raise ValueError(tr("must be {what}, not {given!r}").format(what=what, given=text))
    return int(scaled)


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _known() -> str:
    return ", ".join((*_REQUIRED, *_OF_TAX, *_OPTIONAL)) + tr(", or the contract's Taxpayer")
