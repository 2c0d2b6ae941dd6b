"""Families of what this process does: calls, the issuing path, the device, the ledger, itself."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from gateway.metrics.measures import Calls, Measures, Spread
from gateway.metrics.ranking import OTHER, Ranking
from gateway.metrics.sources import AlertCounts, IssueQueue, Sources
from gateway.tracing.port import SpanCounts
from hsm.state import DeviceState
from ledger.state import StoreState

# Of each kind so many have names, those with most calls; the rest is one more.
TIMED_METHOD_COUNT_MAX: Final = 30
CALL_COUNT_MAX: Final = 219
REASON_COUNT_MAX: Final = 59
TYPE_COUNT_MAX: Final = 19
ALERT_COUNT_MAX: Final = 49
SERVICE_COUNT_MAX: Final = 29


def families(sources: Sources) -> Iterator[Metric]:
    """Everything but what belongs to a taxpayer."""
    yield from _calls(sources.measures.calls)
    yield from _issuing(sources.measures)
    if sources.queue is not None:
        yield from _queue(sources.queue())
    if sources.device is not None:
        yield from _device(sources.device())
    yield _spread(
        "taxcontrol_ledger_commit_seconds",
        "How long the ledger's COMMITs took, with their wait for the disk",
        sources.measures.ledger_commit_s,
    )
    if sources.store is not None:
        yield from _store(sources.store)
    if sources.ready is not None:
        yield _ready(sources.ready())
    if sources.alerts is not None and (counts := sources.alerts()) is not None:
        yield from _alerts(counts)
    if sources.spans is not None:
        yield _spans(sources.spans())
    yield InfoMetricFamily(
        "taxcontrol_build",
        "What runs here",
        {"version": version("taxcontrol"), "python": platform.python_version()},
    )


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """A gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    """A counter without labels; ``name`` is without ``_total``."""
    return CounterMetricFamily(name, text, value=value)


def _spread(name: str, text: str, spread: Spread) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, buckets=spread.buckets(), sum_value=spread.sum)


def _calls(calls: Mapping[str, Calls]) -> Iterator[Metric]:
    known = list(calls.items())
    counts = CounterMetricFamily(
        "taxcontrol_rpc_calls",
        "Calls that ended, by method and by the reason they ended with, OK or the name of the refusal",
        labels=("method", "reason"),
    )
    pairs = {
        (method.lstrip("/"), reason): count
        for method, each in known
        for reason, count in dict(each.reasons).items()
    }
    for labels, count in _most(pairs.items(), CALL_COUNT_MAX, (OTHER, OTHER)):
        counts.add_metric(labels, count)
    yield counts
    yield _durations(known)


def _durations(known: list[tuple[str, Calls]]) -> Metric:
    family = HistogramMetricFamily(
        "taxcontrol_rpc_duration_seconds",
        "How long unary calls took, refused ones included",
        labels=("method",),
    )
    rest = Calls().elapsed_s
    ranking: Ranking[tuple[str, Spread]] = Ranking(
        TIMED_METHOD_COUNT_MAX, lambda item: rest.merge(item[1])
    )
    for method, calls in known:
        if count := calls.elapsed_s.count:
            ranking.add((method.lstrip("/"), calls.elapsed_s), (-count,))
    for method, spread in ranking.named():
        family.add_metric([method], spread.buckets(), spread.sum)
    if ranking.folded_count:
        family.add_metric([OTHER], rest.buckets(), rest.sum)
    return family


def _issuing(measures: Measures) -> Iterator[Metric]:
    yield _spread(
        "taxcontrol_issue_group_invoices",
        "Settles and reserves in one transaction",
        measures.group_invoices,
    )
    yield _spread(
        "taxcontrol_issue_group_commit_seconds",
        "How long a group took, from its handing over to the ledger to its outcome",
        measures.group_commit_s,
    )
    yield _spread(
        "taxcontrol_sign_batch_invoices",
        "Invoices in one call to the signing device",
        measures.sign_invoices,
    )
    yield _spread(
        "taxcontrol_sign_seconds",
        "How long a call to the signing device took, its wait for a lane and the check included",
        measures.sign_s,
    )
    yield _counted(
        "taxcontrol_invoices_issued",
        "Invoices settled here, by type",
        "type",
        measures.issued,
        TYPE_COUNT_MAX,
    )
    yield _counted(
        "taxcontrol_invoices_refused",
        "Requests for an invoice that were refused, items of batches and streams included, by reason",
        "reason",
        measures.refused,
        REASON_COUNT_MAX,
    )


def _queue(queue: IssueQueue) -> Iterator[Metric]:
    yield gauge(
        "taxcontrol_issue_waiting_invoices",
        "Requests that wait for a transaction to take their number in",
        queue.waiting_count,
    )
    yield gauge(
        "taxcontrol_issue_in_work_invoices",
        "Requests between arrival and outcome",
        queue.in_work_count,
    )
    yield gauge(
        "taxcontrol_issue_in_work_limit_invoices",
        "From so many in work on callers get OVERLOADED",
        queue.in_work_count_max,
    )


def _device(state: DeviceState) -> Iterator[Metric]:
    yield counter("taxcontrol_hsm_calls", "Calls to the device to sign", state.call_count)
    yield counter(
        "taxcontrol_hsm_failures", "Calls to the device without a signature", state.failure_count
    )
    yield counter("taxcontrol_hsm_late_calls", "Calls without an answer in time", state.late_count)
    yield counter(
        "taxcontrol_hsm_wrong_signatures",
        "Calls whose signature did not verify",
        state.wrong_signature_count,
    )
    yield counter(
        "taxcontrol_hsm_breaker_trips", "Times a key was taken out of service", state.break_count
    )
    yield counter("taxcontrol_hsm_probes", "Signatures asked for as a test", state.probe_count)
    yield gauge("taxcontrol_hsm_keys", "Keys served here", state.key_count)
    yield gauge(
        "taxcontrol_hsm_open_breakers", "Keys out of service at present", state.open_breaker_count
    )
    yield gauge("taxcontrol_hsm_lanes", "Threads that sign", state.lane_count)
    yield gauge(
        "taxcontrol_hsm_busy_lanes", "Threads in the device at present", state.busy_lane_count
    )
    yield gauge(
        "taxcontrol_hsm_hanging_lanes",
        "Threads that never came back from the device",
        state.hanging_lane_count,
    )


def _store(look: Callable[[], StoreState]) -> Iterator[Metric]:
    try:
        state = look()
    except OSError:  # the folder is gone; the alert for that is the ledger's readiness
        return
    yield gauge("taxcontrol_ledger_file_bytes", "Size of the ledger's file", state.file_bytes)
    yield gauge(
        "taxcontrol_ledger_wal_bytes", "Size of the ledger's write-ahead log", state.log_bytes
    )
    yield gauge("taxcontrol_ledger_disk_free_bytes", "Free on the ledger's disk", state.free_bytes)
    yield gauge(
        "taxcontrol_ledger_waiting_writes",
        "Pieces of work that wait for the ledger's writer",
        state.waiting_count,
    )


def _ready(known: Mapping[str, bool]) -> Metric:
    family = GaugeMetricFamily(
        "taxcontrol_ready",
        "1 when the service is ready, as health answers it; service all is the whole gateway",
        labels=("service",),
    )
    for service, ready in sorted(known.items())[:SERVICE_COUNT_MAX]:
        family.add_metric([service or "all"], ready)
    return family


def _alerts(counts: AlertCounts) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "taxcontrol_alerts",
        "Alerts of the gateway's own that stand, by kind and severity",
        labels=("kind", "severity"),
    )
    pairs = {
        (kind, severity): count
        for kind, severities in counts.standing.items()
        for severity, count in severities.items()
    }
    for labels, count in _most(pairs.items(), ALERT_COUNT_MAX, (OTHER, OTHER)):
        family.add_metric(labels, count)
    yield family
    yield gauge(
        "taxcontrol_webhook_waiting_messages",
        "Alert messages that wait for their webhook",
        counts.undelivered_count,
    )
    yield gauge(
        "taxcontrol_webhook_oldest_timestamp_seconds",
        "Since when the oldest of them has waited, in unix time; 0 when none does",
        counts.undelivered_since,
    )
    yield counter(
        "taxcontrol_webhook_failures", "Tries to deliver that failed", counts.failed_count
    )


def _spans(counts: SpanCounts) -> Metric:
    family = CounterMetricFamily(
        "taxcontrol_trace_spans",
        "Spans by what became of them: exported, dropped for want of room, failed at the collector",
        labels=("outcome",),
    )
    family.add_metric(["exported"], counts.exported_count)
    family.add_metric(["dropped"], counts.dropped_count)
    family.add_metric(["failed"], counts.failed_count)
    return family


def _counted(
    name: str, text: str, label: str, counts: Mapping[str, int], count_max: int
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=(label,))
    pairs = {(key,): count for key, count in dict(counts).items()}
    for labels, count in _most(pairs.items(), count_max, (OTHER,)):
        family.add_metric(labels, count)
    return family


def _most(
    counts: Iterable[tuple[tuple[str, ...], int]], count_max: int, other: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], int]]:
    """Those with the highest counts by name, and the sum of the rest as ``other``."""
    ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
    yield from ordered[:count_max]
    if rest := ordered[count_max:]:
        yield other, sum(count for _, count in rest)
