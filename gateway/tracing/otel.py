"""Spans by OpenTelemetry. Imported only where ``[tracing]`` is configured.

Spans are started by hand and not by the library's interceptors: those make a handler anew for each
call, and know nothing of steps that serve many calls at once.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar, Token
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.config import TracingConfig
from gateway.tracing.export import Export
from gateway.tracing.port import CallSpan, Facts, SpanCounts

log = structlog.get_logger()

_CLOSE_S: Final = 3.0
_EXPORT_S: Final = 10.0
_W3C: Final = ("traceparent", "tracestate")
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def to_collector(config: TracingConfig) -> "OtelTracer":
    """Trace to the collector that is configured."""
    # The library complains to standard error in its own format; failures are counted and logged here.
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    exporter = OTLPSpanExporter(
        endpoint=config.endpoint,
        insecure=config.endpoint.startswith("http://"),
        timeout=_EXPORT_S,
    )
    return OtelTracer(exporter, sample_ratio=config.sample_ratio)


class OtelTracer:
    """A ``port.Tracer`` that hands its spans to ``exporter``."""

    def __init__(self, exporter: SpanExporter, *, sample_ratio: float) -> None:
        self._export = Export(exporter)
        # A caller that sends a traceparent has decided; for all others the ratio does.
        self._calls = self._tracer(ParentBased(TraceIdRatioBased(sample_ratio)))
        # A step is told of only where a call it served is sampled.
        self._steps = self._tracer(ALWAYS_ON)

    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> CallSpan | None:
        """See the port."""
        try:
            return self._call(method, metadata)
        except Exception:  # a bug of tracing is no caller's trouble
            log.exception("trace.bug")
            return None

    def current(self) -> str | None:
        """See the port."""
        return _current.get()

    def step(
        self,
        name: str,
        parents: Sequence[str],
        *,
        began_ns: int,
        facts: Facts | None = None,
        failure: str = "",
    ) -> None:
        """See the port."""
        try:
            self._step(name, parents, began_ns, facts or {}, failure)
        except Exception:  # as above: what the step did stands
            log.exception("trace.bug")

    def counts(self) -> SpanCounts:
        """See the port."""
        return self._export.counts()

    async def close(self) -> None:
        """See the port."""
        await asyncio.to_thread(self._export.close, _CLOSE_S)

    def _call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> CallSpan | None:
        carrier = {key: value for key, value in metadata if key in _W3C and isinstance(value, str)}
        parent = _PROPAGATOR.extract(carrier, Context()) if carrier else Context()
        service, _, name = method.lstrip("/").partition("/")
        span = self._calls.start_span(
            f"{service}/{name}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        return _CallSpan(span) if span.is_recording() else None

    def _step(
        self, name: str, parents: Sequence[str], began_ns: int, facts: Facts, failure: str
    ) -> None:
        ended_ns = time.time_ns()
        contexts = [context for parent in parents if (context := _context_of(parent)) is not None]
        links: list[Link] = []
        if len(contexts) > 1:
            group = self._steps.start_span(
                f"{name}.group",
                context=Context(),
                start_time=began_ns,
                links=[Link(_span_context(context)) for context in contexts],
                attributes={**facts, "count": len(contexts)},
            )
            _end(group, failure, ended_ns)
            links = [Link(group.get_span_context())]
        for context in contexts:
            span = self._steps.start_span(
                name, context=context, start_time=began_ns, links=links, attributes=facts
            )
            _end(span, failure, ended_ns)

    def _tracer(self, sampler: Sampler) -> trace.Tracer:
        provider = TracerProvider(
            sampler=sampler,
            resource=Resource({"service.name": "taxcontrol"}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._export)
        return provider.get_tracer("taxcontrol")


class _CallSpan:
    """A sampled call: what its task, and the tasks it starts, find as ``current``."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[str | None] = _current.set(_traceparent(span.get_span_context()))

    def end(self, reason: str, facts: Facts) -> None:
        """See the port."""
        try:
            _current.reset(self._token)
            self._span.set_attributes({**facts, "taxcontrol.reason": reason})
            _end(self._span, "" if reason == "OK" else reason, time.time_ns())
        except Exception:  # as above
            log.exception("trace.bug")


def _end(span: trace.Span, failure: str, ended_ns: int) -> None:
    if failure:
        span.set_status(Status(StatusCode.ERROR, failure))
    span.end(ended_ns)


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _context_of(traceparent: str) -> Context | None:
    """The context of a traceparent; None where it is none."""
    context = _PROPAGATOR.extract({"traceparent": traceparent}, Context())
    return context if _span_context(context).is_valid else None


def _span_context(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()
