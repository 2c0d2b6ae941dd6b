"""What the authority allows: data, set at start or while running."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

MS_PER_UNIT: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}

# A window is looked up by its n-th last call, so its size costs nothing; the bounds keep a slip of
# the hand from reading as a rule.
_PERIOD_MS_MAX: Final = 31 * 24 * 3_600_000
_CALL_COUNT_MAX: Final = 10_000_000
_ISSUE_DAYS_MAX: Final = 3650
_CERTIFICATE_DAYS_MAX: Final = 20 * 365
_AHEAD_MS_MAX: Final = 10 * 366 * 86_400_000

NO_DEADLINE: Final = "none"
"""As ``Policy.issue_deadline``: numbers may be issued on any day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most ``call_count_max`` calls in any ``period_ms`` milliseconds."""

    period_ms: int
    call_count_max: int

    def __post_init__(self) -> None:
        if not 1 <= self.period_ms <= _PERIOD_MS_MAX:
            raise ValueError(f"a window lasts 1 ms to 31 days, not {self.period_ms} ms")
        if not 1 <= self.call_count_max <= _CALL_COUNT_MAX:
            raise ValueError(f"a window takes 1 to 10,000,000 calls, not {self.call_count_max}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLimits:
    """How long issuing may go on without upload. None is no limit; 0 is a limit."""

    age_hours_max: int | None = 72
    amount_fen_max: int | None = 500_000_000
    count_max: int | None = None
    lock_day: int | None = None

    def __post_init__(self) -> None:
        for limit in (self.age_hours_max, self.amount_fen_max, self.count_max):
            if limit is not None and limit < 0:
                raise ValueError(f"an offline limit is 0 or more, not {limit}")
        if self.lock_day is not None and not 0 <= self.lock_day <= 31:
            raise ValueError(f"the lock day is 0 to 31, not {self.lock_day}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything the authority allows.

    ``holding_count_max`` is the most any taxpayer may hold of one type; ``result_delay_ms`` is how
    long a submission is checked before its results are there; ``issue_days`` is how many days after
    the grant its numbers may be issued, 0 for any number; ``issue_deadline`` holds instead unless it is
    empty. ``clock_ahead_ms`` is how far the authority's clock is ahead of this machine's;
    ``certificate_days`` how long device certificates hold.
    """

    windows: tuple[Window, ...] = (
        Window(period_ms=1000, call_count_max=10),
        Window(period_ms=60_000, call_count_max=120),
        Window(period_ms=3_600_000, call_count_max=3600),
    )
    offline_limits: OfflineLimits = OfflineLimits()
    holding_count_max: int = 1_000_000
    result_delay_ms: int = 0
    issue_days: int = 0
    issue_deadline: str = ""
    clock_ahead_ms: int = 0
    certificate_days: int = 5 * 365

    def __post_init__(self) -> None:
        if not 1 <= self.holding_count_max <= 90_000_000:
            raise ValueError(f"the holding is 1 to 90,000,000, not {self.holding_count_max}")
        if not 0 <= self.result_delay_ms <= 86_400_000:
            raise ValueError(f"the result delay is 0 ms to a day, not {self.result_delay_ms} ms")
        if not 0 <= self.issue_days <= _ISSUE_DAYS_MAX:
            raise ValueError(f"numbers last 0 to {_ISSUE_DAYS_MAX} days, not {self.issue_days}")
        if self.issue_deadline not in ("", NO_DEADLINE):
            date.fromisoformat(self.issue_deadline)
        if abs(self.clock_ahead_ms) > _AHEAD_MS_MAX:
            raise ValueError(f"a clock is at most ten years off, not {self.clock_ahead_ms} ms")
        if not 1 <= self.certificate_days <= _CERTIFICATE_DAYS_MAX:
            raise ValueError(f"a certificate holds 1 to 7,300 days, not {self.certificate_days}")


def parse_windows(text: str) -> tuple[Window, ...]:
    """Read ``10/1s,120/60s``; the empty text is no limit.

    Raises:
        ValueError: A part is not COUNT/PERIOD with a unit of ms, s, m or h, or out of range.
    """
    return tuple(_window(part.strip()) for part in text.split(",") if part.strip())


def _window(part: str) -> Window:
    match = re.fullmatch(r"(\d+)/(\d+)(ms|s|m|h)", part, re.ASCII)
    if match is None:
        raise ValueError(f"not a window like 10/1s: {part!r}")
    calls, period, unit = match.groups()
    return Window(period_ms=int(period) * MS_PER_UNIT[unit], call_count_max=int(calls))
