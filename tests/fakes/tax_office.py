"""The authorities of a gateway that knows the tax authority alone, on a fake of it."""

from typing import cast

from authority.port import Authority
from gateway.authorities import Authorities, Bureau
from gateway.authority_time import AuthorityTime
from gateway.clock import Clock, SystemClock


def bureau(authority: object, clock: Clock | None = None) -> Bureau:
    """A bureau of ``authority``, which has told no time yet."""
    return Bureau(cast("Authority", authority), AuthorityTime(clock or SystemClock()))


def tax_office(authority: object) -> Authorities:
    """What a gateway knows without ``[finance]``."""
    return Authorities(tax=bureau(authority))
