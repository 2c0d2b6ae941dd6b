"""The authority's time: this machine's, moved by what the policy in force says.

What is counted in windows and delays goes by the machine's own time: moving the clock forgives nothing.
"""

import time

from authority.simulator.office import PolicyInForce

_NS_PER_MS = 1_000_000


class AuthorityClock:
    """Tells ns since 1970 as the authority has it."""

    def __init__(self, in_force: PolicyInForce) -> None:
        self._in_force = in_force

    def __call__(self) -> int:
        """Return the time."""
        return time.time_ns() + self._in_force.policy.clock_ahead_ms * _NS_PER_MS
