"""What answers questions about invoices, on a real ledger and with a clock moved by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.caller_limit import CallerLimit
from gateway.change_hub import ChangeHub
from gateway.list_invoices import Lister
from gateway.registry import Registry
from gateway.resume_token import Tokens
from gateway.verify_invoice import Verifier
from gateway.watch_invoices import Watcher
from ledger.secrets import RESUME_TOKEN
from ledger.sqlite import SqliteLedger
from taxcontrol.v1 import invoice_query_pb2 as pb2
from tests.gateway.hand_clock import HandClock
from tests.ledger import building

PARENT = f"taxpayers/{building.TAX_NUMBER}"


@dataclass(slots=True)
class Desk:
    """The parts; nobody wakes a watch here but the test."""

    ledger: SqliteLedger
    hub: ChangeHub
    clock: HandClock
    lister: Lister
    watcher: Watcher
    verifier: Verifier


@asynccontextmanager
async def open_desk(
    folder: Path, *, watch_count_max: int = 3, watch_count_max_per_taxpayer: int = 3
) -> AsyncIterator[Desk]:
    """Open the parts on the ledger in ``folder``, as a gateway that starts does."""
    ledger = SqliteLedger(folder / "ledger.db", verify=building.verify)
    await ledger.start(building.WORKER, building.NOW)
    try:
        registry, clock = Registry(ledger), HandClock()
        hub = ChangeHub(watch_count_max, watch_count_max_per_taxpayer=watch_count_max_per_taxpayer)
        tokens = Tokens(await ledger.secret(RESUME_TOKEN))
        tenant = building.TENANT
        yield Desk(
            ledger=ledger,
            hub=hub,
            clock=clock,
            lister=Lister(ledger=ledger, registry=registry, tokens=tokens, tenant=tenant),
            watcher=Watcher(
                ledger=ledger,
                registry=registry,
                tokens=tokens,
                hub=hub,
                clock=clock,
                tenant=tenant,
            ),
            verifier=Verifier(ledger=ledger, limit=CallerLimit(1_000, clock=clock)),
        )
    finally:
        await ledger.close()


class Watch:
    """One watch: takes messages one by one, and keeps the last token."""

    def __init__(self, desk: Desk, **request: object) -> None:
        asked = pb2.WatchInvoicesRequest(**{"parent": PARENT, **request})  # type: ignore[arg-type]
        self._desk = desk
        self._messages = desk.watcher.watch(asked)
        self.token = ""

    async def take(self) -> pb2.WatchInvoicesResponse:
        """The next message, whatever time has to pass for it."""
        taking = asyncio.ensure_future(anext(self._messages))
        while not taking.done():
            asked = asyncio.ensure_future(self._desk.clock.asked())
            await asyncio.wait({taking, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if not taking.done():
                await self._desk.clock.move(1.0)
        message = taking.result()
        self.token = message.resume_token
        return message

    async def waiting(self) -> "asyncio.Task[pb2.WatchInvoicesResponse]":
        """Begin to take the next message; return once the watch waits for something to happen."""
        taking = asyncio.create_task(self._next())
        await self._desk.clock.asked()
        return taking

    async def told(self, count: int) -> list[str]:
        """Request ids of the next so many changes."""
        ids: list[str] = []
        while len(ids) < count:
            message = await self.take()
            if message.HasField("change"):
                ids.append(message.change.invoice.issued.request_id)
        return ids

    async def close(self) -> None:
        """Hang up."""
        await self._messages.aclose()

    async def _next(self) -> pb2.WatchInvoicesResponse:
        return await anext(self._messages)
