"""The summary of a month (抄报): the exact bytes that are signed, and how to read them again.

UTF-8 JSON in fixed order, as the content of an invoice is (see ``content.py``). What its figures mean
stands in ``authority/v1/period.proto``.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from invoice.content import PERIOD_TAG, SHANGHAI


class Group(StrEnum):
    """What a month adds up; the order is that of the totals in a summary."""

    BLUE = "blue"
    BLUE_VOID = "blue_void"
    RED = "red"
    RED_VOID = "red_void"


class GroupTotal(NamedTuple):
    """What was issued at one rate: invoices with a line of it, and what those lines add up to."""

    group: Group
    rate_ppm: int
    invoice_count: int
    net_fen: int
    tax_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeStatistics:
    """A month's figures of one type. Blue and red hold those that were voided since."""

    type: str
    opening: int = 0
    drawn: int = 0
    returned: int = 0
    blue: int = 0
    blue_void: int = 0
    red: int = 0
    red_void: int = 0
    blank_void: int = 0
    totals: tuple[GroupTotal, ...] = ()

    @property
    def closing(self) -> int:
        """Numbers held when it ended."""
        gone = self.returned + self.blue + self.red + self.blank_void
        return self.opening + self.drawn - gone


class PeriodFacts(NamedTuple):
    """What a summary says. ``summary_time`` is unix seconds."""

    device: str
    taxpayer: str
    period: str
    summary_time: int
    types: tuple[TypeStatistics, ...]


_MEMBERS: Final = ("schema", *PeriodFacts._fields)
_COUNTS: Final = (
    "opening",
    "drawn",
    "returned",
    "blue",
    "blue_void",
    "red",
    "red_void",
    "blank_void",
)
_TYPE_MEMBERS: Final = ("type", *_COUNTS, "closing", "totals")
_TOTAL_MEMBERS: Final = ("group", "rate_ppm", "invoices", "net_fen", "tax_fen")
_ORDER: Final = {group: at for at, group in enumerate(Group)}


def summary(
    *,
    device: str,
    taxpayer: str,
    period: str,
    summary_time: int,
    types: tuple[TypeStatistics, ...],
) -> bytes:
    """Return the content of a summary; ``types`` and their totals in any order."""
    return orjson.dumps(
        {
            "schema": PERIOD_TAG.decode(),
            "device": device,
            "taxpayer": taxpayer,
            "period": period,
            "summary_time": datetime.fromtimestamp(summary_time, SHANGHAI).isoformat(),
            "types": [_told(one) for one in sorted(types, key=lambda one: one.type)],
        }
    )


def facts(content: bytes) -> PeriodFacts:
    """Return what a summary says; ``ValueError`` when it is none."""
    members = orjson.loads(content)
    if not isinstance(members, dict) or tuple(members) != _MEMBERS:
        raise ValueError("not the members of a summary")
    if members["schema"] != PERIOD_TAG.decode():
        raise ValueError(f"{members['schema']} is not the schema of a summary")
    try:
        told_at = datetime.fromisoformat(members["summary_time"])
        return PeriodFacts(
            device=members["device"],
            taxpayer=members["taxpayer"],
            period=members["period"],
            summary_time=int(told_at.astimezone(UTC).timestamp()),
            types=tuple(map(_read, members["types"])),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a summary: {error}") from error


def _told(one: TypeStatistics) -> dict[str, Any]:
    totals = sorted(one.totals, key=lambda total: (_ORDER[total.group], total.rate_ppm))
    return {
        "type": one.type,
        **{name: getattr(one, name) for name in _COUNTS},
        "closing": one.closing,
        "totals": [dict(zip(_TOTAL_MEMBERS, total, strict=True)) for total in totals],
    }


def _read(members: dict[str, Any]) -> TypeStatistics:
    if tuple(members) != _TYPE_MEMBERS:
        raise ValueError("not the members of a type's figures")
    one = TypeStatistics(
        type=members["type"],
        **{name: members[name] for name in _COUNTS},
        totals=tuple(
            GroupTotal(Group(total["group"]), *(total[name] for name in _TOTAL_MEMBERS[1:]))
            for total in members["totals"]
        ),
    )
    if one.closing != members["closing"]:
        raise ValueError(f"type {one.type} does not balance")
    return one
