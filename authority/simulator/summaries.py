"""Reads a month's summary: the shape of its content, and what it states of each type."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

SCHEMA: Final = "taxcontrol.period.v1"
COUNTS: Final = (
    *("opening", "drawn", "returned", "blue", "blue_void", "red", "red_void", "blank_void"),
    "closing",
)
GROUPS: Final = ("blue", "blue_void", "red", "red_void")

_MEMBERS: Final = ("schema", "device", "taxpayer", "period", "summary_time", "types")
_TYPE_MEMBERS: Final = ("type", *COUNTS, "totals")
_TOTAL_MEMBERS: Final = ("group", "rate_ppm", "invoices", "net_fen", "tax_fen")
_PERIOD: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_SHANGHAI: Final = timezone(timedelta(hours=8))
_BYTES_MAX: Final = 1024 * 1024

Totals = dict[tuple[str, int], tuple[int, int, int]]
"""By group and rate: invoices, net and tax in fen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A summary as it came."""

    request_id: str
    tax_number: str
    machine_number: str
    period: str
    content: bytes
    signature: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is stated, or known, of one type. ``counts`` are by the names of :data:`COUNTS`."""

    counts: dict[str, int]
    totals: Totals


class Unreadable(ValueError):
    """The content is no summary."""


def period_valid(text: str) -> bool:
    """Say whether ``text`` is a month."""
    return _PERIOD.fullmatch(text) is not None


def ends_ns(period: str) -> int:
    """Return when a month is over in Shanghai, ns since 1970."""
    return _first_ns(period, 1)


def begins_ns(period: str) -> int:
    """Return when a month begins in Shanghai, ns since 1970."""
    return _first_ns(period, 0)


def following(period: str) -> str:
    """Return the month after."""
    year, month = int(period[:4]), int(period[5:])
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"


def read(summary: Summary) -> dict[str, Figures]:
    """Return what is stated of each type; raise :class:`Unreadable`, naming what is wrong."""
    members = _parsed(summary.content)
    if tuple(members) != _MEMBERS or members["schema"] != SCHEMA:
        raise Unreadable("members")
    stated = members["taxpayer"], members["device"], members["period"]
    if stated != (summary.tax_number, summary.machine_number, summary.period):
        raise Unreadable("taxpayer, device or period")
    try:
        told = datetime.fromisoformat(members["summary_time"])
    except (TypeError, ValueError):
        raise Unreadable("summary_time") from None
    if told.utcoffset() != timedelta(hours=8):
        raise Unreadable("summary_time")
    if not isinstance(members["types"], list):
        raise Unreadable("types")
    found: dict[str, Figures] = {}
    for one in members["types"]:
        type_, figures = _type(one)
        if found and type_ <= max(found):
            raise Unreadable("types are by type ascending, each once")
        found[type_] = figures
    return found


def _first_ns(period: str, more: int) -> int:
    if more:
        period = following(period)
    first = datetime(int(period[:4]), int(period[5:]), 1, tzinfo=_SHANGHAI)
    return int(first.timestamp()) * 1_000_000_000


def _parsed(content: bytes) -> dict[str, Any]:
    if not content or len(content) > _BYTES_MAX:
        raise Unreadable(f"{len(content)} bytes")
    try:
        members = json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON in UTF-8") from error
    if not isinstance(members, dict):
        raise Unreadable("not an object")
    return members


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unreadable("a member comes twice")
    return members


def _type(one: Any) -> tuple[str, Figures]:
    if not isinstance(one, dict) or tuple(one) != _TYPE_MEMBERS or not isinstance(one["type"], str):
        raise Unreadable("members of a type")
    if any(type(one[name]) is not int for name in COUNTS):
        raise Unreadable(f"counts of {one['type']}")
    totals: Totals = {}
    last: tuple[int, int] | None = None
    if not isinstance(one["totals"], list):
        raise Unreadable("totals")
    for total in one["totals"]:
        place, sums = _total(total)
        if last is not None and place <= last:
            raise Unreadable("totals are by group and rate ascending, each once")
        last = place
        totals[GROUPS[place[0]], place[1]] = sums
    counts = {name: one[name] for name in COUNTS}
    return one["type"], Figures(counts=counts, totals=totals)


def _total(total: Any) -> tuple[tuple[int, int], tuple[int, int, int]]:
    if not isinstance(total, dict) or tuple(total) != _TOTAL_MEMBERS:
        raise Unreadable("members of a total")
    group, *figures = total.values()
    if group not in GROUPS or any(type(figure) is not int for figure in figures):
        raise Unreadable("a total")
    rate_ppm, count, net_fen, tax_fen = figures
    return (GROUPS.index(group), rate_ppm), (count, net_fen, tax_fen)
