"""Resource names out of addresses and of what people type."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

_TAX_NUMBER: Final = re.compile(r"[0-9A-Z]{15,20}", re.ASCII)
_PART: Final = re.compile(r"[0-9A-Za-z._:-]{1,120}", re.ASCII)
_INVOICE: Final = re.compile(
    r"(?:taxpayers/)?(?P<owner>[0-9A-Z]{15,20})/(?:invoices/)?(?P<rest>(?:[0-9]{8,12}-)?[0-9]{8,20})",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"(?:[0-9]{8,12}[-\s]+)?[0-9]{8,20}", re.ASCII)


class NoSuchPage(Exception):
    """The address names nothing that could be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody looks for. ``rest`` is ``{code}-{number}``; the others are empty or not."""

    qr_text: str = ""
    owner: str = ""
    rest: str = ""
    request_id: str = ""


def taxpayer(request: Request) -> str:
    """The taxpayer's name of an address; raise :class:`NoSuchPage`."""
    number = request.path_params["tax_number"]
    if _TAX_NUMBER.fullmatch(number) is None:
        raise NoSuchPage
    return f"taxpayers/{number}"


def part(request: Request, name: str) -> str:
    """Another part of an address; raise :class:`NoSuchPage`."""
    value = str(request.path_params[name])
    if _PART.fullmatch(value) is None:
        raise NoSuchPage
    return value


def parent(given: str) -> str | None:
    """Accept a bare tax number for a taxpayer's name; empty for empty, None for neither."""
    number = given.removeprefix("taxpayers/")
    if not number:
        return ""
    return f"taxpayers/{number}" if _TAX_NUMBER.fullmatch(number) else None


def wanted(text: str) -> Wanted | None:
    """Tell a QR text, a name, a number and a request id apart; None for none of them."""
    if "," in text:
        return Wanted(qr_text=text)
    match = _INVOICE.fullmatch(text)
    if match is not None:
        return Wanted(owner=f"taxpayers/{match['owner']}", rest=match["rest"])
    number = _NUMBER.fullmatch(text)
    rest = "-".join(re.split(r"[-\s]+", text)) if number else ""
    request_id = text if _PART.fullmatch(text) else ""
    return Wanted(rest=rest, request_id=request_id) if rest or request_id else None
