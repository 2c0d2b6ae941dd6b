"""A gateway that breaks its word on voids only: it answers them before their signature is stored.

Everything else, invoices and reds included, is done rightly. Takes the gateway's arguments.
"""

import asyncio
import dataclasses
from typing import Any

from ledger.port import Ledger
from ledger.records import StatementRecord
from tests.faults import hasty_gateway
from tests.faults.hasty_gateway import LATE_S


class HastyVoidLedger:
    """Everything is the real ledger's, except when the settle of a statement is written."""

    def __init__(self, real: Ledger) -> None:
        self._real = real
        self._late: set[asyncio.Task[None]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def settle_statement(
        self, record: StatementRecord, *, signature: bytes, key_id: str, now: float
    ) -> StatementRecord:
        """Settle later, and say now that it is done."""
        task = asyncio.create_task(self._settle(record, signature, key_id, now))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return dataclasses.replace(record, state="SETTLED", signature=signature, key_id=key_id)

    async def _settle(
        self, record: StatementRecord, signature: bytes, key_id: str, now: float
    ) -> None:
        await asyncio.sleep(LATE_S)
        await self._real.settle_statement(record, signature=signature, key_id=key_id, now=now)


if __name__ == "__main__":
    hasty_gateway.main(HastyVoidLedger)
