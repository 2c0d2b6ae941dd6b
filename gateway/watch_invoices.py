"""Watching invoices: changes from a position on, each once, and the position when nothing happens.

A watch keeps nothing but its positions, which its caller has too, in the last token. It reads on when
the caller has taken what it was sent, so that a slow one costs a piece of memory and no more.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import orjson

from gateway import requests
from gateway.change_hub import ChangeHub, Listener
from gateway.change_pieces import Pieces, Place
from gateway.clock import Clock
from gateway.pace import Pace
from gateway.registry import Registry
from gateway.resume_token import Tokens, packed, unpacked
from gateway.scope import scope_of
from gateway.upload.waiting import first_of
from invoice.errors import InvalidRequest
from ledger.port import Ledger
from taxcontrol.v1 import invoice_query_pb2 as pb2

# How long a change of another process may stay unseen, and a caller without a word.
_LOOK_S: Final = 1.0
_SILENCE_S: Final = 15.0


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
        self._pace = Pace()
        self._pieces = Pieces(ledger=ledger, hub=hub, tokens=tokens, tenant=tenant)

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
        place = Place(scope, request.type, self._bound(request))
        with self._hub.listening(scope.tax_number) as listener:
            positions = await self._begin(request, place, listener)
            yield self._silence(place, positions)
            spoke_at = self._clock.monotonic()
            while True:
                self._hub.check()
                listener.stirred.clear()  # before reading: what comes meanwhile is read next time
                piece = await self._pieces.read(place, positions, listener)
                for change, message in piece.told():
                    positions[change.meter_id] = change.change_number
                    if message is None:
                        continue
                    await self._pace.turn()
                    yield message
                    spoke_at = self._clock.monotonic()
                    self._hub.check()
                if self._clock.monotonic() - spoke_at >= _SILENCE_S:
                    yield self._silence(place, positions)
                    spoke_at = self._clock.monotonic()
                if not piece.changes:
                    await first_of(listener.stirred, _LOOK_S, self._clock)

    async def _begin(
        self, request: pb2.WatchInvoicesRequest, place: Place, listener: Listener
    ) -> dict[int, int]:
        """The positions a watch starts from; a meter that is missing is at its beginning."""
        if request.from_beginning and not request.resume_token:
            return {}
        now = await self._now(place, listener)
        if not request.resume_token:
            return now
        payload = self._tokens.read(request.resume_token, place.bound, field="resume_token")
        positions = unpacked(payload)
        if any(number > now.get(meter, 0) for meter, number in positions.items()):
            # As of a ledger that was put back to an earlier time: what it knows is not what was.
            raise InvalidRequest(
                "resume_token", "TOKEN_MISMATCH", "the token is ahead of this ledger"
            )
        return positions

    async def _now(self, place: Place, listener: Listener) -> dict[int, int]:
        reading = asyncio.ensure_future(
            self._ledger.positions(self._tenant, place.scope.tax_number, type=place.type)
        )
        try:
            return await listener.unless_closed(reading)
        finally:
            reading.cancel()

    def _silence(self, place: Place, positions: dict[int, int]) -> pb2.WatchInvoicesResponse:
        """A message without a change: where the watch stands."""
        token = self._tokens.make(place.bound, packed(positions))
        return pb2.WatchInvoicesResponse(resume_token=token)

    def _bound(self, request: pb2.WatchInvoicesRequest) -> bytes:
        return orjson.dumps(["watch", self._tenant, request.parent, request.type])
