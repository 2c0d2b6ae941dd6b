"""Reads the signed content, and says whether it agrees with what came with it.

The content is UTF-8 JSON whose first members come in a fixed order, so that an auditor finds them
without a parser. A content that cannot be read at all refuses its whole submission; one that can
be read and is wrong refuses its item.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

BYTES_MAX: Final = 1024 * 1024

INVOICE: Final = "taxcontrol.invoice.v1"
VOID: Final = "taxcontrol.void.v1"
BLANK_VOID: Final = "taxcontrol.blank-void.v1"

_FIRST_MEMBERS: Final = ("schema", "device", "code", "number")
_CODE: Final = re.compile(r"|[0-9]{8}|[0-9]{10}|[0-9]{12}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{8}|[0-9]{10}|[0-9]{20}", re.ASCII)
_ISSUE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?\+08:00", re.ASCII)
# Domain reference §8: a clock more than 30 minutes off must not date invoices.
_AHEAD_S_MAX: Final = 30 * 60


class Unreadable(ValueError):
    """The bytes are not a content at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The blue that a red names."""

    code: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the authority looks at. ``fault`` says what is wrong with it in itself; empty if nothing.

    ``type`` is empty where a void does not tell it. ``original`` is None unless red.
    """

    schema: str
    device: str
    code: str
    number: str
    taxpayer: str
    type: str
    red: bool
    original: Original | None
    issue_time_s: float
    fault: str


def read(content: bytes) -> Content:
    """Read a content.

    Raises:
        Unreadable: It is not one JSON object in UTF-8 with the members that every content has.
    """
    members = _members(content)
    if tuple(members)[: len(_FIRST_MEMBERS)] != _FIRST_MEMBERS:
        raise Unreadable("the content does not begin with schema, device, code, number")
    if not all(isinstance(members[name], str) for name in _FIRST_MEMBERS):
        raise Unreadable("schema, device, code and number are texts")
    return Content(
        schema=_text(members, "schema"),
        device=_text(members, "device"),
        code=_text(members, "code"),
        number=_text(members, "number"),
        taxpayer=_text(members, "taxpayer"),
        type=_text(members, "type"),
        red=members.get("kind") == "red",
        original=_original(members.get("original")),
        issue_time_s=_issue_time_s(_text(members, "issue_time")),
        fault=_fault(members),
    )


def disagreement(
    content: Content, *, schema: str, tax_number: str, code: str, number: str, now_s: float
) -> str:
    """Say in what the content contradicts the item and the day it came with; empty if in nothing."""
    if content.fault:
        return content.fault
    if content.schema != schema:
        return "schema and event differ"
    if content.taxpayer != tax_number:
        return "taxpayer differs"
    if (content.code, content.number) != (code, number):
        return "code or number differs"
    if content.schema == INVOICE and content.issue_time_s > now_s + _AHEAD_S_MAX:
        return "issue_time lies ahead"
    return ""


def _members(content: bytes) -> dict[str, object]:
    if not content or len(content) > BYTES_MAX:
        raise Unreadable(f"{len(content)} bytes")
    try:
        members = json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON in UTF-8") from error
    if not isinstance(members, dict):
        raise Unreadable("not an object")
    return members


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a member given twice: readers would differ on which one counts."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unreadable("a member comes twice")
    return members


def _fault(members: dict[str, object]) -> str:
    if _CODE.fullmatch(_text(members, "code")) is None:
        return "code"
    if _NUMBER.fullmatch(_text(members, "number")) is None:
        return "number"
    if not _text(members, "device") or not _text(members, "taxpayer"):
        return "device or taxpayer"
    return _invoice_fault(members) if members["schema"] == INVOICE else ""


def _invoice_fault(members: dict[str, object]) -> str:
    if tuple(members)[4:5] != ("issue_time",) or not _issue_time_s(_text(members, "issue_time")):
        return "issue_time"
    if members.get("kind") not in ("blue", "red"):
        return "kind"
    if members.get("kind") == "red" and _original(members.get("original")) is None:
        return "original"
    if not _text(members, "type"):
        return "type"
    return "" if _balanced(members) else "amounts"


def _balanced(members: dict[str, object]) -> bool:
    match members.get("net_fen"), members.get("tax_fen"), members.get("gross_fen"):
        case int(net_fen), int(tax_fen), int(gross_fen):
            return net_fen + tax_fen == gross_fen
    return False


def _original(value: object) -> Original | None:
    match value:
        case {"code": str(code), "number": str(number)}:
            if _CODE.fullmatch(code) is not None and _NUMBER.fullmatch(number) is not None:
                return Original(code=code, number=number)
    return None


def _issue_time_s(text: str) -> float:
    """Return s since 1970; 0 when ``text`` is not a civil time of Asia/Shanghai."""
    if _ISSUE_TIME.fullmatch(text) is None:
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _text(members: dict[str, object], name: str) -> str:
    value = members.get(name, "")
    return value if isinstance(value, str) else ""
