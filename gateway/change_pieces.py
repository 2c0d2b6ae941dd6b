"""Reading changes piece by piece: once for all watches that stand at the same place.

A piece keeps what was read and the messages that tell of it, for as long as a watch is at it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway import convert
from gateway.change_hub import ChangeHub, Listener
from gateway.resume_token import Tokens, packed
from gateway.scope import Scope
from ledger.port import Ledger
from ledger.queries import ChangeRecord
from taxcontrol.v1 import invoice_query_pb2 as pb2

# Small, since whoever else wants to read waits for a piece that is being read.
_COUNT_MAX: Final = 64
_BYTES_MAX: Final = 1024 * 1024

_UPLOAD_TYPES: Final = {
    f"{event}{verdict}": pb2.InvoiceChange.Type.Value(f"TYPE_UPLOAD_{verdict}")
    for event in ("", "VOID_", "BLANK_VOID_")
    for verdict in ("ACCEPTED", "REJECTED", "SIGNATURE_REJECTED", "RETRIED")
}
_TYPES: Final = _UPLOAD_TYPES | {
    "ISSUED": pb2.InvoiceChange.TYPE_ISSUED,
    "PARTLY_REVERSED": pb2.InvoiceChange.TYPE_PARTLY_REVERSED,
    "REVERSED": pb2.InvoiceChange.TYPE_REVERSED,
    "RESTORED": pb2.InvoiceChange.TYPE_RESTORED,
    "VOIDED": pb2.InvoiceChange.TYPE_VOIDED,
    "BLANK_VOIDED": pb2.InvoiceChange.TYPE_BLANK_VOIDED,
}


class Place(NamedTuple):
    """What a watch is of; ``bound`` stands for the whole request, token aside."""

    scope: Scope
    type: str
    bound: bytes


class Piece:
    """The next ``changes`` behind ``positions``."""

    def __init__(
        self, changes: list[ChangeRecord], positions: dict[int, int], tokens: Tokens, bound: bytes
    ) -> None:
        self.changes = changes
        self._positions = dict(positions)
        self._tokens = tokens
        self._bound = bound
        self._messages: list[pb2.WatchInvoicesResponse | None] = []

    def told(self) -> Iterator[tuple[ChangeRecord, pb2.WatchInvoicesResponse | None]]:
        """Each change with its message, made by who gets there first; None where there is none."""
        for index, change in enumerate(self.changes):
            if index == len(self._messages):
                self._messages.append(self._message(change))
            yield change, self._messages[index]

    def _message(self, change: ChangeRecord) -> pb2.WatchInvoicesResponse | None:
        self._positions[change.meter_id] = change.change_number
        if change.record is None:
            return None
        return pb2.WatchInvoicesResponse(
            change=_wire(change),
            resume_token=self._tokens.make(self._bound, packed(self._positions)),
        )


@dataclass(slots=True)
class _Reading:
    task: asyncio.Task[Piece]
    waiting_count: int = 0


class Pieces:
    """Reads pieces for the watches of one tenant's taxpayers."""

    def __init__(self, *, ledger: Ledger, hub: ChangeHub, tokens: Tokens, tenant: str) -> None:
        self._ledger = ledger
        self._hub = hub
        self._tokens = tokens
        self._tenant = tenant
        self._readings: dict[tuple[bytes, bytes, int], _Reading] = {}

    async def read(self, place: Place, positions: dict[int, int], listener: Listener) -> Piece:
        """The piece behind ``positions``; without changes when there are none.

        Raises:
            TaxpayerNotFound, LedgerUnavailable
            ShuttingDown: The hub was closed meanwhile.
        """
        # What began before the last commit may not know of it.
        stir_count = self._hub.stir_count(place.scope.tax_number)
        key = (place.bound, packed(positions), stir_count)
        reading = self._readings.get(key)
        if reading is None:
            task = asyncio.create_task(self._piece(place, dict(positions)))
            reading = self._readings[key] = _Reading(task)
        reading.waiting_count += 1
        try:
            return await listener.unless_closed(reading.task)
        finally:
            reading.waiting_count -= 1
            if not reading.waiting_count:
                reading.task.cancel()
                del self._readings[key]

    async def _piece(self, place: Place, positions: dict[int, int]) -> Piece:
        changes = await self._ledger.changes(
            self._tenant,
            place.scope.tax_number,
            after=positions,
            type=place.type,
            point=place.scope.point,
            count_max=_COUNT_MAX,
            bytes_max=_BYTES_MAX,
        )
        return Piece(changes, positions, self._tokens, place.bound)


def _wire(change: ChangeRecord) -> pb2.InvoiceChange:
    assert change.record is not None
    return pb2.InvoiceChange(
        type=_TYPES[change.what],
        change_time=convert.timestamp(change.at),
        invoice=convert.invoice(change.record, certificates=False),
    )
