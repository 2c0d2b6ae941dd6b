"""What an operator has decided about a taxpayer's uploads, as its stream keeps to it."""

import math
from collections.abc import Sequence
from typing import Final

from ledger.records import RateWindow, UploadControlRecord

# A pause is told by the wall clock, which may step: it is looked at again after this long.
_LOOK_S: Final = 60.0


def in_force(given: Sequence[RateWindow], lowered: Sequence[RateWindow]) -> tuple[RateWindow, ...]:
    """The authority's windows and the operator's; of several of one length the tightest."""
    counts: dict[float, int] = {}
    for window in (*given, *lowered):
        known = counts.get(window.period_s, window.call_count_max)
        counts[window.period_s] = min(known, window.call_count_max)
    return tuple(
        RateWindow(period_s=period_s, call_count_max=count) for period_s, count in counts.items()
    )


def silent_s(control: UploadControlRecord, now: float) -> float:
    """For how long nothing may be sent, until it has to be looked at again; ``now`` is wall time."""
    if not control.paused_at(now):
        return 0.0
    until = math.inf if control.paused_until is None else control.paused_until
    return min(until - now, _LOOK_S)
