"""The callers of ``make bench``, in a process of their own.

Each caller sends its next call when it has the answer to the last (a closed loop). After a warm-up
the line ``measuring`` goes out, and after the measured time one JSON document: calls, invoices,
seconds, latencies.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import uvloop

from taxcontrol.v1.invoice_service_pb2 import BatchIssueInvoicesRequest, IssueInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub

if TYPE_CHECKING:  # the generated code has this class in its types only
    from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

_WARM_S = 1.0
_CALL_S_MAX = 30.0
_OPTIONS = [("grpc.max_receive_message_length", 16 * 1024 * 1024), ("grpc.enable_http_proxy", 0)]


class NotIssued(Exception):
    """An item of a batch was refused; a benchmark of refusals would say nothing."""


@dataclass(slots=True)
class Measured:
    """What one client process saw."""

    call_count: int = 0
    invoice_count: int = 0
    elapsed_s: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


@dataclass(slots=True)
class Load:
    """What is sent, and what came back so far."""

    stub: "InvoiceServiceAsyncStub"
    templates: list[IssueInvoiceRequest]
    prefix: str
    batch_size: int
    until: float = 0.0
    sent: int = 0
    latencies_s: list[float] = field(default_factory=list)

    async def call_until_done(self) -> None:
        """One caller: call after call until the time is over."""
        while time.perf_counter() < self.until:
            began = time.perf_counter()
            await (self._batch() if self.batch_size > 1 else self._single())
            self.latencies_s.append(time.perf_counter() - began)

    async def _single(self) -> None:
        await self.stub.IssueInvoice(self._next(), timeout=_CALL_S_MAX)

    async def _batch(self) -> None:
        batch = BatchIssueInvoicesRequest(requests=[self._next() for _ in range(self.batch_size)])
        answer = await self.stub.BatchIssueInvoices(batch, timeout=_CALL_S_MAX)
        for result in answer.results:
            if not result.HasField("issued"):
                raise NotIssued(result.failure.message)

    def _next(self) -> IssueInvoiceRequest:
        request = IssueInvoiceRequest()
        request.CopyFrom(self.templates[self.sent % len(self.templates)])
        request.request_id = f"{self.prefix}-{self.sent}"
        self.sent += 1
        return request


async def _run(arguments: argparse.Namespace) -> Measured:
    batch = BatchIssueInvoicesRequest.FromString(arguments.templates.read_bytes())
    async with grpc.aio.insecure_channel(arguments.target, options=_OPTIONS) as channel:
        load = Load(
            stub=InvoiceServiceStub(channel),
            templates=list(batch.requests),
            prefix=arguments.prefix,
            batch_size=arguments.batch_size,
        )
        await _phase(load, arguments.callers, _WARM_S)
        print("measuring", flush=True)
        return await _phase(load, arguments.callers, arguments.seconds)


async def _phase(load: Load, caller_count: int, seconds: float) -> Measured:
    load.latencies_s.clear()
    began = time.perf_counter()
    load.until = began + seconds
    await asyncio.gather(*(load.call_until_done() for _ in range(caller_count)))
    elapsed_s = time.perf_counter() - began
    ordered = sorted(load.latencies_s)
    return Measured(
        call_count=len(ordered),
        invoice_count=len(ordered) * load.batch_size,
        elapsed_s=elapsed_s,
        p50_ms=1000 * ordered[len(ordered) // 2],
        p99_ms=1000 * ordered[len(ordered) * 99 // 100],
    )


def main() -> None:
    """Run the callers and print what they saw."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench_client")
    parser.add_argument("--target", required=True)
    parser.add_argument("--templates", type=Path, required=True, help="a serialised batch request")
    parser.add_argument("--prefix", required=True, help="of request ids; fresh for each run")
    parser.add_argument("--callers", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps(asdict(uvloop.run(_run(parser.parse_args())))), flush=True)


if __name__ == "__main__":
    main()
