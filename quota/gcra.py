"""How often one caller may come: so many in a period at once, and from then on at their pace.

The generic cell rate algorithm: of every caller one instant is kept, the one from which on the whole
allowance is free again. Times are seconds on one clock that does not step.
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """``count_max`` calls at once, each of them free again after its share of ``period_s``."""

    period_s: float
    count_max: int

    def __post_init__(self) -> None:
        if not (self.period_s > 0 and self.count_max >= 1):
            raise ValueError(f"not an allowance: {self.count_max} in {self.period_s} s")


class Decision(NamedTuple):
    """Whether a call may go, else after how long, and the instant to keep of its caller."""

    allowed: bool
    retry_s: float
    free_at: float


def decide(allowance: Allowance, free_at: float, now: float) -> Decision:
    """Decide on one call. ``free_at`` is what the last decision said; of a new caller anything past."""
    share_s = allowance.period_s / allowance.count_max
    taken_until = max(free_at, now) + share_s
    wait_s = taken_until - now - allowance.period_s
    # A billionth of a second is what adding up the shares may be off.
    if wait_s > 1e-9:
        return Decision(allowed=False, retry_s=wait_s, free_at=free_at)
    return Decision(allowed=True, retry_s=0.0, free_at=taken_until)
