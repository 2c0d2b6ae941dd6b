"""A gateway in this process on a clock that a test moves, before a simulator whose clock goes with it.

    async with open_office(folder) as office:
        await office.go_to("2027-04-01T00:00:05")
        async with office.gateway() as desk:
            await desk.devices.SummarisePeriod(…)

The clock runs on by itself; pauses are cut, so that nothing waits out a real second. The device is
software and survives a restart of the gateway, as the ledger does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import grpc

from authority.client import GrpcAuthority
from authority.config import AuthorityConfig
from gateway import server
from gateway.authorities import Authorities, Bureau
from gateway.authority_time import AuthorityTime
from gateway.config import Config, LedgerConfig, ServerConfig
from gateway.parts import Parts
from hsm.config import HsmConfig
from hsm.verify import verify
from ledger.port import Ledger
from ledger.sqlite import SqliteLedger
from taxcontrol.admin.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    device_service_pb2,
    device_service_pb2_grpc,
    period_pb2,
    stock_admin_service_pb2,
    stock_admin_service_pb2_grpc,
    taxpayer_service_pb2_grpc,
    upload_admin_service_pb2,
    upload_admin_service_pb2_grpc,
)
from taxcontrol.authority.v1 import authority_pb2, simulator_service_pb2
from taxcontrol.v1 import invoice_service_pb2, invoice_service_pb2_grpc
from tests.e2e.sellers import Seller, new_id, ticket
from tests.fakes.simulator_process import SimulatorProcess
from tests.fakes.software_signer import SoftwareSigner

_SHANGHAI = timezone(timedelta(hours=8))
_PAUSE_S = 0.02
_WITHIN_S = 20.0


class MovedClock:
    """The machine's clock, moved by a test; pauses are cut short."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def now(self) -> float:
        return time.time() + self.offset_s

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, _PAUSE_S))


@dataclass(slots=True)
class Desk:
    """Stubs of the running gateway."""

    channel: grpc.aio.Channel
    invoices: Any = field(init=False)
    taxpayers: Any = field(init=False)
    stock: Any = field(init=False)
    uploads: Any = field(init=False)
    devices: Any = field(init=False)
    audit: Any = field(init=False)

    def __post_init__(self) -> None:
        self.invoices = invoice_service_pb2_grpc.InvoiceServiceStub(self.channel)
        self.taxpayers = taxpayer_service_pb2_grpc.TaxpayerServiceStub(self.channel)
        self.stock = stock_admin_service_pb2_grpc.StockAdminServiceStub(self.channel)
        self.uploads = upload_admin_service_pb2_grpc.UploadAdminServiceStub(self.channel)
        self.devices = device_service_pb2_grpc.DeviceServiceStub(self.channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(self.channel)

    async def open_shop(self, seller: Seller, count: int = 100, assigned: int = 60) -> str:
        """Register a seller with numbers at point 0; the name of its device."""
        await self.taxpayers.RegisterTaxpayer(seller.registration(new_id("register")))
        for type_ in seller.types:
            await self.stock.DrawStock(
                stock_admin_service_pb2.DrawStockRequest(
                    request_id=new_id("draw"), parent=seller.name, type=type_, count=count
                )
            )
            await self.stock.AssignStock(
                stock_admin_service_pb2.AssignStockRequest(
                    request_id=new_id("assign"), point=seller.point(), type=type_, count=assigned
                )
            )
        listed = await self.devices.ListDevices(
            device_service_pb2.ListDevicesRequest(parent=seller.name)
        )
        return str(listed.devices[0].name)

    async def issue(self, seller: Seller, **how: Any) -> Any:
        return (await self.invoices.IssueInvoice(ticket(seller, **how))).issued

    async def drained(self, seller: Seller) -> None:
        """Wait until every event has its final word."""

        async def nothing_left() -> bool:
            status = (
                await self.uploads.GetUploadStatus(
                    upload_admin_service_pb2.GetUploadStatusRequest(parent=seller.name)
                )
            ).status
            return not status.pending_count + status.submitted_count + status.in_doubt_count

        await until(nothing_left)

    async def month(self, device: str, period: str) -> period_pb2.Period:
        """A month as the device shows it."""
        info = await self.devices.GetMonitorInfo(
            device_service_pb2.GetMonitorInfoRequest(name=device)
        )
        month: period_pb2.Period = next(one for one in info.periods if one.period == period)
        return month

    async def summarised(self, device: str, period: str) -> period_pb2.Period:
        """Wait until a month is summarised."""

        async def done() -> bool:
            month = await self.month(device, period)
            return bool(month.state == period_pb2.Period.STATE_SUMMARISED)

        await until(done)
        return await self.month(device, period)

    async def findings(self) -> list[str]:
        """What a check of the books finds."""
        found: list[str] = []
        async for word in self.audit.CheckBooks(audit_service_pb2.CheckBooksRequest()):
            found += [f"{one.check} {one.subject}: {one.message}" for one in word.findings]
        return found

    async def invoice(self, name: str) -> Any:
        request = invoice_service_pb2.GetInvoiceRequest(name=name)
        return (await self.invoices.GetInvoice(request)).invoice


class MonthOffice:
    """A simulator, and gateways one after the other on one ledger and one device."""

    def __init__(self, folder: Path, simulator: SimulatorProcess) -> None:
        self.simulator = simulator
        self.path = folder / "ledger" / "ledger.db"
        self.clock = MovedClock()
        self._signer = SoftwareSigner()
        self._time_told: AuthorityTime | None = None

    async def go_to(self, civil: str) -> None:
        """Move both clocks to a time in Shanghai."""
        at = datetime.fromisoformat(civil).replace(tzinfo=_SHANGHAI).timestamp()
        offset_s = at - time.time()
        await asyncio.to_thread(
            self.simulator.control.SetPolicy,
            simulator_service_pb2.SetPolicyRequest(clock_ahead_ms=round(offset_s * 1000)),
        )
        self.clock.offset_s = offset_s
        # As its next answer would tell it; time that jumps is nothing a gateway meets.
        if self._time_told is not None:
            now = time.monotonic()
            self._time_told.observe(at, now, now)

    @asynccontextmanager
    async def gateway(
        self, *, around: Callable[[Ledger], Ledger] = lambda ledger: ledger
    ) -> AsyncIterator[Desk]:
        """Run a gateway; ``around`` may stand between it and its ledger."""
        time_told = self._time_told = AuthorityTime(self.clock)
        authority = GrpcAuthority(
            AuthorityConfig(target=self.simulator.target, timeout_s=5.0), on_time=time_told.observe
        )
        signer = self._signer = self._signer.restarted()
        parts = Parts(
            config=Config(
                server=ServerConfig(listen="127.0.0.1:0", drain_s=2.0),
                ledger=LedgerConfig(path=self.path),
                hsm=HsmConfig(token_label="none", pin_file=self.path),
                authority=AuthorityConfig(target=self.simulator.target),
            ),
            ledger=around(cast("Ledger", SqliteLedger(self.path, verify=verify))),
            signer=signer,
            # One simulator stands in for whichever of the two this office is before.
            authorities=Authorities(
                tax=Bureau(authority, time_told), finance=Bureau(authority, time_told)
            ),
            channels=(authority,),
            clock=self.clock,
        )
        async with (
            server.running(parts) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            yield Desk(channel)

    def summaries(self, tax_number: str) -> list[authority_pb2.RecordedSummary]:
        """The summaries that the authority has."""
        pieces = self.simulator.record(tax_number)
        return [piece.summary for piece in pieces if piece.HasField("summary")]


@contextmanager
def open_office(folder: Path, *, finance: bool = False) -> Iterator[MonthOffice]:
    """A simulator without windows, and an office before it."""
    arguments = ["--windows", "", *(["--office", "finance"] if finance else [])]
    with SimulatorProcess(folder / "simulator", arguments=arguments) as simulator:
        yield MonthOffice(folder, simulator)


async def until(holds: Callable[[], Any]) -> None:
    """Look until ``holds``; for what happens by itself."""
    async with asyncio.timeout(_WITHIN_S):
        while not await holds():  # noqa: ASYNC110 - what happens by itself is looked for
            await asyncio.sleep(_PAUSE_S)  # over the wire nobody is told
