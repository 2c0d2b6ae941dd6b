"""What metrics are gathered from: plain data and calls that answer it, from any thread and at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.desk.survey import Survey
from gateway.metrics.measures import Measures
from gateway.tracing.port import SpanCounts
from hsm.state import DeviceState
from ledger.state import StoreState


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueQueue:
    """How full the issuing path is: what waits for a number, and all that has no outcome yet."""

    waiting_count: int
    in_work_count: int
    in_work_count_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCounts:
    """Alerts that stand, by kind and severity, as the contract names them without prefix, and their delivery.

    ``undelivered_count`` messages wait for their webhook, the oldest since ``undelivered_since`` (unix
    seconds; 0 when none does); ``failed_count`` tries have failed since the start.
    """

    standing: Mapping[str, Mapping[str, int]]
    undelivered_count: int = 0
    undelivered_since: float = 0.0
    failed_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a scrape looks. What is None is not shown; a call that answers None has nothing to say yet."""

    measures: Measures
    now: Callable[[], float]
    queue: Callable[[], IssueQueue] | None = None
    ready: Callable[[], Mapping[str, bool]] | None = None
    device: Callable[[], DeviceState] | None = None
    store: Callable[[], StoreState] | None = None
    survey: Callable[[], Survey | None] | None = None
    alerts: Callable[[], AlertCounts | None] | None = None
    spans: Callable[[], SpanCounts] | None = None
