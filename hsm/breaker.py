"""Which keys are out of service, and why. Pure bookkeeping; belongs to the event loop."""

from dataclasses import dataclass
from itertools import islice

from hsm.port import DeviceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A key that is out of service."""

    key: DeviceKey
    cause: str


class Breakers:
    """One breaker per device key: closed unless it is in ``open``."""

    def __init__(self) -> None:
        self._known: dict[str, DeviceKey] = {}
        self.open: dict[str, Break] = {}

    def know(self, key: DeviceKey) -> None:
        """Count ``key`` among those served here."""
        self._known[key.key_id] = key

    def trip(self, key: DeviceKey, cause: str) -> bool:
        """Take ``key`` out of service; True when it was in service until now."""
        first = key.key_id not in self.open
        self.open[key.key_id] = Break(key=key, cause=cause)
        return first

    def mend(self, key: DeviceKey) -> bool:
        """Put ``key`` back in service; True when it was out of it."""
        return self.open.pop(key.key_id, None) is not None

    @property
    def known_count(self) -> int:
        """How many keys are served here."""
        return len(self._known)

    def served(self, count_max: int) -> list[DeviceKey]:
        """Return known keys that are in service, at most ``count_max``."""
        served = (key for key in self._known.values() if key.key_id not in self.open)
        return list(islice(served, count_max))

    def others_served(self) -> bool:
        """Say whether any known key is in service."""
        return len(self._known) > len(self.open)
