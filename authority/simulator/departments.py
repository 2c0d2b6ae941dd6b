"""The two offices that grant numbers: each has types, machines and ids of its own.

A gateway that talks to both keeps what they answer in the same books, so they share no machine
number, no grant id and no serial of a return.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DONATION: Final = "D01"
VAT_TYPES: Final = frozenset({"004", "007", "025", "026", "028", "081", "082"})


class Department(StrEnum):
    """Who the simulator stands in for."""

    TAX = "tax"
    FINANCE = "finance"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What is a department's own. ``foreign_types`` are granted by the other one.

    ``machine_first`` is one before its first machine number; ``initial`` starts its ids.
    """

    types: frozenset[str]
    foreign_types: frozenset[str]
    machine_first: int
    initial: str


HOUSES: Final = {
    Department.TAX: House(
        types=VAT_TYPES,
        foreign_types=frozenset({DONATION}),
        machine_first=661_000_000_000,
        initial="",
    ),
    Department.FINANCE: House(
        types=frozenset({DONATION}),
        foreign_types=VAT_TYPES,
        machine_first=662_000_000_000,
        initial="F",
    ),
}
