"""Summaries of months: taken in order, once each, and only when their figures are those on record."""

import hashlib
import json
from typing import Final, NamedTuple

import apsw

from authority.simulator import month_table
from authority.simulator.counter_table import count_up
from authority.simulator.refusal import Refusal
from authority.simulator.registry_table import owner_of, require_taxpayer
from authority.simulator.summaries import (
    GROUPS,
    Figures,
    Summary,
    begins_ns,
    ends_ns,
    following,
)

_BY_REQUEST: Final = """
SELECT tax_number, machine_number, period, content_digest, summary_serial FROM summary
WHERE request_id = :request_id
"""
_OF_MONTH: Final = """
SELECT 1 FROM summary WHERE machine_number = :machine_number AND period = :period
"""
_LAST: Final = """
SELECT period, closings FROM summary WHERE machine_number = :machine_number
ORDER BY period DESC LIMIT 1
"""
_ADD: Final = """
INSERT INTO summary
    (machine_number, period, tax_number, request_id, summary_serial, content_digest, closings)
VALUES (:machine_number, :period, :tax_number, :request_id, :summary_serial, :content_digest,
        :closings)
"""
_MISSING_TOLD_MAX: Final = 20
# The first instant of all that is on record.
_EVER_NS: Final = -(2**62)

EXPORT: Final = """
SELECT tax_number, machine_number, period, summary_serial, content_digest
FROM summary WHERE :tax_number IN ('', tax_number) ORDER BY tax_number, machine_number, period
"""


class Judged(NamedTuple):
    """A summary with what could be said of it alone: what is stated, or the refusal it earns."""

    summary: Summary
    stated: dict[str, Figures]
    refusal: Refusal | None


def take(connection: apsw.Connection, judged: Judged, *, now_ns: int, series: str) -> str:
    """Take a summary, or answer the serial of the request. Refused: as the RPC says, in that order."""
    summary = judged.summary
    _require_device(connection, summary)
    same = _same(connection, summary)
    if same:
        return same
    if judged.refusal is not None:
        raise judged.refusal
    if now_ns < ends_ns(summary.period):
        raise Refusal("PERIOD_NOT_OVER", f"{summary.period} is not over")
    before = _before(connection, summary)
    _require_complete(connection, judged)
    _require_right(connection, judged, before)
    return _add(connection, judged, series)


def _require_device(connection: apsw.Connection, summary: Summary) -> None:
    require_taxpayer(connection, summary.tax_number)
    if owner_of(connection, summary.machine_number) != summary.tax_number:
        raise Refusal("DEVICE_UNKNOWN", f"no device {summary.machine_number!r} of the taxpayer")


def _same(connection: apsw.Connection, summary: Summary) -> str:
    row = connection.execute(_BY_REQUEST, {"request_id": summary.request_id}).fetchone()
    digest = hashlib.sha256(summary.content).digest()
    if row is not None:
        asked = summary.tax_number, summary.machine_number, summary.period, digest
        if row[:4] != asked:
            raise Refusal("REQUEST_ID_REUSED", f"{summary.request_id!r} came with another summary")
        return str(row[4])
    month = {"machine_number": summary.machine_number, "period": summary.period}
    if connection.execute(_OF_MONTH, month).fetchone() is not None:
        raise Refusal("PERIOD_SUMMARISED", f"{summary.period} has another summary")
    return ""


def _before(connection: apsw.Connection, summary: Summary) -> dict[str, int] | None:
    """Return what the month before closed with, None for the first one."""
    row = connection.execute(_LAST, {"machine_number": summary.machine_number}).fetchone()
    if row is None:
        return None
    due = following(row[0])
    if due != summary.period:
        raise Refusal("PERIOD_OUT_OF_ORDER", f"{due} comes first", next_period=due)
    closings: dict[str, int] = json.loads(row[1])
    return closings


def _known(connection: apsw.Connection, summary: Summary) -> dict[str, Figures]:
    return month_table.known(
        connection,
        tax_number=summary.tax_number,
        machine_number=summary.machine_number,
        period=summary.period,
    )


def _require_complete(connection: apsw.Connection, judged: Judged) -> None:
    """Refuse PERIOD_INCOMPLETE where more is stated than was had, and numbers are left out below others."""
    summary = judged.summary
    if not month_table.measured(connection, summary.tax_number):
        return
    on_record = _known(connection, summary)
    for type_, figures in judged.stated.items():
        had = on_record.get(type_)
        lacking = _used(figures) - (0 if had is None else _used(had))
        if lacking <= 0:
            continue
        numbers = month_table.missing(connection, summary.tax_number, type_, _MISSING_TOLD_MAX)
        if numbers:
            raise Refusal(
                "PERIOD_INCOMPLETE",
                f"{lacking} of type {type_} were not handed in",
                missing_count=str(lacking),
                missing_numbers=",".join(numbers[:lacking]),
            )


def _require_right(
    connection: apsw.Connection, judged: Judged, before: dict[str, int] | None
) -> None:
    summary = judged.summary
    is_measured = month_table.measured(connection, summary.tax_number)
    on_record = _known(connection, summary) if is_measured else {}
    nothing = Figures(counts={}, totals={})
    for type_ in sorted(judged.stated.keys() | on_record.keys()):
        stated = judged.stated.get(type_)
        if stated is None:
            raise _mismatch(type_, "type", "none", "some")
        if is_measured:
            _compare(type_, stated, on_record.get(type_, nothing))
        _check_stock(connection, summary, type_, stated, before)


def _compare(type_: str, stated: Figures, right: Figures) -> None:
    for name in (*GROUPS, "blank_void"):
        if stated.counts[name] != right.counts.get(name, 0):
            raise _mismatch(type_, name, stated.counts[name], right.counts.get(name, 0))
    for group, rate_ppm in sorted(stated.totals.keys() | right.totals.keys()):
        told = stated.totals.get((group, rate_ppm), (0, 0, 0))
        due = right.totals.get((group, rate_ppm), (0, 0, 0))
        for name, one, other in zip(("invoices", "net_fen", "tax_fen"), told, due, strict=True):
            if one != other:
                raise _mismatch(type_, f"totals.{group}.{rate_ppm}.{name}", one, other)


def _check_stock(
    connection: apsw.Connection,
    summary: Summary,
    type_: str,
    stated: Figures,
    before: dict[str, int] | None,
) -> None:
    counts = stated.counts
    closing = counts["opening"] + counts["drawn"] - counts["returned"] - _used(stated)
    if counts["closing"] != closing:
        raise _mismatch(type_, "closing", counts["closing"], closing)
    if before is not None and counts["opening"] != before.get(type_, 0):
        raise _mismatch(type_, "opening", counts["opening"], before.get(type_, 0))
    if not month_table.single_device(connection, summary.tax_number):
        return
    begins, ends = begins_ns(summary.period), ends_ns(summary.period)
    whose = connection, summary.tax_number, type_
    _check_within(type_, "drawn", counts["drawn"], month_table.drawn(*whose, begins, ends))
    _check_within(type_, "returned", counts["returned"], month_table.returned(*whose, begins, ends))
    if before is None and month_table.measured(connection, summary.tax_number):
        fewest, most = month_table.drawn(*whose, _EVER_NS, begins)
        back_fewest, back_most = month_table.returned(*whose, _EVER_NS, begins)
        taken = month_table.taken_before(
            connection,
            tax_number=summary.tax_number,
            machine_number=summary.machine_number,
            period=summary.period,
        ).get(type_, 0)
        span = fewest - back_most - taken, most - back_fewest - taken
        _check_within(type_, "opening", counts["opening"], span)


def _check_within(type_: str, field: str, stated: int, span: tuple[int, int]) -> None:
    fewest, most = span
    if not fewest <= stated <= most:
        known = str(most) if fewest == most else f"{fewest} to {most}"
        raise _mismatch(type_, field, stated, known)


def _used(figures: Figures) -> int:
    return sum(figures.counts.get(name, 0) for name in ("blue", "red", "blank_void"))


def _mismatch(type_: str, field: str, stated: object, known: object) -> Refusal:
    return Refusal(
        "STATISTICS_MISMATCH",
        f"{field} of type {type_}: {stated} stated, {known} known",
        type=type_,
        field=field,
        stated=str(stated),
        known=str(known),
    )


def _add(connection: apsw.Connection, judged: Judged, series: str) -> str:
    summary = judged.summary
    serial = f"{series}{count_up(connection, 'summary'):012d}"
    closings = {type_: figures.counts["closing"] for type_, figures in judged.stated.items()}
    connection.execute(
        _ADD,
        {
            "machine_number": summary.machine_number,
            "period": summary.period,
            "tax_number": summary.tax_number,
            "request_id": summary.request_id,
            "summary_serial": serial,
            "content_digest": hashlib.sha256(summary.content).digest(),
            "closings": json.dumps(closings),
        },
    )
    return serial
