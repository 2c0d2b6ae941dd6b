"""What the gateway asks of whatever traces it, without a word of any tracing library.

Rules of the port. Only what is sampled has a span; everything else is None and costs a comparison. A
traceparent is W3C's (``00-{trace}-{span}-{flags}``): it may be stored, and a span that begins years
later in another process still belongs to that trace. All methods belong to the event loop. None raises: a
step that is done is done, whoever hears of it.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Facts = Mapping[str, str | int]
"""What a span tells. Names, never contents: no buyer, no amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanCounts:
    """Spans since the start: handed to the collector, dropped for want of room, refused by it."""

    exported_count: int
    dropped_count: int
    failed_count: int


def began_ns(began: float) -> int:
    """Unix nanoseconds of a reading of ``time.perf_counter``, which is what the gateway measures by."""
    return time.time_ns() - int((time.perf_counter() - began) * 1e9)


class CallSpan(Protocol):
    """The span of a call that is under way."""

    def end(self, reason: str, facts: Facts) -> None:
        """The call ended, with ``OK`` or the reason of its refusal."""


class Tracer(Protocol):
    """Makes spans. Times are unix nanoseconds, as of ``time.time_ns``."""

    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> CallSpan | None:
        """Begin the span of a call in the task that answers it; None when it is not sampled."""

    def current(self) -> str | None:
        """The traceparent of the call that this task, or the one that started it, answers."""

    def step(
        self,
        name: str,
        parents: Sequence[str],
        *,
        began_ns: int,
        facts: Facts | None = None,
        failure: str = "",
    ) -> None:
        """Tell of one step that served all of ``parents`` and has just ended.

        Each gets a span of its own. Where a step serves several at once it gets one besides, of a trace of
        its own, and they are linked both ways.
        """

    def counts(self) -> SpanCounts:
        """What became of the spans. From any thread."""

    async def close(self) -> None:
        """Hand over what is left, within a bounded time."""
