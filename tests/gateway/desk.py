"""One issuing desk for tests: a real SQLite ledger behind a gate, a software device, an issuer.

The clock is the machine's, but the sweep's pauses are short: no test waits out a real second.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.issue import Issuer
from gateway.job import Issued
from gateway.registry import Registry
from gateway.sweep import Sweep
from hsm.verify import verify
from invoice import content
from invoice.document import Draft, Kind, Line, Party, Taxpayer, TypeGrant
from ledger.records import (
    Act,
    Binding,
    DeviceKeyRecord,
    DeviceRecord,
    GrantRecord,
    OfflineLimits,
    PointRecord,
    Reservation,
    TaxpayerRecord,
)
from ledger.sqlite import SqliteLedger
from tests.fakes.gated_ledger import GatedLedger
from tests.fakes.software_signer import SoftwareSigner

TENANT = "default"
TAX_NUMBER = "91110000AYTLHUJ0ET"
MACHINE_NUMBER = "661000000001"
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
        self.sweep = Sweep(
            ledger=self.ledger, issuer=self.issuer, clock=self.clock, worker=self.worker
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
            on_issued=self.woken.extend,
            clock_trusted=lambda: True,
        )

    async def open(self) -> None:
        await self.ledger.start(self.worker, self.clock.now())
        await self.signer.start()
        await self.issuer.start()
        await self.sweep.start()

    async def close(self) -> None:
        await self.sweep.close()
        await self.issuer.close(grace_s=5.0)
        await self.signer.close()
        await self.ledger.close()

    async def issue(self, reservation: Reservation) -> Issued:
        return await self.issuer.submit(reservation)

    async def settled(self, request_id: str) -> Issued | None:
        """What ``request_id`` became once nothing of it runs any more; None: no number."""
        while True:
            entry = await self.ledger.find_request(TENANT, request_id)
            if entry is None or entry.signature is not None:
                return None if entry is None else Issued(entry, replayed=True)
            await asyncio.sleep(_PAUSE_S_MAX)


@asynccontextmanager
async def open_desk(
    folder: Path, *, numbers: int = 1000, signer: SoftwareSigner | None = None
) -> AsyncIterator[Desk]:
    """A desk with one registered taxpayer, one point and ``numbers`` numbers of type 026."""
    desk = Desk(folder / "ledger.db", signer or SoftwareSigner())
    await desk.open()
    try:
        if await desk.ledger.taxpayer(TENANT, TAX_NUMBER) is None:
            await stock_up(desk, numbers)
        yield desk
    finally:
        desk.ledger.release()
        desk.signer.release()
        await desk.close()


async def stock_up(desk: Desk, numbers: int) -> None:
    """Register the taxpayer, draw and assign its numbers."""
    key = await desk.signer.ensure_key("device-1")
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
        taxpayer=taxpayer(),
        points=(PointRecord(point=0, machine_number=MACHINE_NUMBER),),
        devices=(
            DeviceRecord(machine_number=MACHINE_NUMBER, kind="new-server", keys=(device_key,)),
        ),
        holding_count_max={"026": 1_000_000},
        offline_limits=OfflineLimits(),
        windows=(),
    )
    await desk.ledger.register(record, bound("register"), act)
    grant = GrantRecord(
        tenant=TENANT,
        request_id="draw",
        authority_request_id="draw-1",
        tax_number=TAX_NUMBER,
        type="026",
        count=numbers,
        state="REQUESTED",
    )
    await desk.ledger.request_grant(grant, bound("draw"), act)
    await desk.ledger.store_grant(granted(grant))
    await desk.ledger.confirm_grant(TENANT, "draw", desk.clock.now())
    await desk.ledger.assign(
        tax_number=TAX_NUMBER,
        point=0,
        type="026",
        count=numbers,
        binding=bound("assign"),
        act=act,
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
        grant_id="G1",
        code="011002600111",
        prefix="",
        width=8,
        first=1,
    )


def bound(action: str) -> Binding:
    """An admin request id that stands for itself."""
    return Binding(tenant=TENANT, request_id=action, action=action, request=b"{}")


def taxpayer(version: int = 1) -> Taxpayer:
    """A railway company that may issue 026 at 9 %."""
    return Taxpayer(
        tax_number=TAX_NUMBER,
        name="示例铁路局集团有限公司",
        address_phone="北京市示例区铁道路1号 010-00000001",
        bank_account="示例银行北京分行 11000000000000001",
        grants={
            "026": TypeGrant(
                type="026", rates_ppm=frozenset({90_000}), invoice_limit_fen=10_000_000
            )
        },
        version=version,
    )


def reservation(
    request_id: str, *, net_fen: int = 10_000, point: int = 0, version: int = 1
) -> Reservation:
    """One ticket of ``net_fen``."""
    tax_fen = net_fen * 9 // 100
    draft = Draft(
        kind=Kind.BLUE,
        type="026",
        seller=Party(tax_number=TAX_NUMBER, name="示例铁路局集团有限公司"),
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
    )
    tail = content.tail(draft, taxpayer=TAX_NUMBER, point=point)
    return Reservation(
        tenant=TENANT,
        request_id=request_id,
        fingerprint=content.fingerprint(tail),
        tax_number=TAX_NUMBER,
        taxpayer_version=version,
        point=point,
        type="026",
        kind=Kind.BLUE,
        net_fen=net_fen,
        tax_fen=tax_fen,
        tail=tail,
    )
