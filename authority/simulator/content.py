"""Reads the signed content, and says whether it agrees with what came with it.

The content is UTF-8 JSON whose first members come in a fixed order, so that an auditor finds them
without a parser. A content that cannot be read at all refuses its whole submission; one that can
be read and is wrong refuses its item. The original that a void carries refuses only the void.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeGuard

BYTES_MAX: Final = 1024 * 1024

INVOICE: Final = "taxcontrol.invoice.v1"
VOID: Final = "taxcontrol.void.v1"
BLANK_VOID: Final = "taxcontrol.blank-void.v1"

_FIRST_MEMBERS: Final = ("schema", "device", "code", "number")
_STATEMENT_MEMBERS: Final = {
    VOID: ("void_time", "taxpayer", "point", "type", "invoice_digest", "reason"),
    BLANK_VOID: ("void_time", "taxpayer", "point", "type", "reason"),
}
_CODE: Final = re.compile(r"|[0-9]{8}|[0-9]{10}|[0-9]{12}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{8}|[0-9]{10}|[0-9]{20}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?\+08:00", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_POINT_MAX: Final = 65_535
# More than anybody's turnover, and a hundred of it still fit a 64-bit integer.
_FEN_MAX: Final = 10**16
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

    ``original`` is None unless red. ``time_s`` is the issue or void time in s since 1970, 0 when it
    cannot be read; ``month`` is its civil month, ``YYYY-MM``. The amounts are 0 on a statement;
    ``rates`` are rate, net and tax of its lines by rate, empty on a statement;
    ``invoice_digest`` is None but on a void.
    """

    schema: str
    device: str
    code: str
    number: str
    taxpayer: str
    type: str
    red: bool
    original: Original | None
    time_s: float
    month: str
    net_fen: int
    tax_fen: int
    rates: tuple[tuple[int, int, int], ...]
    invoice_digest: bytes | None
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
    time = _text(members, "issue_time" if members["schema"] == INVOICE else "void_time")
    digest = _text(members, "invoice_digest")
    return Content(
        schema=_text(members, "schema"),
        device=_text(members, "device"),
        code=_text(members, "code"),
        number=_text(members, "number"),
        taxpayer=_text(members, "taxpayer"),
        type=_text(members, "type"),
        red=members.get("kind") == "red",
        original=_original(members.get("original")),
        time_s=_time_s(time),
        month=time[:7],
        net_fen=_fen(members, "net_fen"),
        tax_fen=_fen(members, "tax_fen"),
        rates=_rates(members.get("lines")) or (),
        invoice_digest=bytes.fromhex(digest) if _DIGEST.fullmatch(digest) else None,
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
    if content.time_s > now_s + _AHEAD_S_MAX:
        return "the time lies ahead"
    return ""


def read_original(content: bytes) -> Content | None:
    """Read the invoice that a void carries; None when it cannot be read."""
    try:
        return read(content)
    except Unreadable:
        return None


def original_disagreement(void: Content, original: Content | None, original_digest: bytes) -> str:
    """Say in what a void contradicts the invoice it carries; empty if in nothing.

    A fault of the invoice itself is none of the void's: an invoice refused for it must be voidable.
    """
    if original is None or original.schema != INVOICE or not original.time_s:
        return "the original is no invoice"
    if void.invoice_digest != original_digest:
        return "invoice_digest is another content's"
    if original.taxpayer != void.taxpayer:
        return "the original's taxpayer differs"
    if (original.code, original.number, original.type) != (void.code, void.number, void.type):
        return "the original's code, number or type differs"
    if void.time_s < original.time_s:
        return "void_time lies before issue_time"
    return "" if void.month == original.month else "void_time lies in another month"


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
    schema = _text(members, "schema")
    if schema == INVOICE:
        return _invoice_fault(members)
    following = _STATEMENT_MEMBERS.get(schema)
    return "schema" if following is None else _statement_fault(members, following)


def _invoice_fault(members: dict[str, object]) -> str:
    if tuple(members)[4:5] != ("issue_time",) or not _time_s(_text(members, "issue_time")):
        return "issue_time"
    if members.get("kind") not in ("blue", "red"):
        return "kind"
    if members.get("kind") == "red" and _original(members.get("original")) is None:
        return "original"
    if not _text(members, "type"):
        return "type"
    if _rates(members.get("lines")) is None:
        return "lines"
    return "" if _balanced(members) else "amounts"


def _statement_fault(members: dict[str, object], following: tuple[str, ...]) -> str:
    if tuple(members)[len(_FIRST_MEMBERS) :][: len(following)] != following:
        return "members"
    if not _time_s(_text(members, "void_time")):
        return "void_time"
    point = members["point"]
    if type(point) is not int or not 0 <= point <= _POINT_MAX:
        return "point"
    if not _text(members, "type"):
        return "type"
    digest = _text(members, "invoice_digest")
    if "invoice_digest" in following and _DIGEST.fullmatch(digest) is None:
        return "invoice_digest"
    return "" if _text(members, "reason").strip() else "reason"


def _balanced(members: dict[str, object]) -> bool:
    net_fen, tax_fen, gross_fen = (
        members.get(name) for name in ("net_fen", "tax_fen", "gross_fen")
    )
    if not (_is_fen(net_fen) and _is_fen(tax_fen) and _is_fen(gross_fen)):
        return False
    return net_fen + tax_fen == gross_fen


def _rates(lines: object) -> tuple[tuple[int, int, int], ...] | None:
    """Add the lines up by rate: (rate, net, tax); None when they are no lines.

    An amount that includes tax counts without it.
    """
    if not isinstance(lines, list):
        return None
    sums: dict[int, tuple[int, int]] = {}
    for line in lines:
        match line:
            case {
                "rate_ppm": int(rate_ppm),
                "amount_fen": int(amount_fen),
                "tax_fen": int(tax_fen),
            }:
                net_fen, tax_sum_fen = sums.get(rate_ppm, (0, 0))
                net_fen += amount_fen - (tax_fen if line.get("tax_inclusive") is True else 0)
                sums[rate_ppm] = net_fen, tax_sum_fen + tax_fen
            case _:
                return None
    return tuple((rate_ppm, *sums[rate_ppm]) for rate_ppm in sorted(sums))


def _original(value: object) -> Original | None:
    match value:
        case {"code": str(code), "number": str(number)}:
            if _CODE.fullmatch(code) is not None and _NUMBER.fullmatch(number) is not None:
                return Original(code=code, number=number)
    return None


def _time_s(text: str) -> float:
    """Return s since 1970; 0 when ``text`` is not a civil time of Asia/Shanghai."""
    if _TIME.fullmatch(text) is None:
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _is_fen(value: object) -> TypeGuard[int]:
    return type(value) is int and -_FEN_MAX <= value <= _FEN_MAX


def _fen(members: dict[str, object], name: str) -> int:
    value = members.get(name)
    return value if _is_fen(value) else 0


def _text(members: dict[str, object], name: str) -> str:
    value = members.get(name, "")
    return value if isinstance(value, str) else ""
