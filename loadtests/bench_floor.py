"""The floor of ``make bench``: a server of the same stack that answers prebuilt messages.

No interceptor, no rules, no ledger, no device: what is left is what a call with these messages
costs whatever one does. ``python -m loadtests.bench_floor SINGLE BATCH``: files with a serialised
``IssueInvoiceResponse`` and ``BatchIssueInvoicesResponse``.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import uvloop

from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    BatchIssueInvoicesResponse,
    IssueInvoiceRequest,
    IssueInvoiceResponse,
    IssueInvoicesRequest,
    IssueInvoicesResponse,
)
from taxcontrol.v1.invoice_service_pb2_grpc import (
    InvoiceServiceServicer,
    add_InvoiceServiceServicer_to_server,
)

_MESSAGE_BYTES_MAX = 16 * 1024 * 1024
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
]

Context = grpc.aio.ServicerContext[Any, Any]


class Prebuilt(InvoiceServiceServicer):
    """Answers every call with the same message."""

    def __init__(self, single: IssueInvoiceResponse, batch: BatchIssueInvoicesResponse) -> None:
        self._single = single
        self._result = batch.results[0]
        self._batches = {len(batch.results): batch}
        self._item = IssueInvoicesResponse(result=self._result)

    async def IssueInvoice(  # noqa: N802 - the contract's name
        self, request: IssueInvoiceRequest, context: Context
    ) -> IssueInvoiceResponse:
        """Answer the prebuilt message."""
        del request, context
        return self._single

    async def BatchIssueInvoices(  # noqa: N802 - the contract's name
        self, request: BatchIssueInvoicesRequest, context: Context
    ) -> BatchIssueInvoicesResponse:
        """Answer the prebuilt message."""
        del context
        size = len(request.requests)
        batch = self._batches.get(size)
        if batch is None:
            batch = BatchIssueInvoicesResponse(results=[self._result] * size)
            self._batches[size] = batch
        return batch

    async def IssueInvoices(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[IssueInvoicesRequest], context: Context
    ) -> AsyncIterator[IssueInvoicesResponse]:
        """Answer each item with the prebuilt message."""
        del context
        async for _ in request_iterator:
            yield self._item


def _prebuilt(single: Path, batch: Path) -> Prebuilt:
    # The other methods stay as generated: they answer UNIMPLEMENTED, and nobody calls them here.
    return Prebuilt(  # type: ignore[abstract]
        IssueInvoiceResponse.FromString(single.read_bytes()),
        BatchIssueInvoicesResponse.FromString(batch.read_bytes()),
    )


async def _serve(prebuilt: Prebuilt) -> None:
    server = grpc.aio.server(options=_OPTIONS)
    add_InvoiceServiceServicer_to_server(prebuilt, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(f"floor: listening on 127.0.0.1:{port}", flush=True)
    await stopped.wait()
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(_serve(_prebuilt(Path(sys.argv[1]), Path(sys.argv[2]))))
