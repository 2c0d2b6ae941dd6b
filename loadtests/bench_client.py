"""The callers of ``make bench``, in a process of their own.

Each caller sends its next call when it has the answer to the last (a closed loop). After a warm-up
the line ``measuring`` goes out, and after the measured time one JSON document: calls, invoices,
seconds, CPU, latencies. Every answer is looked at: issued, under the id that was asked for, and no
number twice.
"""

import argparse
import asyncio
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import uvloop

from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    IssueInvoiceRequest,
    IssueInvoicesRequest,
)
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub

if TYPE_CHECKING:  # the generated code has this class in its types only
    from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

_WARM_S = 0.7
_AHEAD = 64
_CALL_S_MAX = 30.0
_OPTIONS = [("grpc.max_receive_message_length", 16 * 1024 * 1024), ("grpc.enable_http_proxy", 0)]


class WrongAnswer(Exception):
    """Something was refused, or is not what was asked for; its figures would say nothing."""


@dataclass(slots=True)
class Measured:
    """What one client process saw."""

    call_count: int = 0
    invoice_count: int = 0
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0


@dataclass(slots=True)
class Load:
    """What is sent, and what came back so far. ``numbers`` is None where every answer is the same."""

    stub: "InvoiceServiceAsyncStub"
    templates: list[IssueInvoiceRequest]
    prefix: str
    batch_size: int
    stream: bool
    numbers: set[str] | None
    until: float = 0.0
    sent: int = 0
    latencies_s: list[float] = field(default_factory=list)

    async def call_until_done(self) -> None:
        """One caller: call after call until the time is over; or one stream, 64 items ahead."""
        if self.stream:
            await self._stream()
            return
        while time.perf_counter() < self.until:
            began = time.perf_counter()
            await (self._batch() if self.batch_size else self._single())
            self.latencies_s.append(time.perf_counter() - began)

    async def _single(self) -> None:
        request = self._next()
        answer = await self.stub.IssueInvoice(request, timeout=_CALL_S_MAX)
        self._check(request.request_id, answer.issued)

    async def _batch(self) -> None:
        batch = BatchIssueInvoicesRequest(requests=[self._next() for _ in range(self.batch_size)])
        answer = await self.stub.BatchIssueInvoices(batch, timeout=_CALL_S_MAX)
        if len(answer.results) != self.batch_size:
            raise WrongAnswer(f"{len(answer.results)} answers to {self.batch_size} requests")
        for request, result in zip(batch.requests, answer.results, strict=True):
            if not result.HasField("issued"):
                raise WrongAnswer(result.failure.message)
            self._check(request.request_id, result.issued)

    async def _stream(self) -> None:
        call = self.stub.IssueInvoices(timeout=_CALL_S_MAX)
        sent: dict[str, float] = {}

        async def send() -> None:
            request = self._next()
            sent[request.request_id] = time.perf_counter()
            await call.write(IssueInvoicesRequest(request=request))

        for _ in range(_AHEAD):
            await send()
        async for answer in call:
            if not answer.result.HasField("issued"):
                raise WrongAnswer(answer.result.failure.message)
            issued = answer.result.issued
            known = issued.request_id if self.numbers is not None else next(iter(sent))
            self._check(known, issued)
            self.latencies_s.append(time.perf_counter() - sent.pop(known))
            if time.perf_counter() < self.until:
                await send()
            elif not sent:
                await call.done_writing()
        if sent:
            raise WrongAnswer(f"a stream ended with {len(sent)} items unanswered")

    def _next(self) -> IssueInvoiceRequest:
        request = IssueInvoiceRequest()
        request.CopyFrom(self.templates[self.sent % len(self.templates)])
        request.request_id = f"{self.prefix}-{self.sent}"
        self.sent += 1
        return request

    def _check(self, request_id: str, issued: IssuedInvoice) -> None:
        if self.numbers is None:
            return
        if issued.request_id != request_id or issued.name in self.numbers:
            raise WrongAnswer(
                f"{request_id} was answered with {issued.name} of {issued.request_id}"
            )
        self.numbers.add(issued.name)


async def _run(arguments: argparse.Namespace) -> Measured:
    batch = BatchIssueInvoicesRequest.FromString(arguments.templates.read_bytes())
    async with grpc.aio.insecure_channel(arguments.target, options=_OPTIONS) as channel:
        load = Load(
            stub=InvoiceServiceStub(channel),
            templates=list(batch.requests),
            prefix=arguments.prefix,
            batch_size=arguments.batch_size,
            stream=arguments.stream,
            numbers=None if arguments.prebuilt else set(),
        )
        await _phase(load, arguments.callers, min(_WARM_S, arguments.seconds))
        print("measuring", flush=True)
        return await _phase(load, arguments.callers, arguments.seconds)


async def _phase(load: Load, caller_count: int, seconds: float) -> Measured:
    load.latencies_s.clear()
    began, used = time.perf_counter(), time.process_time()
    load.until = began + seconds
    await asyncio.gather(*(load.call_until_done() for _ in range(caller_count)))
    elapsed_s = time.perf_counter() - began
    ordered = sorted(load.latencies_s)
    return Measured(
        call_count=len(ordered),
        invoice_count=len(ordered) * max(1, load.batch_size),
        elapsed_s=elapsed_s,
        cpu_s=time.process_time() - used,
        p50_ms=percentile_ms(ordered, 0.5),
        p90_ms=percentile_ms(ordered, 0.9),
        p99_ms=percentile_ms(ordered, 0.99),
        p999_ms=percentile_ms(ordered, 0.999),
    )


def percentile_ms(ordered: Sequence[float], part: float) -> float:
    """The latency that ``part`` of all are not above, of seconds in ascending order (nearest rank)."""
    return 1000 * ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def main() -> None:
    """Run the callers and print what they saw."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench_client")
    parser.add_argument("--target", required=True)
    parser.add_argument("--templates", type=Path, required=True, help="a serialised batch request")
    parser.add_argument("--prefix", required=True, help="of request ids; fresh for each run")
    parser.add_argument("--callers", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=0, help="0: single calls")
    parser.add_argument("--stream", action="store_true", help="each caller is a stream")
    parser.add_argument("--prebuilt", action="store_true", help="answers are all the same")
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps(asdict(uvloop.run(_run(parser.parse_args())))), flush=True)


if __name__ == "__main__":
    main()
