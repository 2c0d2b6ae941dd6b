"""An authority in memory that registers sellers, certifies devices and grants numbers.

    authority = GrantingAuthority()
    authority.grant_troubles += [None, lost]      # the first draw succeeds, the second is lost

Writes are idempotent by their id, as the port promises. A trouble is awaited for each call, with
``before`` (no effect yet) and ``after`` (effect done, answer on its way), and may raise; None and
an empty list are no trouble. ``standing`` holds a trouble for one request id for as long as it is there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from authority.port import (
    DeviceCertificate,
    Grant,
    OfflineLimits,
    Registration,
    Throttled,
    TypeAllowance,
)
from invoice.document import Party
from invoice.errors import AuthorityRefused, AuthorityUnavailable

Trouble = Callable[[str], None]
_TYPE_CODE = "0110026002"
_FIRST_MACHINE = 661_000_000_100


def lost(moment: str) -> None:
    """The call takes effect, its answer never comes."""
    if moment == "after":
        raise AuthorityUnavailable("no answer", grpc_code="UNAVAILABLE")


def away(_: str) -> None:
    """The call does not arrive."""
    raise AuthorityUnavailable("nobody there", grpc_code="UNAVAILABLE")


def throttled(_: str) -> None:
    """Refused for now."""
    raise Throttled(
        "too fast", retry_s=1.5, authority_reason="THROTTLED", grpc_code="RESOURCE_EXHAUSTED"
    )


def refused(reason: str, grpc_code: str = "FAILED_PRECONDITION") -> Trouble:
    """A no with this reason, which may be a bare gRPC code."""

    def refuse(_: str) -> None:
        raise AuthorityRefused("no", authority_reason=reason, grpc_code=grpc_code)

    return refuse


@dataclass(slots=True)
class GrantingAuthority:
    """The part of ``authority.port.Authority`` that registering and drawing need."""

    grant_troubles: list[Trouble | None] = field(default_factory=list)
    confirm_troubles: list[Trouble | None] = field(default_factory=list)
    get_troubles: list[Trouble | None] = field(default_factory=list)
    standing: dict[str, Trouble] = field(default_factory=dict)
    moved: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Where the numbers of one request id lie instead, as (code, first): over somebody else's."""
    grants: dict[str, Grant] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    """How often each request id was asked a grant for."""
    devices: dict[str, str] = field(default_factory=dict)
    certified: list[str] = field(default_factory=list)
    _called: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until ``holds``, looked at after each call about a grant."""
        while not holds():
            self._called.clear()
            await self._called.wait()

    async def register_taxpayer(
        self, seller: Party, wanted: Sequence[TypeAllowance]
    ) -> Registration:
        """See the port."""
        await asyncio.sleep(0)
        return Registration(
            seller=seller,
            grants=tuple(wanted),
            offline_limits=OfflineLimits(),
            windows=(),
            batch_count_max=100,
        )

    async def register_device(self, *, request_id: str, tax_number: str, kind: str) -> str:
        """See the port."""
        del tax_number, kind
        await asyncio.sleep(0)
        return self.devices.setdefault(request_id, str(_FIRST_MACHINE + len(self.devices)))

    async def issue_certificate(self, *, machine_number: str, csr: bytes) -> DeviceCertificate:
        """See the port."""
        await asyncio.sleep(0)
        self.certified.append(machine_number)
        return DeviceCertificate(certificate=csr, ca_certificate=b"ca")

    async def grant_stock(
        self, *, request_id: str, tax_number: str, type: str, count: int
    ) -> Grant:
        """See the port."""
        self._called.set()
        self.asked[request_id] += 1
        trouble = self.standing.get(request_id) or _next(self.grant_troubles)
        trouble("before")
        if request_id not in self.grants:
            place = len(self.grants) + 1
            code, first = self.moved.get(request_id, (f"{_TYPE_CODE}{place:02}", 1))
            self.grants[request_id] = Grant(
                grant_id=f"GR{place}",
                request_id=request_id,
                tax_number=tax_number,
                type=type,
                code=code,
                prefix="",
                width=8,
                first=first,
                count=count,
                confirmed=False,
            )
        trouble("after")
        return self.grants[request_id]

    async def confirm_grant(self, grant_id: str) -> Grant:
        """See the port."""
        self._called.set()
        trouble = _next(self.confirm_troubles)
        trouble("before")
        for request_id, grant in self.grants.items():
            if grant.grant_id == grant_id:
                self.grants[request_id] = replace(grant, confirmed=True)
                trouble("after")
                return self.grants[request_id]
        raise AuthorityRefused("no such grant", authority_reason="GRANT_UNKNOWN")

    async def get_grant(self, request_id: str) -> Grant | None:
        """See the port."""
        trouble = _next(self.get_troubles)
        trouble("before")
        trouble("after")
        return self.grants.get(request_id)


def _next(troubles: list[Trouble | None]) -> Trouble:
    return (troubles.pop(0) if troubles else None) or _none


def _none(_: str) -> None:
    """Nothing goes wrong."""
