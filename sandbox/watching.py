"""A watch that is cut off, and goes on after a restart of the gateway where it was."""

from collections import Counter as Counting
from collections.abc import Iterable, Iterator
from typing import Final, cast

import grpc

from sandbox.deeds import Deeds
from sandbox.stage import Disagreement, Stage
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_query_pb2 import (
    InvoiceChange,
    WatchInvoicesRequest,
)
from taxctl.failure import CallFailed, from_call

_WATCH_S_MAX: Final = 20.0


class Watch:
    """Follows a taxpayer; ``changes`` are the ones worked off, ``token`` where to go on."""

    def __init__(self, stage: Stage, parent: str) -> None:
        self._stage = stage
        self._parent = parent
        self.changes: list[InvoiceChange] = []
        self.token = ""

    def until_half(self) -> None:
        """Work off half of what there is, and hang up."""
        half = self._issued_count() // 2
        for _ in self._messages():
            if len(self.changes) >= half:
                return

    def until(self, last: IssuedInvoice) -> None:
        """Go on from the token until an invoice has been seen issued."""
        for change in self._messages():
            if (change.type, change.invoice.issued.name) == (InvoiceChange.TYPE_ISSUED, last.name):
                return

    def check(self) -> None:
        """Raise :class:`Disagreement` unless every issue and void was seen, and once."""
        check_seen(self.changes, self._stage.deeds.of({self._owner}))

    def _messages(self) -> Iterator[InvoiceChange]:
        request = WatchInvoicesRequest(
            parent=self._parent, resume_token=self.token, from_beginning=not self.token
        )
        call = self._stage.invoices.WatchInvoices(request, timeout=_WATCH_S_MAX)
        try:
            for message in call:
                self.token = message.resume_token
                if message.HasField("change"):
                    self.changes.append(message.change)
                    yield message.change
        except grpc.RpcError as error:
            raise CallFailed(from_call(cast("grpc.Call", error))) from error
        finally:
            call.cancel()

    def _issued_count(self) -> int:
        return len(self._stage.deeds.of({self._owner}).issued)

    @property
    def _owner(self) -> str:
        return self._parent.rpartition("/")[2]


def check_seen(changes: Iterable[InvoiceChange], deeds: Deeds) -> None:
    """Raise :class:`Disagreement` unless every issue and void of ``deeds`` was seen, and once."""
    seen = Counting((change.type, change.invoice.issued.name) for change in changes)
    expected = [
        *((InvoiceChange.TYPE_ISSUED, one.name) for one in deeds.issued),
        *((InvoiceChange.TYPE_VOIDED, one.invoice) for one in deeds.voids),
        *((InvoiceChange.TYPE_BLANK_VOIDED, one.invoice) for one in deeds.blank_voids),
    ]
    for type_, name in expected:
        if seen[type_, name] != 1:
            said = InvoiceChange.Type.Name(type_)
            raise Disagreement(f"{said} of {name} was seen {seen[type_, name]} times")
