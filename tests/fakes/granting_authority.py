"""An authority in memory that registers sellers, certifies devices, grants numbers, takes them back.

    authority = GrantingAuthority()
    authority.grant_troubles += [None, lost]      # the first draw succeeds, the second is lost
    authority.return_troubles += [refused("NUMBER_USED")]

Writes are idempotent by their id, as the port promises. A trouble is awaited for each call, with
``before`` (no effect yet) and ``after`` (effect done, answer on its way), and may raise; None and
an empty list are no trouble. ``standing`` holds a trouble for one request id for as long as it is there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from authority.port import (
    DeviceCertificate,
    Grant,
    OfflineLimits,
    Registration,
    StockReturn,
    Throttled,
    TypeAllowance,
)
from invoice.document import Party
from invoice.errors import AuthorityRefused, AuthorityUnavailable

Trouble = Callable[[str], None]
_TYPE_CODE = "0110026002"
_DIGITAL_PREFIX = "26111"
_DIGITAL_COUNT_MAX = 5000
_FIRST_MACHINE = 661_000_000_100
_CA = ec.generate_private_key(ec.SECP256R1())
_VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
_VALID = timedelta(days=3650)


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


@dataclass(frozen=True, slots=True)
class ReturnedNumbers:
    """What one request gave back."""

    tax_number: str
    type: str
    code: str
    prefix: str
    width: int
    first: int
    count: int


@dataclass(slots=True)
class GrantingAuthority:
    """The part of ``authority.port.Authority`` that registering, drawing and returning need."""

    grant_troubles: list[Trouble | None] = field(default_factory=list)
    confirm_troubles: list[Trouble | None] = field(default_factory=list)
    get_troubles: list[Trouble | None] = field(default_factory=list)
    standing: dict[str, Trouble] = field(default_factory=dict)
    moved: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Where the numbers of one request id lie instead, as (code, first): over somebody else's."""
    grants: dict[str, Grant] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    """How often each request id was asked a grant, or a return, for."""
    issue_deadline: str = ""
    """The deadline of the grants from now on."""
    return_troubles: list[Trouble | None] = field(default_factory=list)
    returns: dict[str, ReturnedNumbers] = field(default_factory=dict)
    """What was given back, by request id."""
    devices: dict[str, str] = field(default_factory=dict)
    certified: list[str] = field(default_factory=list)
    certificate_instead: bytes | None = None
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
        certificate = self.certificate_instead
        if certificate is None:
            certificate = _certificate(csr)
        return DeviceCertificate(certificate=certificate, ca_certificate=b"ca")

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
            code, prefix, width, first = _place(type, place)
            code, first = self.moved.get(request_id, (code, first))
            self.grants[request_id] = Grant(
                grant_id=f"GR{place}",
                request_id=request_id,
                tax_number=tax_number,
                type=type,
                code=code,
                prefix=prefix,
                width=width,
                first=first,
                count=min(count, _DIGITAL_COUNT_MAX) if prefix else count,
                confirmed=False,
                issue_deadline=self.issue_deadline,
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

    async def return_stock(
        self,
        *,
        request_id: str,
        tax_number: str,
        type: str,
        code: str,
        prefix: str,
        width: int,
        first: int,
        count: int,
    ) -> StockReturn:
        """See the port. Only what overlaps an earlier return is refused by itself."""
        self._called.set()
        self.asked[request_id] += 1
        trouble = self.standing.get(request_id) or _next(self.return_troubles)
        trouble("before")
        wanted = ReturnedNumbers(tax_number, type, code, prefix, width, first, count)
        if self.returns.get(request_id, wanted) != wanted:
            refused("REQUEST_ID_REUSED", "ALREADY_EXISTS")("before")
        if request_id not in self.returns:
            if any(_overlap(wanted, earlier) for earlier in self.returns.values()):
                refused("ALREADY_RETURNED")("before")
            self.returns[request_id] = wanted
        trouble("after")
        return StockReturn(return_serial=f"RT{list(self.returns).index(request_id) + 1}")


def _place(type_: str, place: int) -> tuple[str, str, int, int]:
    """Return code, prefix, width and first running part of the ``place``-th grant."""
    match type_:
        case "081" | "082":
            return "", _DIGITAL_PREFIX, 20, (place - 1) * _DIGITAL_COUNT_MAX + 1
        case "D01":
            return f"110601{place:02}", "", 10, 1
        case _:
            return f"{_TYPE_CODE}{place:02}", "", 8, 1


def _overlap(one: ReturnedNumbers, other: ReturnedNumbers) -> bool:
    same = (one.code, one.prefix, one.width) == (other.code, other.prefix, other.width)
    return same and one.first < other.first + other.count and other.first < one.first + one.count


def _certificate(csr: bytes) -> bytes:
    asked = x509.load_der_x509_csr(csr)
    return (
        x509.CertificateBuilder(asked.subject, asked.subject, asked.public_key(), 1)
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_FROM + _VALID)
        .sign(_CA, SHA256())
        .public_bytes(Encoding.DER)
    )


def _next(troubles: list[Trouble | None]) -> Trouble:
    return (troubles.pop(0) if troubles else None) or _none


def _none(_: str) -> None:
    """Nothing goes wrong."""
