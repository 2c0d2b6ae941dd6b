"""What a run says at its end: tables for people, one line for scripts."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from hdrh.histogram import HdrHistogram

from loadtests.account import Total

_PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)


def latency_table(latencies: Mapping[str, HdrHistogram], done: Mapping[str, int]) -> str:
    """A row for each operation, from the first try to the last answer, in milliseconds."""
    rows = [
        "| operation | done | calls | p50 ms | p90 ms | p99 ms | p99.9 ms | max ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in sorted(latencies.items()):
        rows.append(f"| {name} | {done.get(name, 0):,} | {one.total_count:,} | {figures(one)} |")
    return "\n".join(rows)


def figures(latencies: HdrHistogram) -> str:
    """The percentiles and the greatest, in milliseconds, as cells of a table."""
    found = [latencies.get_value_at_percentile(one) for one in _PERCENTILES]
    return " | ".join(f"{value / 1000:,.1f}" for value in (*found, latencies.max_value))


def reason_table(total: Total) -> str:
    """A row for each operation and reason: failed, refused as it has to be, sent again."""
    rows = ["| operation | reason | failed | refused | retried |", "|---|---|---:|---:|---:|"]
    for key in sorted(total.failed.keys() | total.refused.keys() | total.retried.keys()):
        operation, reason = key.split("\t")
        counts = (total.failed[key], total.refused[key], total.retried[key])
        rows.append(f"| {operation} | {reason} | " + " | ".join(f"{n:,}" for n in counts) + " |")
    if len(rows) == 2:
        rows.append("| - | nothing failed, nothing was sent again | 0 | 0 | 0 |")
    return "\n".join(rows)


def whole(total: Total, seconds: float) -> str:
    """Both tables, and the rate at which invoices came."""
    invoices = sum(total.done[name] for name in total.done if issuing(name))
    retried = sum(Counter(total.retried).values())
    said = (
        f"{invoices:,} invoices in {seconds:.0f} s ({invoices / max(seconds, 1e-9):,.0f}/s) by"
        f" {total.process_count} process(es); {retried:,} sent again;"
        f" {total.verified_count:,} signatures verified."
    )
    return "\n\n".join([latency_table(total.latencies, total.done), reason_table(total), said])


def issuing(operation: str) -> bool:
    """Whether what an operation has done are invoices, new ones."""
    return operation.endswith(("ticket", "refund", "receipt", "batch", "sale", "stream", "invoice"))
