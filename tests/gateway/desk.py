"""One issuing desk for tests: a real SQLite ledger behind a gate, a software device, an issuer.

Beside it whoever voids and reverses. Nothing is uploaded.

The clock is the machine's, but the sweep's pauses are short: no test waits out a real second.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from gateway.authorities import Authorities, Bureau
from gateway.authority_time import AuthorityTime
from gateway.clock import Clock
from gateway.deadline import Deadline
from gateway.issue import Issuer
from gateway.issuing import Issuing
from gateway.job import Issued
from gateway.prepare import Preparer
from gateway.registry import Registry
from gateway.reverse import Reversal
from gateway.statements import Stated, Statements
from gateway.sweep import Sweep
from gateway.voids import Voids
from hsm.verify import verify
from invoice import content, rates
from invoice.document import Draft, Kind, Line, Original, Party, Taxpayer, TypeGrant
from invoice.identifiers import invoice_name, point_name
from ledger.port import Ledger
from ledger.records import (
    Act,
    Binding,
    DeviceKeyRecord,
    DeviceRecord,
    Entry,
    GrantRecord,
    OriginalRef,
    PointRecord,
    Reservation,
    TaxpayerRecord,
)
from ledger.sqlite import SqliteLedger
from quota.offline import NO_LIMITS, OfflineLimits
from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.invoice_reversal_pb2 import VoidInvoiceRequest
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from tests.fakes.gated_ledger import GatedLedger
from tests.fakes.software_signer import SoftwareSigner

TENANT = "default"
TAX_NUMBER = "91110000AYTLHUJ0ET"
MACHINE_NUMBER = "661000000001"
SELLER = Party(
    tax_number=TAX_NUMBER,
    name="示例铁路局集团有限公司",
    address_phone="北京市示例区铁道路1号 010-00000001",
    bank_account="示例银行北京分行 11000000000000001",
)
# By type the code its numbers come under. Reds of 026 are full only.
CODES = {"026": "011002600111", "007": "011002600107", "025": "011002600125"}
NO_DEADLINE = Deadline(None)
_PAUSE_S_MAX = 0.01
_workers = itertools.count(1)


class QuickClock:
    """The machine's clock with every pause cut to a hundredth of a second."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def now(self) -> float:
        return time.time() + self.offset_s

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, _PAUSE_S_MAX))


class Desk:
    """Everything a test of the issuing path touches."""

    def __init__(self, path: Path, signer: SoftwareSigner) -> None:
        self.path = path
        self.signer = signer
        self.clock = QuickClock()
        self.woken: list[str] = []
        self.worker = f"worker-{next(_workers)}"
        self.ledger = GatedLedger(SqliteLedger(path, verify=verify))
        self.registry = Registry(self.ledger)
        self.issuer = self._issuer()
        # Nothing here asks the authority anything but the time, and it has not told any.
        bureau = Bureau(cast("Any", None), AuthorityTime(self.clock))
        self.authorities = Authorities(tax=bureau)
        self.preparer = Preparer(
            registry=self.registry,
            signer=self.signer,
            authorities=self.authorities,
            tenant=TENANT,
        )
        self.issuing = Issuing(
            issuer=self.issuer,
            preparer=self.preparer,
            ledger=self.ledger,
            registry=self.registry,
        )
        self.reversal = Reversal(preparer=self.preparer, ledger=self.ledger)
        self.statements = Statements(
            ledger=self.ledger,
            signer=self.signer,
            registry=self.registry,
            clock=self.clock,
            on_settled=self.woken.extend,
        )
        self.voids = Voids(
            statements=self.statements,
            ledger=self.ledger,
            registry=self.registry,
            signer=self.signer,
            authorities=self.authorities,
            clock=self.clock,
            worker=self.worker,
            tenant=TENANT,
        )
        self.sweep = Sweep(
            ledger=self.ledger,
            signer=self.signer,
            registry=self.registry,
            issuer=self.issuer,
            statements=self.statements,
            clock=self.clock,
            worker=self.worker,
        )

    def _issuer(self) -> Issuer:
        return Issuer(
            ledger=self.ledger,
            signer=self.signer,
            registry=self.registry,
            clock=self.clock,
            worker=self.worker,
            group_count_max=16,
            waiting_count_max=500,
            wait_s_max=0.5,
            on_issued=self.woken.extend,
            clock_trusted=lambda _: True,
        )

    async def open(self) -> None:
        await self.ledger.start(self.worker, self.clock.now())
        await self.signer.start()
        await self.issuer.start()
        await self.sweep.start()

    async def close(self) -> None:
        await self.sweep.close()
        await self.statements.close(grace_s=5.0)
        await self.issuer.close(grace_s=5.0)
        await self.signer.close()
        await self.ledger.close()

    async def issue(self, reservation: Reservation) -> Issued:
        return await self.issuer.submit(reservation)

    async def void(self, request: VoidInvoiceRequest, deadline: Deadline = NO_DEADLINE) -> Stated:
        return await self.voids.invoice(request, deadline)

    async def void_blank(
        self, request: VoidBlankNumberRequest, deadline: Deadline = NO_DEADLINE
    ) -> Stated:
        return await self.voids.blank_number(request, deadline)

    async def settled(self, request_id: str) -> Issued | None:
        """What ``request_id`` became once nothing of it runs any more; None: no number."""
        while True:
            entry = await self.ledger.find_request(TENANT, request_id)
            if entry is None or entry.signature is not None:
                return None if entry is None else Issued(entry, replayed=True)
            await asyncio.sleep(_PAUSE_S_MAX)


@asynccontextmanager
async def open_desk(
    folder: Path,
    *,
    numbers: int = 1000,
    signer: SoftwareSigner | None = None,
    types: tuple[str, ...] = ("026",),
) -> AsyncIterator[Desk]:
    """A desk with one registered taxpayer, one point and ``numbers`` numbers of each type."""
    desk = Desk(folder / "ledger.db", signer or SoftwareSigner())
    await desk.open()
    try:
        if await desk.ledger.taxpayer(TENANT, TAX_NUMBER) is None:
            await stock_up(desk, numbers, types)
        yield desk
    finally:
        desk.ledger.release()
        desk.signer.release()
        await desk.close()


class Place(Protocol):
    """Where a taxpayer is registered: at a desk, or in a whole gateway."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def signer(self) -> SoftwareSigner: ...
    @property
    def clock(self) -> Clock: ...


async def stock_up(
    desk: Place,
    numbers: int,
    types: tuple[str, ...],
    *,
    tax_number: str = TAX_NUMBER,
    machine_number: str = MACHINE_NUMBER,
    label: str = "device-1",
    code: str = "",
    limits: OfflineLimits = NO_LIMITS,
    points: tuple[int, ...] = (0,),
) -> None:
    """Register a taxpayer, draw its numbers and assign each point as many."""
    key = await desk.signer.ensure_key(label)
    act = Act(actor="test", reason="", at=desk.clock.now())
    device_key = DeviceKeyRecord(
        key_id=key.key_id,
        label=key.label,
        algorithm=key.algorithm,
        public_key=key.public_key,
        certificate=b"certificate",
    )
    record = TaxpayerRecord(
        tenant=TENANT,
        taxpayer=replace(taxpayer(types=types), tax_number=tax_number),
        points=tuple(PointRecord(point=one, machine_number=machine_number) for one in points),
        devices=(
            DeviceRecord(machine_number=machine_number, kind="new-server", keys=(device_key,)),
        ),
        holding_count_max=dict.fromkeys(types, 1_000_000),
        offline_limits=limits,
        windows=(),
        registered_at=desk.clock.now(),
    )
    await desk.ledger.register(record, bound(f"register-{label}"), act)
    for type_ in types:
        name = f"{type_}-{label}"
        await draw(desk, type_, numbers * len(points), name, tax_number=tax_number, code=code)
        for point in points:
            each = f"{name}-{point}"
            await assign(desk, type_, numbers, each, point=point, tax_number=tax_number)


async def draw(
    desk: Place,
    type_: str,
    numbers: int,
    name: str,
    *,
    tax_number: str = TAX_NUMBER,
    code: str = "",
    issue_deadline: str = "",
) -> None:
    """Put numbers into a taxpayer's pool."""
    act = Act(actor="test", reason="", at=desk.clock.now())
    grant = GrantRecord(
        tenant=TENANT,
        request_id=f"draw-{name}",
        authority_request_id=f"draw-{name}-1",
        tax_number=tax_number,
        type=type_,
        count=numbers,
        state="REQUESTED",
    )
    await desk.ledger.request_grant(grant, bound(grant.request_id), act)
    answer = replace(granted(grant), code=code or CODES[type_], issue_deadline=issue_deadline)
    await desk.ledger.store_grant(answer)
    await desk.ledger.confirm_grant(TENANT, grant.request_id, desk.clock.now())


async def assign(
    desk: Place,
    type_: str,
    numbers: int,
    name: str,
    *,
    point: int = 0,
    tax_number: str = TAX_NUMBER,
) -> None:
    """Move numbers from the pool to a point."""
    await desk.ledger.assign(
        tax_number=tax_number,
        point=point,
        type=type_,
        count=numbers,
        binding=bound(f"assign-{name}"),
        act=Act(actor="test", reason="", at=desk.clock.now()),
    )


def granted(grant: GrantRecord) -> GrantRecord:
    """The grant as the authority answers it."""
    return GrantRecord(
        tenant=grant.tenant,
        request_id=grant.request_id,
        authority_request_id=grant.authority_request_id,
        tax_number=grant.tax_number,
        type=grant.type,
        count=grant.count,
        state="GRANTED",
        grant_id=f"G{grant.authority_request_id}",
        code=CODES[grant.type],
        prefix="",
        width=8,
        first=1,
    )


def bound(action: str) -> Binding:
    """An admin request id that stands for itself."""
    return Binding(tenant=TENANT, request_id=action, action=action, request=b"{}")


def taxpayer(version: int = 1, types: tuple[str, ...] = ("026",)) -> Taxpayer:
    """A railway company that may issue at 9 %."""
    return Taxpayer(
        tax_number=SELLER.tax_number,
        name=SELLER.name,
        address_phone=SELLER.address_phone,
        bank_account=SELLER.bank_account,
        grants={
            type_: TypeGrant(
                type=type_, rates_ppm=frozenset({90_000}), invoice_limit_fen=10_000_000
            )
            for type_ in types
        },
        version=version,
    )


def reservation(
    request_id: str,
    *,
    net_fen: int = 10_000,
    point: int = 0,
    version: int = 1,
    type_: str = "026",
    tax_number: str = TAX_NUMBER,
) -> Reservation:
    """One ticket of ``net_fen``."""
    draft = _ticket(Kind.BLUE, net_fen, type_)
    if tax_number != TAX_NUMBER:
        draft = replace(draft, seller=replace(SELLER, tax_number=tax_number))
    return _reservation(request_id, draft, point, version)


def red(request_id: str, blue: Entry, *, net_fen: int = 0) -> Reservation:
    """A red of ``net_fen`` of a ticket, of all of it when that is 0."""
    draft = _ticket(
        Kind.RED,
        -(net_fen or blue.net_fen),
        blue.type,
        Original(code=blue.code, number=blue.number),
    )
    return _reservation(request_id, draft, 0, 1)


def request(
    request_id: str, *, net_fen: int = 10_000, buyer: str = "个人", point: int = 0
) -> IssueInvoiceRequest:
    """The same ticket as a platform asks for it."""
    tax_fen = net_fen * 9 // 100
    return IssueInvoiceRequest(
        request_id=request_id,
        point=point_name(TAX_NUMBER, point),
        kind=invoice_pb2.INVOICE_KIND_BLUE,
        type="026",
        seller=invoice_pb2.Party(
            tax_number=SELLER.tax_number,
            name=SELLER.name,
            address_phone=SELLER.address_phone,
            bank_account=SELLER.bank_account,
        ),
        buyer=invoice_pb2.Party(name=buyer),
        lines=[
            invoice_pb2.Line(
                name="*运输服务*铁路旅客运输",
                amount_fen=net_fen,
                tax_fen=tax_fen,
                rate_ppm=90_000,
                classification_code="3010101020100000000",
            )
        ],
        net_fen=net_fen,
        tax_fen=tax_fen,
        gross_fen=net_fen + tax_fen,
        clerk="张示例",
    )


def void_of(entry: Entry, request_id: str = "void", reason: str = "开票有误") -> VoidInvoiceRequest:
    """The request to void an invoice."""
    name = invoice_name(entry.tax_number, entry.code, entry.number)
    return VoidInvoiceRequest(request_id=request_id, name=name, reason=reason)


def blank_void_of(
    number: str, request_id: str = "blank", *, validate_only: bool = False
) -> VoidBlankNumberRequest:
    """The request to void a number of 026 that is no invoice."""
    return VoidBlankNumberRequest(
        request_id=request_id,
        point=point_name(TAX_NUMBER, 0),
        type="026",
        code=CODES["026"],
        number=number,
        reason="纸张污损",
        validate_only=validate_only,
    )


def _ticket(kind: Kind, net_fen: int, type_: str, original: Original | None = None) -> Draft:
    tax_fen = abs(net_fen) * 9 // 100 * (1 if net_fen > 0 else -1)
    return Draft(
        kind=kind,
        type=type_,
        seller=SELLER,
        buyer=Party(name="个人"),
        lines=(
            Line(
                name="*运输服务*铁路旅客运输",
                amount_fen=net_fen,
                tax_fen=tax_fen,
                rate_ppm=90_000,
                classification_code="3010101020100000000",
            ),
        ),
        net_fen=net_fen,
        tax_fen=tax_fen,
        gross_fen=net_fen + tax_fen,
        clerk="张示例",
        original=original,
        red_reason="" if original is None else "开票有误",
    )


def _reservation(request_id: str, draft: Draft, point: int, version: int) -> Reservation:
    tax_number = draft.seller.tax_number
    tail = content.tail(draft, taxpayer=tax_number, point=point)
    blue = draft.original
    return Reservation(
        tenant=TENANT,
        request_id=request_id,
        fingerprint=content.fingerprint(tail),
        tax_number=tax_number,
        taxpayer_version=version,
        point=point,
        type=draft.type,
        kind=draft.kind,
        net_fen=draft.net_fen,
        tax_fen=draft.tax_fen,
        tail=tail,
        original=None if blue is None else OriginalRef(code=blue.code, number=blue.number),
        rates=rates.of_lines(draft.lines),
    )
