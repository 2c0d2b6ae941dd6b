"""A whole gateway in this process, with limits: gRPC, SQLite, the real uploader, and a clock that is set.

The device is software, the authority a strict one in memory that can be away.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import grpc

from authority.config import AuthorityConfig
from gateway import server
from gateway.authorities import Authorities
from gateway.authority_time import AuthorityTime
from gateway.config import Config, LedgerConfig, ServerConfig
from gateway.parts import Parts
from hsm.config import HsmConfig
from hsm.verify import verify
from invoice.identifiers import taxpayer_name
from ledger.sqlite import SqliteLedger
from quota.offline import NO_LIMITS, OfflineLimits
from quota.period import end_of, period_of
from taxcontrol.admin.v1 import (
    taxpayer_pb2,
    taxpayer_service_pb2,
    upload_admin_service_pb2,
    upload_pb2,
)
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxcontrol.v1.stock_service_pb2_grpc import StockServiceStub
from tests.e2e.wire import Refusal, refusal_of
from tests.fakes.set_clock import SetClock
from tests.fakes.software_signer import SoftwareSigner
from tests.fakes.strict_authority import Call, StrictAuthority, lost
from tests.fakes.tax_office import bureau
from tests.gateway import desk

CALLER_COUNT = 64
# 2026-11-22 08:00 in Shanghai.
MORNING = 1_795_305_600.0
_CATCH_UP_S = 60.0


@dataclass(slots=True)
class Outcome:
    """What many callers got together."""

    issued: list[invoice_pb2.IssuedInvoice] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, Counter[str]]:
        """How many invoices, and how many refusals for each reason."""
        return len(self.issued), Counter(refusal.reason for refusal in self.refusals)

    @property
    def facts(self) -> dict[str, str]:
        """What all refusals say; they must say the same."""
        first = self.refusals[0].facts
        assert all(refusal.facts == first for refusal in self.refusals)
        return first


class LimitedGateway:
    """One seller with two points of one device; ``callers`` are 64 at once, on either."""

    def __init__(self, path: Path, now: float) -> None:
        self.clock = SetClock(now)
        self.signer = SoftwareSigner()
        self.ledger = SqliteLedger(path, verify=verify)
        self.authority = StrictAuthority()
        self.bureau = bureau(self.authority, self.clock)
        self.away = True
        self.summaries_away = True
        self.authority.fault = self._fault
        self._ids = itertools.count(1)

    @property
    def time(self) -> AuthorityTime:
        """What the gateway knows of the authority's time."""
        return self.bureau.time

    def parts(self, folder: Path) -> Parts:
        """What the gateway is made of."""
        config = Config(
            server=ServerConfig(listen="127.0.0.1:0"),
            ledger=LedgerConfig(path=folder / "ledger.db"),
            hsm=HsmConfig(token_label="none", pin_file=folder / "pin"),
            authority=AuthorityConfig(target="127.0.0.1:1"),
        )
        authorities = Authorities(tax=self.bureau)
        return Parts(config, self.ledger, self.signer, authorities, (), self.clock)

    def connect(self, channel: grpc.aio.Channel) -> None:
        """Take the channel of a client."""
        self.invoices = InvoiceServiceStub(channel)
        self.stock = StockServiceStub(channel)
        self.stock_admin = StockAdminServiceStub(channel)
        self.taxpayers = TaxpayerServiceStub(channel)
        self.uploads = UploadAdminServiceStub(channel)

    # --- callers ------------------------------------------------------------------------

    async def callers(
        self, *, net_fen: int = 10_000, until_refused: bool = False, bulk: bool = False
    ) -> Outcome:
        """64 callers at once, half at each point: one invoice each, or one after the other until no."""
        outcome = Outcome()

        async def call(point: int) -> None:
            while True:
                request = self.request(net_fen=net_fen, point=point, bulk=bulk)
                if not await self._issue(request, outcome) or not until_refused:
                    return

        await asyncio.gather(*(call(at % 2) for at in range(CALLER_COUNT)))
        return outcome

    async def one(self, *, net_fen: int = 10_000, bulk: bool = False) -> Outcome:
        """One caller."""
        outcome = Outcome()
        await self._issue(self.request(net_fen=net_fen, bulk=bulk), outcome)
        return outcome

    def request(
        self, *, net_fen: int = 10_000, point: int = 0, bulk: bool = False
    ) -> IssueInvoiceRequest:
        """One ticket under an id of its own."""
        wish = desk.request(f"issue-{next(self._ids)}", net_fen=net_fen, point=point)
        if bulk:
            wish.priority = invoice_pb2.PRIORITY_BULK
        return wish

    async def _issue(self, request: IssueInvoiceRequest, outcome: Outcome) -> bool:
        try:
            response = await self.invoices.IssueInvoice(request)
        except grpc.RpcError as error:
            outcome.refusals.append(refusal_of(error))
            return False
        outcome.issued.append(response.issued)
        return True

    # --- the authority ------------------------------------------------------------------

    async def catch_up(self) -> None:
        """The authority answers again: every upload has its final word; then it is away once more."""
        self.away = False
        async with asyncio.timeout(_CATCH_UP_S):
            while True:
                status = await self.status()
                if not status.pending_count + status.submitted_count + status.in_doubt_count:
                    break
                self.clock.pass_by(1.0)
                await asyncio.sleep(0.01)
        self.away = True

    async def status(self) -> upload_pb2.UploadStatus:
        """Where the uploads stand."""
        response = await self.uploads.GetUploadStatus(
            upload_admin_service_pb2.GetUploadStatusRequest(parent=PARENT)
        )
        return response.status

    async def _fault(self, moment: str, call: Call) -> None:
        month = call.method in ("summarise_period", "get_grant")
        if moment == "before" and (self.summaries_away if month else self.away):
            raise lost()
        if month:  # its answers tell the time; the others' do not, so that the clock is the test's
            now_s = self.clock.monotonic()
            self.time.observe(self.clock.now(), now_s, now_s)

    # --- operators ----------------------------------------------------------------------

    async def lower(
        self,
        name: str,
        limits: taxpayer_pb2.OfflineLimits,
        *,
        reason: str = "a holiday",
        validate_only: bool = False,
    ) -> taxpayer_service_pb2.SetOfflineLimitsResponse:
        """Lower limits below the authority's."""
        request = taxpayer_service_pb2.SetOfflineLimitsRequest(
            request_id=name,
            parent=PARENT,
            offline_limits=limits,
            reason=reason,
            validate_only=validate_only,
        )
        return await self.taxpayers.SetOfflineLimits(request)

    async def summarise(self) -> None:
        """The authority takes the summaries of all months that are over; then none any more."""
        self.summaries_away = False
        this_month = period_of(self.clock.now())

        def months(connection: apsw.Connection) -> set[str]:
            rows = connection.execute("SELECT DISTINCT open_period FROM meter")
            return {str(open_period) for (open_period,) in rows}

        async with asyncio.timeout(_CATCH_UP_S):
            while await self.ledger._read(months) != {this_month}:
                self.clock.pass_by(1.0)
                await asyncio.sleep(0.01)
        self.summaries_away = True

    async def audited(self, action: str) -> list[tuple[str, str, str]]:
        """Who did it to what and why, of each such act on record."""

        def read(connection: apsw.Connection) -> list[tuple[str, str, str]]:
            rows = connection.execute(
                "SELECT actor, target, reason FROM audit WHERE action = ?", (action,)
            )
            return [(str(actor), str(target), str(reason)) for actor, target, reason in rows]

        return await self.ledger._read(read)

    def check_books(self) -> list[str]:
        """What is wrong with the books."""
        words = self.ledger.check_books()
        return [
            f"{one.check} {one.subject}: {one.message}" for word in words for one in word.findings
        ]


PARENT = taxpayer_name(desk.TAX_NUMBER)


@asynccontextmanager
async def limited(
    folder: Path,
    limits: OfflineLimits = NO_LIMITS,
    *,
    numbers: int = 500,
    now: float = MORNING,
    types: Iterable[str] = ("026",),
) -> AsyncIterator[LimitedGateway]:
    """Run a gateway whose seller has these limits; in the end its books must balance."""
    gateway = LimitedGateway(folder / "ledger.db", now)
    async with (
        server.running(gateway.parts(folder)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        await desk.stock_up(gateway, numbers, tuple(types), limits=limits, points=(0, 1))
        gateway.connect(channel)
        yield gateway
        assert gateway.check_books() == []
        assert gateway.authority.disorders == []


def first_of_next_month(now: float) -> int:
    """When the month after ``now`` begins."""
    return end_of(period_of(now))
