"""The exact bytes that are signed, stored and shipped, and how to read them again.

The content is UTF-8 JSON in fixed order: ``schema``, ``device``, ``code``, ``number``,
``issue_time``, then the *tail*: ``taxpayer``, ``point`` and the document. The tail is all that is
known before a number is taken, so it is made once, outside any transaction, and is what two
requests under one id are compared by.

Money is integer fen, quantities and prices are the caller's own decimal text. A member that is
empty (``""``, false, absent) is left out, save those that every document and every line has. A
verifier needs no canonical form: it hashes the bytes as they are.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from invoice.document import Draft, Kind, Line, Nature, Original, Party, ZeroRateFlag
from invoice.errors import ContentTooLarge
from invoice.rates import RateSum, of_content

SCHEMA: Final = "taxcontrol.invoice.v1"

# One tag per kind of signed statement, so that no statement can pass for another.
INVOICE_TAG: Final = b"taxcontrol.invoice.v1"
VOID_TAG: Final = b"taxcontrol.void.v1"
BLANK_VOID_TAG: Final = b"taxcontrol.blank-void.v1"
PERIOD_TAG: Final = b"taxcontrol.period.v1"

SMALL_LINE_COUNT_MAX: Final = 100
SMALL_BYTES_MAX: Final = 64 * 1024
LARGE_BYTES_MAX: Final = 1024 * 1024
# Room for the members that precede the tail; `complete` keeps to it.
HEAD_BYTES_MAX: Final = 256

# China has had one time zone and no summer time since 1991.
SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"

_PARTY: Final = ("tax_number", "name", "address_phone", "bank_account")
# Kept in a line even when empty or zero; a deduction of None is absent, one of zero is stated.
_LINE_KEPT: Final = frozenset(
    {"nature", "name", "amount_fen", "tax_fen", "rate_ppm", "classification_code", "deduction_fen"}
)
_LINE: Final = (
    *("nature", "name", "unit", "specification", "quantity", "unit_price", "amount_fen", "tax_fen"),
    *("rate_ppm", "classification_code", "own_code", "preferential", "preferential_policy"),
    *("zero_rate_flag", "deduction_fen", "tax_inclusive"),
)
_SIGNED_BY: Final = ("clerk", "payee", "reviewer", "remark")
_TOTALS: Final = ("net_fen", "tax_fen", "gross_fen")
_CLOSING: Final = (
    *("red_notice_number", "red_reason", "list_attached", "code_table_version"),
    "donation_project",
)
_line_values: Final = attrgetter(*_LINE)
_signed_by_values: Final = attrgetter(*_SIGNED_BY)
_closing_values: Final = attrgetter(*_CLOSING)
_party_values: Final = attrgetter(*_PARTY)
_TAIL_START: Final = b',"taxpayer":'


class Facts(NamedTuple):
    """What a verifier and the books need from a content. ``issue_time`` is unix seconds.

    ``original`` is code and number of the blue that a red names, None on a blue. ``rates`` are what the
    lines add up to.
    """

    taxpayer: str
    point: int
    device: str
    kind: Kind
    type: str
    code: str
    number: str
    issue_time: int
    net_fen: int
    tax_fen: int
    buyer_tax_number: str
    original: tuple[str, str] | None
    red_notice_number: str
    rates: tuple[RateSum, ...]


def tail(draft: Draft, *, taxpayer: str, point: int, large: bool = False) -> bytes:
    """Return the members of the content that are known before a number is taken.

    Starts with ``"taxpayer":`` and ends with ``}``. The same draft always gives the same bytes.
    ``large`` lets it have 1 MiB whatever its lines: a red made of its blue has more signs and
    may have fewer lines, and yet must be possible.

    Raises:
        ContentTooLarge: The content would pass 64 KiB (1 MiB above 100 lines).
    """
    original = draft.original
    members = {
        "taxpayer": taxpayer,
        "point": point,
        "kind": draft.kind,
        "type": draft.type,
        "seller": _filled(_PARTY, _party_values(draft.seller)),
        "buyer": _filled(_PARTY, _party_values(draft.buyer)),
        "lines": [_line(_line_values(line)) for line in draft.lines],
        "net_fen": draft.net_fen,
        "tax_fen": draft.tax_fen,
        "gross_fen": draft.gross_fen,
        **_filled(_SIGNED_BY, _signed_by_values(draft)),
    }
    if original is not None:
        members["original"] = {"code": original.code, "number": original.number}
    members.update(_filled(_CLOSING, _closing_values(draft)))
    made = orjson.dumps(members)[1:]
    _check_size(len(made), len(draft.lines), large=large)
    return made


def complete(tail: bytes, *, device: str, code: str, number: str, issue_time: int) -> bytes:
    """Return the content: the tail behind what the reserving transaction has decided.

    ``issue_time`` is unix seconds, shown as ``2026-11-22T12:41:00+08:00``.

    Raises:
        ValueError: The members before the tail pass ``HEAD_BYTES_MAX``: no such identifiers exist.
    """
    head = orjson.dumps(
        {
            "schema": SCHEMA,
            "device": device,
            "code": code,
            "number": number,
            "issue_time": datetime.fromtimestamp(issue_time, SHANGHAI).isoformat(),
        }
    )
    if len(head) > HEAD_BYTES_MAX:
        raise ValueError(f"{len(head)} bytes before the tail, at most {HEAD_BYTES_MAX}")
    return head[:-1] + b"," + tail


def tail_of(content: bytes) -> bytes:
    """Return the tail of a content; ``ValueError`` when it has none."""
    # A quotation mark inside a JSON string is always escaped, so these bytes, quotation marks
    # unescaped, first occur where the member begins.
    return content[content.index(_TAIL_START) + 1 :]


def fingerprint(tail: bytes) -> bytes:
    """Return the SHA-256 of a tail: equal for equal requests."""
    return sha256(tail).digest()


def digest(tag: bytes, content: bytes) -> bytes:
    """Return the 32 bytes that are signed: SHA-256(tag ‖ 0x00 ‖ content)."""
    return sha256(b"%b\x00%b" % (tag, content)).digest()


def read(content: bytes) -> dict[str, Json]:
    """Parse a content; ``ValueError`` when it is not JSON of our schema."""
    members = orjson.loads(content)
    if not isinstance(members, dict) or members.get("schema") != SCHEMA:
        raise ValueError(f"not a content of schema {SCHEMA}")
    return members


def document(members: Mapping[str, Any]) -> Draft:
    """Return the draft that a content, as :func:`read` parsed it, was made of.

    Its tail has the same bytes again; ``ValueError`` when members are missing or unknown.
    """
    original = members.get("original")
    try:
        return Draft(
            kind=Kind(members["kind"]),
            type=members["type"],
            seller=Party(**members["seller"]),
            buyer=Party(**members["buyer"]),
            lines=tuple(_read_line(**line) for line in members["lines"]),
            original=None if original is None else Original(**original),
            **{name: members[name] for name in _TOTALS},
            **{name: members[name] for name in (*_SIGNED_BY, *_CLOSING) if name in members},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a content of schema {SCHEMA}: {error}") from error


def facts(content: bytes) -> Facts:
    """Return what a verifier needs from a content; ``ValueError`` when it is not one."""
    members = orjson.loads(content)
    try:
        if members["schema"] != SCHEMA:
            raise ValueError(f"not a content of schema {SCHEMA}")
        issued_at = datetime.fromisoformat(members["issue_time"])
        original = members.get("original")
        return Facts(
            members["taxpayer"],
            members["point"],
            members["device"],
            Kind(members["kind"]),
            members["type"],
            members["code"],
            members["number"],
            int(issued_at.astimezone(UTC).timestamp()),
            members["net_fen"],
            members["tax_fen"],
            members["buyer"].get("tax_number", ""),
            None if original is None else (original["code"], original["number"]),
            members.get("red_notice_number", ""),
            of_content(members),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a content of schema {SCHEMA}: {error}") from error


def differences(tail_a: bytes, tail_b: bytes) -> tuple[str, ...]:
    """Name the request fields in which two tails differ: proto paths, in document order.

    Taxpayer and point are one field of a request, ``point``. Lines of different count are named
    as ``lines``.
    """
    if tail_a == tail_b:
        return ()
    a, b = orjson.loads(b"{" + tail_a), orjson.loads(b"{" + tail_b)
    return tuple(_differences(a, b))


def _line(values: Iterable[Json]) -> dict[str, Json]:
    return {
        name: value
        for name, value in zip(_LINE, values, strict=True)
        if value or (name in _LINE_KEPT and value is not None)
    }


def _read_line(*, nature: str, zero_rate_flag: str = "", **others: Any) -> Line:
    return Line(nature=Nature(nature), zero_rate_flag=ZeroRateFlag(zero_rate_flag), **others)


def _filled(names: Iterable[str], values: Iterable[str | bool]) -> dict[str, Json]:
    return {name: value for name, value in zip(names, values, strict=True) if value}


def _check_size(tail_bytes: int, line_count: int, *, large: bool) -> None:
    large = large or line_count > SMALL_LINE_COUNT_MAX
    size_max = LARGE_BYTES_MAX if large else SMALL_BYTES_MAX
    size = tail_bytes + HEAD_BYTES_MAX
    if size > size_max:
        raise ContentTooLarge(
            f"the content of {line_count} lines would have {size} bytes, at most {size_max}",
            size_bytes=size,
            size_bytes_max=size_max,
        )


def _differences(a: dict[str, Json], b: dict[str, Json]) -> Iterator[str]:
    if (a["taxpayer"], a["point"]) != (b["taxpayer"], b["point"]):
        yield "point"
    yield from _changed(("kind", "type"), a, b, "")
    for party in ("seller", "buyer"):
        yield from _changed(_PARTY, _object(a[party]), _object(b[party]), f"{party}.")
    yield from _line_differences(_array(a["lines"]), _array(b["lines"]))
    yield from _changed((*_TOTALS, *_SIGNED_BY), a, b, "")
    if a.get("original") is None or b.get("original") is None:
        yield from _changed(("original",), a, b, "")
    else:
        parts = _object(a["original"]), _object(b["original"])
        yield from _changed(("code", "number"), *parts, "original.")
    yield from _changed(_CLOSING, a, b, "")


def _line_differences(a: list[Json], b: list[Json]) -> Iterator[str]:
    if len(a) != len(b):
        yield "lines"
        return
    for index, (one, other) in enumerate(zip(a, b, strict=True)):
        yield from _changed(_LINE, _object(one), _object(other), f"lines[{index}].")


def _changed(
    names: Iterable[str], a: dict[str, Json], b: dict[str, Json], prefix: str
) -> Iterator[str]:
    return (prefix + name for name in names if a.get(name) != b.get(name))


def _object(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value


def _array(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value
