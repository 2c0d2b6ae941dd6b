"""So many calls for each caller. Who calls is told by the address, whatever the port."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import unquote

from gateway.clock import Clock
from invoice.errors import RateLimited
from quota.gcra import Allowance, decide

_MINUTE_S: Final = 60.0
# Half a megabyte. Beyond it the callers that are longest silent are forgotten.
_CALLER_COUNT_MAX: Final = 10_000
# One customer of a provider has at least so much of an IPv6 address to himself.
_PREFIX_BITS: Final = 64


class CallerLimit:
    """Lets each caller call ``calls_per_minute`` times a minute."""

    def __init__(
        self, calls_per_minute: int, *, clock: Clock, caller_count_max: int = _CALLER_COUNT_MAX
    ) -> None:
        self._allowance = Allowance(period_s=_MINUTE_S, count_max=calls_per_minute)
        self._clock = clock
        self._caller_count_max = caller_count_max
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def take(self, peer: str) -> None:
        """Count a call of ``peer``, as gRPC names it; raise ``RateLimited`` when it is one too many."""
        caller = caller_of(peer)
        now = self._clock.monotonic()
        decision = decide(self._allowance, self._free_at.pop(caller, now), now)
        self._free_at[caller] = decision.free_at
        if len(self._free_at) > self._caller_count_max:
            self._free_at.popitem(last=False)
        if not decision.allowed:
            raise RateLimited(
                "this caller has asked too often; wait a little", retry_s=decision.retry_s
            )


def caller_of(peer: str) -> str:
    """Who stands behind ``ipv4:1.2.3.4:5``, ``ipv6:[::1]:5`` or ``unix:…``; odd ones as they are."""
    scheme, _, address = unquote(peer).partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return scheme
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        found = ip_address(host)
    except ValueError:
        return peer
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return str(ip_network((found, _PREFIX_BITS), strict=False))
        found = found.ipv4_mapped
    return str(found)
