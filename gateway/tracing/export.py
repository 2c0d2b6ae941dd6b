"""The way of spans to their collector: off the loop, bounded, what finds no room is counted and gone."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.tracing.port import SpanCounts

log = structlog.get_logger()

_QUEUE_COUNT_MAX: Final = 8192
_BATCH_COUNT_MAX: Final = 512
_LINGER_S: Final = 1.0


class Export(SpanProcessor):
    """Queues ended spans and hands them over on a thread of its own, in batches."""

    def __init__(self, exporter: SpanExporter, *, count_max: int = _QUEUE_COUNT_MAX) -> None:
        self._exporter = exporter
        self._count_max = count_max
        self._queue: deque[ReadableSpan] = deque()
        self._stirred = threading.Event()
        self._closed = False
        self._failing = False
        self._exported_count = self._dropped_count = self._failed_count = 0
        self._thread = threading.Thread(target=self._work, name="trace-export", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: a span is handed over when it has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue it, or drop it: the loop never waits for a collector."""
        if self._closed or len(self._queue) >= self._count_max:
            self._dropped_count += 1
            return
        self._queue.append(span)
        if len(self._queue) >= _BATCH_COUNT_MAX:
            self._stirred.set()

    def counts(self) -> SpanCounts:
        """What became of the spans."""
        return SpanCounts(
            exported_count=self._exported_count,
            dropped_count=self._dropped_count,
            failed_count=self._failed_count,
        )

    def close(self, wait_s: float) -> None:
        """Hand over what is queued, for ``wait_s`` at most. Blocks."""
        self._closed = True
        self._stirred.set()
        self._thread.join(wait_s)
        self._exporter.shutdown()
        self._thread.join(wait_s)

    def _work(self) -> None:
        while not self._closed:
            self._stirred.wait(_LINGER_S)
            self._stirred.clear()
            self._drain()

    def _drain(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_COUNT_MAX))]
            if self._taken(batch):
                self._exported_count += len(batch)
                self._failing = False
                continue
            self._failed_count += len(batch)
            if not self._failing:  # once, not for every batch of an outage
                log.warning("trace.export_failed", count=len(batch))
            self._failing = True
            if self._closed:
                return

    def _taken(self, batch: Sequence[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # a bug of an exporter ends a batch and not the thread
            log.exception("trace.bug")
            return False
