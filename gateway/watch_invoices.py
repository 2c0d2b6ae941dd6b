"""Watching invoices: changes from a position on, each once, and the position when nothing happens.

A watch keeps nothing but its positions, which its caller has too, in the last token. It reads on when
the caller has taken what it was sent, so that a slow one costs a piece of memory and no more.
"""

from collections.abc import AsyncGenerator
from typing import Final

import orjson

from gateway import convert, requests
from gateway.change_hub import ChangeHub
from gateway.clock import Clock
from gateway.registry import Registry
from gateway.resume_token import Tokens, packed, unpacked
from gateway.scope import Scope, scope_of
from gateway.upload.waiting import first_of
from invoice.errors import InvalidRequest
from ledger.port import Ledger
from ledger.queries import ChangeRecord
from taxcontrol.v1 import invoice_query_pb2 as pb2

_PIECE_COUNT_MAX: Final = 500
_PIECE_BYTES_MAX: Final = 4 * 1024 * 1024
# How long a change of another process may stay unseen, and a caller without a word.
_LOOK_S: Final = 1.0
_SILENCE_S: Final = 15.0

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


class Watcher:
    """Serves the watches of one tenant's taxpayers."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        registry: Registry,
        tokens: Tokens,
        hub: ChangeHub,
        clock: Clock,
        tenant: str,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._tokens = tokens
        self._hub = hub
        self._clock = clock
        self._tenant = tenant

    async def watch(
        self, request: pb2.WatchInvoicesRequest
    ) -> AsyncGenerator[pb2.WatchInvoicesResponse, None]:
        """Stream changes until the caller leaves.

        Raises:
            InvalidRequest, TaxpayerNotFound, PointNotFound, Overloaded, LedgerUnavailable
            ShuttingDown: The gateway drains.
        """
        if request.type:
            requests.check_type(request.type)
        scope = await scope_of(request.parent, registry=self._registry, tenant=self._tenant)
        bound = self._bound(request)
        with self._hub.listening(scope.tax_number) as stirred:
            positions = await self._begin(request, scope, bound)
            yield pb2.WatchInvoicesResponse(resume_token=self._token(bound, positions))
            spoke_at = self._clock.monotonic()
            while True:
                self._hub.check()
                stirred.clear()  # before reading: what comes meanwhile is read next time
                piece = await self._piece(scope, request.type, positions)
                for change in piece:
                    positions[change.meter_id] = change.change_number
                    if change.record is None:
                        continue
                    yield pb2.WatchInvoicesResponse(
                        change=_wire(change), resume_token=self._token(bound, positions)
                    )
                    spoke_at = self._clock.monotonic()
                    self._hub.check()
                if self._clock.monotonic() - spoke_at >= _SILENCE_S:
                    yield pb2.WatchInvoicesResponse(resume_token=self._token(bound, positions))
                    spoke_at = self._clock.monotonic()
                if not piece:
                    await first_of(stirred, _LOOK_S, self._clock)

    async def _begin(
        self, request: pb2.WatchInvoicesRequest, scope: Scope, bound: bytes
    ) -> dict[int, int]:
        """The positions a watch starts from; a meter that is missing is at its beginning."""
        if request.from_beginning and not request.resume_token:
            return {}
        now = await self._ledger.positions(self._tenant, scope.tax_number, type=request.type)
        if not request.resume_token:
            return now
        payload = self._tokens.read(request.resume_token, bound, field="resume_token")
        positions = unpacked(payload)
        if any(number > now.get(meter, 0) for meter, number in positions.items()):
            # As of a ledger that was put back to an earlier time: what it knows is not what was.
            raise InvalidRequest(
                "resume_token", "TOKEN_MISMATCH", "the token is ahead of this ledger"
            )
        return positions

    async def _piece(
        self, scope: Scope, type_code: str, positions: dict[int, int]
    ) -> list[ChangeRecord]:
        return await self._ledger.changes(
            self._tenant,
            scope.tax_number,
            after=positions,
            type=type_code,
            point=scope.point,
            count_max=_PIECE_COUNT_MAX,
            bytes_max=_PIECE_BYTES_MAX,
        )

    def _bound(self, request: pb2.WatchInvoicesRequest) -> bytes:
        return orjson.dumps(["watch", self._tenant, request.parent, request.type])

    def _token(self, bound: bytes, positions: dict[int, int]) -> str:
        return self._tokens.make(bound, packed(positions))


def _wire(change: ChangeRecord) -> pb2.InvoiceChange:
    assert change.record is not None
    return pb2.InvoiceChange(
        type=_TYPES[change.what],
        change_time=convert.timestamp(change.at),
        invoice=convert.invoice(change.record, certificates=False),
    )
