"""A gateway that breaks its word on purpose: it answers before the commit.

The whole real gateway, but for a ledger that says *settled* at once and settles a moment later. A
crash campaign that finds nothing wrong with it proves nothing. Takes the gateway's arguments.
"""

import argparse
import asyncio
import dataclasses
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import uvloop

from gateway import config, log, server
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import Entry, GroupResult, Reservation, Settlement

LATE_S = 0.2


class HastyLedger:
    """Everything is the real ledger's, except when a settle is written."""

    def __init__(self, real: Ledger) -> None:
        self._real = real
        self._late: set[asyncio.Task[None]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def commit(
        self,
        settlements: Sequence[Settlement],
        reservations: Sequence[Reservation],
        *,
        worker: str,
        now: float,
        clock_trusted: bool = True,
    ) -> GroupResult:
        """Reserve rightly; settle later, and say now that it is done."""
        if settlements:
            task = asyncio.create_task(self._settle(settlements, worker=worker, now=now))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        result = await self._real.commit(
            [], reservations, worker=worker, now=now, clock_trusted=clock_trusted
        )
        return dataclasses.replace(result, settled=[_settled(one) for one in settlements])

    async def _settle(self, settlements: Sequence[Settlement], *, worker: str, now: float) -> None:
        await asyncio.sleep(LATE_S)
        await self._real.commit(settlements, [], worker=worker, now=now)


def _settled(settlement: Settlement) -> Entry:
    return dataclasses.replace(
        settlement.entry,
        state=InvoiceState.ISSUED,
        signature=settlement.signature,
        key_id=settlement.key_id,
        check_code=settlement.check_code,
        fiscal_code=settlement.fiscal_code,
    )


async def _serve(settings: config.Config, hasten: Callable[[Ledger], object]) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    parts = server.assemble(settings)
    hasty = dataclasses.replace(parts, ledger=cast("Ledger", hasten(parts.ledger)))
    async with server.running(hasty) as address:
        print(f"gateway: listening on {address}", flush=True)
        await stopped.wait()


def main(hasten: Callable[[Ledger], object]) -> None:
    """Run a gateway on the ledger that ``hasten`` makes of the real one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    read = config.read(parser.parse_args().config)
    log.configure(read.log)
    uvloop.run(_serve(read, hasten))


if __name__ == "__main__":
    main(HastyLedger)
