"""How far this machine's clock is from the authority's.

Every answer of the authority carries its time. The offset is kept against the monotonic clock, so
it stays valid while the authority is away and a step of the wall clock shows at once. Before the
first contact there are two witnesses. The ledger: no invoice is dated before the last one of its
meter (``clock_trusted`` of ``Ledger.commit``). And this process: a wall clock that runs back against
the monotonic one was wrong before or is wrong now. One that jumps ahead is believed: a machine that
slept has no other way to say so.
"""

from gateway.clock import Clock
from invoice.errors import ClockSkew

# domain §8: more than 30 minutes from the authority's clock, and issuing stops.
SKEW_S_MAX = 1800.0


class AuthorityTime:
    """Keeps the offset. ``observe`` is called with every answer that carries a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s: float | None = None
        self._started_s = clock.now() - clock.monotonic()

    def observe(self, authority_s: float, sent_s: float, answered_s: float) -> None:
        """Take an answer's time: ``authority_s`` unix, the other two on the monotonic clock."""
        # The answer was made somewhere between; half the round trip bounds the error.
        self._offset_s = authority_s - (sent_s + answered_s) / 2

    @property
    def known(self) -> bool:
        """Whether the authority has told the time since start."""
        return self._offset_s is not None

    def skew_s(self) -> float:
        """Wall clock minus authority's clock; 0 before the first contact."""
        if self._offset_s is None:
            return 0.0
        return self._clock.now() - (self._clock.monotonic() + self._offset_s)

    def check(self) -> None:
        """Raise ``ClockSkew`` when an invoice may not be dated by this clock."""
        if self._offset_s is None:
            stepped_s = self._clock.now() - self._clock.monotonic() - self._started_s
            if stepped_s < -SKEW_S_MAX:
                raise _skewed("has run back since the start", stepped_s)
        elif abs(self.skew_s()) > SKEW_S_MAX:
            raise _skewed("is not the authority's", self.skew_s())


def _skewed(what: str, skew_s: float) -> ClockSkew:
    return ClockSkew(
        f"this machine's clock {what}: {skew_s:+.0f} s",
        skew_s=round(skew_s),
        skew_s_max=round(SKEW_S_MAX),
        ends_by="CLOCK",
    )
