"""Faults on request, drawn from one seeded generator.

Each call draws the same number of times whatever the plan says, so a run with the same seed and
the same order of calls meets the same faults.
"""

import random
from dataclasses import dataclass

from authority.simulator.verdicts import Whim

_PPM = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Shares in parts per million of calls, or of items; see ``simulator_service.proto``."""

    seed: int = 0
    delay_ppm: int = 0
    delay_ms: int = 0
    throttle_ppm: int = 0
    throttle_retry_ms: int = 0
    server_error_ppm: int = 0
    lost_answer_ppm: int = 0
    refuse_item_ppm: int = 0
    refuse_signature_ppm: int = 0
    unreachable: bool = False
    poison: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        shares = (
            self.delay_ppm,
            self.throttle_ppm,
            self.server_error_ppm,
            self.lost_answer_ppm,
            self.refuse_item_ppm,
            self.refuse_signature_ppm,
        )
        if not all(0 <= share <= _PPM for share in shares):
            raise ValueError("a share is 0 to 1,000,000 ppm")
        if not (0 <= self.delay_ms <= 3_600_000 and 0 <= self.throttle_retry_ms <= 3_600_000):
            raise ValueError("a delay is 0 ms to an hour")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFaults:
    """What befalls one call. ``delay_s`` and ``throttle_retry_s`` are None when it does not."""

    unreachable: bool
    delay_s: float | None
    throttle_retry_s: float | None
    server_error: bool
    lost_answer: bool


class Mischief:
    """The plan at work; one per simulator."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._random = random.Random(plan.seed)  # noqa: S311 - reproducible is the point

    def call(self, *, upload: bool) -> CallFaults:
        """Draw what befalls a call. Only upload calls are throttled."""
        plan = self.plan
        delayed, throttled, failed, lost = (
            self._hits(share)
            for share in (
                plan.delay_ppm,
                plan.throttle_ppm,
                plan.server_error_ppm,
                plan.lost_answer_ppm,
            )
        )
        return CallFaults(
            unreachable=plan.unreachable,
            delay_s=plan.delay_ms / 1000 if delayed else None,
            throttle_retry_s=plan.throttle_retry_ms / 1000 if throttled and upload else None,
            server_error=failed,
            lost_answer=lost,
        )

    def item(self) -> Whim:
        """Draw whether a right item is refused."""
        return Whim(
            refuse=self._hits(self.plan.refuse_item_ppm),
            refuse_signature=self._hits(self.plan.refuse_signature_ppm),
        )

    def poisoned(self, *, code: str, number: str) -> bool:
        """Say whether this number refuses its whole submission."""
        return (f"{code}-{number}" if code else number) in self.plan.poison

    def _hits(self, share_ppm: int) -> bool:
        return self._random.randrange(_PPM) < share_ppm
