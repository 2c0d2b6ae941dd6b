"""How long to leave the authority, or the ledger, alone after a failure."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Full jitter: anything between nothing and a ceiling that doubles from ``base_s`` to ``cap_s``.

    Waiting at random below the ceiling spreads callers that failed at the same moment better
    than adding a little noise to a fixed delay.
    """

    base_s: float
    cap_s: float

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"not a backoff: from {self.base_s} to {self.cap_s} s")

    def delay_s(self, failure_count: int, rng: Random) -> float:
        """The delay after that many failures in a row, 1 or more."""
        # 2 ** 1024 is no float; the cap is reached long before.
        ceiling_s = min(self.cap_s, self.base_s * 2 ** min(failure_count - 1, 64))
        return rng.uniform(0, ceiling_s)
