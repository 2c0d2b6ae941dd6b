"""A collector that hangs, fails or is gone costs spans, which are counted, and nothing else."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.config import TracingConfig
from gateway.tracing import otel
from gateway.tracing.export import Export
from gateway.tracing.otel import OtelTracer
from gateway.tracing.port import SpanCounts

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Collector(SpanExporter):
    """Takes spans as told. While ``open`` is not set it hangs."""

    def __init__(self, answer: SpanExportResult | Exception = SpanExportResult.SUCCESS) -> None:
        self.open = threading.Event()
        self.asked = threading.Event()
        self.count = 0
        self._answer = answer

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        assert self.open.wait(30)
        self.count += len(spans)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def shutdown(self) -> None:
        self.open.set()


def ended(count: int, export: Export) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export)
    tracer = provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span("span").end()


def test_what_finds_no_room_is_counted_and_gone() -> None:
    collector = Collector()
    export = Export(collector, count_max=10)
    ended(1, export)
    assert collector.asked.wait(30)  # hangs with the first

    ended(25, export)

    assert export.counts() == SpanCounts(exported_count=0, dropped_count=15, failed_count=0)
    collector.open.set()
    export.close(30)
    assert export.counts() == SpanCounts(exported_count=11, dropped_count=15, failed_count=0)
    assert collector.count == 11


def test_what_the_collector_refuses_is_counted() -> None:
    collector = Collector(SpanExportResult.FAILURE)
    collector.open.set()
    export = Export(collector)
    ended(3, export)

    export.close(30)

    assert export.counts() == SpanCounts(exported_count=0, dropped_count=0, failed_count=3)


def test_a_bug_of_the_exporter_is_counted_too() -> None:
    collector = Collector(ValueError("a bug"))
    collector.open.set()
    export = Export(collector)
    ended(2, export)

    export.close(30)

    assert export.counts().failed_count == 2


def test_a_collector_that_hangs_is_left_behind_at_the_stop() -> None:
    collector = Collector()
    export = Export(collector)
    ended(1, export)
    assert collector.asked.wait(30)

    export.close(0.05)  # its shutdown lets go

    ended(1, export)
    assert export.counts().dropped_count == 1


async def test_a_collector_that_is_not_there_holds_up_no_stop() -> None:
    tracer = otel.to_collector(TracingConfig(endpoint="http://127.0.0.1:9", sample_ratio=1.0))
    began = time.perf_counter()

    tracer.step("invoice.sign", [PARENT], began_ns=time.time_ns())
    async with asyncio.timeout(20):
        await tracer.close()

    print(f"stopped after {time.perf_counter() - began:.1f} s")
    assert tracer.counts().exported_count == 0


async def test_what_is_no_traceparent_is_left_out() -> None:
    collector = Collector()
    collector.open.set()
    tracer = OtelTracer(collector, sample_ratio=1.0)

    tracer.step("upload.submit", ["nonsense", "", PARENT], began_ns=time.time_ns())
    await tracer.close()

    assert collector.count == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("traceparent", "tracestate", "other")),
            st.text(max_size=80) | st.binary(max_size=80) | st.just(PARENT),
        ),
        max_size=4,
    )
)
async def test_whatever_a_caller_sends_its_call_goes_on(
    metadata: list[tuple[str, str | bytes]],
) -> None:
    collector = Collector()
    collector.open.set()
    tracer = OtelTracer(collector, sample_ratio=1.0)

    span = tracer.call("/taxcontrol.v1.InvoiceService/IssueInvoice", metadata)

    if span is not None:
        assert len(tracer.current() or "") == len(PARENT)
        span.end("OK", {})
    assert tracer.current() is None
    await tracer.close()


async def test_a_bug_of_tracing_is_nobodys_trouble() -> None:
    collector = Collector()
    collector.open.set()
    tracer = OtelTracer(collector, sample_ratio=1.0)
    nonsense = cast("Any", object())

    assert tracer.call("/a/b", nonsense) is None
    tracer.step("invoice.settle", nonsense, began_ns=0)
    span = tracer.call("/a/b", ())
    assert span is not None
    span.end("OK", nonsense)

    await tracer.close()
