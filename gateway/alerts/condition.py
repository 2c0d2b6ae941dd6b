"""What an alert is raised for.

A condition *holds* from its threshold on. Somewhat below, it does not hold and is not gone either: an
alert that stands goes on standing, and none is raised. What is not here at all is gone. So a value that
swings round its threshold raises one alert and not many.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ledger.alert_records import AlertPlace

KEPT: Final = 0.85
"""From which part of its threshold on a standing alert goes on."""

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0


class Severity(IntEnum):
    """How bad it is."""

    WARNING = 1
    SERIOUS = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something wrong at a place. ``facts`` are the figures its sentence is made of."""

    place: AlertPlace
    severity: Severity
    holds: bool = True
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    limit_at: float | None = None
    drained_at: float | None = None
