"""A whole gateway in this process: real gRPC, a strict authority outside, spans that stay in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from authority.config import AuthorityConfig
from gateway import server
from gateway.config import Config, LedgerConfig, ServerConfig
from gateway.tracing.otel import OtelTracer
from hsm.config import HsmConfig
from tests.e2e.platform import Platform
from tests.fakes.software_signer import SoftwareSigner

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that runs, and what it has told the collector."""

    platform: Platform
    exporter: InMemorySpanExporter
    tracer: OtelTracer

    async def call(self, work: Callable[[], T]) -> T:
        """Do something that blocks while the gateway, which shares this loop, goes on."""
        return await asyncio.to_thread(work)

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@asynccontextmanager
async def run(
    folder: Path, *, authority: str, signer: SoftwareSigner, sample_ratio: float = 1.0
) -> AsyncIterator[Running]:
    """Run one on the ledger in ``folder``. All its spans are with the exporter once it has stopped."""
    config = Config(
        server=ServerConfig(listen="127.0.0.1:0"),
        ledger=LedgerConfig(path=folder / "ledger.db"),
        hsm=HsmConfig(token_label="none", pin_file=folder / "pin"),
        authority=AuthorityConfig(target=authority, timeout_s=5.0),
    )
    exporter = InMemorySpanExporter()
    tracer = OtelTracer(exporter, sample_ratio=sample_ratio)
    parts = replace(server.assemble(config), signer=signer, device=None, tracer=tracer)
    async with server.running(parts) as address:
        with grpc.insecure_channel(address) as channel:
            yield Running(Platform(channel), exporter, tracer)


def trace_of(span: ReadableSpan) -> str:
    """Its trace id, as in a traceparent."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def names_in(spans: list[ReadableSpan], trace: str) -> list[str]:
    """What a trace consists of, sorted by name."""
    return sorted(span.name for span in spans if trace_of(span) == trace)
