"""A survey on the wire: the view of an operator's desk."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gateway import convert, offline_wire, upload_wire
from gateway.desk.survey import LimitOutlook, MeterLine, StockLine, Survey, TaxpayerLine
from gateway.upload.pacer import WindowUse
from invoice.identifiers import point_name, taxpayer_name
from taxcontrol.admin.v1 import desk_pb2, offline_pb2, stock_threshold_pb2, upload_pb2


@dataclass(frozen=True, slots=True)
class Standing:
    """Alerts that stand: how many of each severity (``WARNING`` …), and how many are acknowledged."""

    severities: Mapping[str, int] = field(default_factory=Counter)
    acknowledged_count: int = 0


NONE_STANDING = Standing()

# Taxpayers in one view, below what a client of gRPC takes by default.
_VIEW_BYTES_MAX: Final = 3_500_000


def frame(survey: Survey, standing: Standing) -> desk_pb2.DeskView:
    """The desk without taxpayers. ``standing`` are the alerts of all."""
    wire = desk_pb2.DeskView(
        view_time=convert.timestamp(survey.at),
        authority_reachable=survey.authority_reachable,
        finance_reachable=survey.finance_reachable,
        signing_available=survey.signing_available,
        issued_per_minute=survey.issued_per_minute,
        uploaded_per_minute=survey.uploaded_per_minute,
        alerts=_counts(standing),
    )
    if survey.clock_ahead_s is not None:
        wire.clock_ahead_ms = round(survey.clock_ahead_s * 1000)
    return wire


def taxpayers(
    lines: Iterable[TaxpayerLine], alerts: Mapping[str, Standing], now: float
) -> Iterator[desk_pb2.TaxpayerView]:
    """Yield taxpayers as far as they fit into one message. ``alerts`` are theirs by tax number."""
    size = 0
    for line in lines:
        wire = _taxpayer(line, alerts.get(line.tax_number, NONE_STANDING), now)
        # The first one is shown whatever it takes: who is asked for alone must not be left out.
        if size and size + wire.ByteSize() > _VIEW_BYTES_MAX:
            return
        size += wire.ByteSize()
        yield wire


def _counts(standing: Standing) -> desk_pb2.AlertCounts:
    return desk_pb2.AlertCounts(
        warning_count=standing.severities.get("WARNING", 0),
        serious_count=standing.severities.get("SERIOUS", 0),
        critical_count=standing.severities.get("CRITICAL", 0),
        acknowledged_count=standing.acknowledged_count,
    )


def _taxpayer(line: TaxpayerLine, standing: Standing, now: float) -> desk_pb2.TaxpayerView:
    wire = desk_pb2.TaxpayerView(
        taxpayer=taxpayer_name(line.tax_number),
        display_name=line.name,
        stock=[_stock(line.tax_number, one) for one in line.stock],
        meters=map(_meter, line.meters),
        upload=_upload(line, now),
        grade=offline_wire.grade(line.grade),
        alerts=_counts(standing),
    )
    if line.drained_at is not None:
        wire.drain_time.CopyFrom(convert.timestamp(_minute(line.drained_at)))
    return wire


def _stock(tax_number: str, line: StockLine) -> desk_pb2.StockView:
    point = "" if line.point is None else point_name(tax_number, line.point)
    wire = desk_pb2.StockView(
        point=point,
        type=line.type,
        available_count=line.available_count,
        expired_count=line.expired_count,
        taken_last_hour_count=line.taken_last_hour_count,
        grade=offline_wire.grade(line.grade),
        issue_deadline=line.issue_deadline,
    )
    if line.threshold is not None:
        threshold = line.threshold
        wire.threshold.CopyFrom(
            stock_threshold_pb2.StockThreshold(
                parent=point if threshold.of_point else taxpayer_name(tax_number),
                type=line.type,
                low_count=threshold.low_count,
                target_count=threshold.target_count,
                auto_draw=threshold.auto_draw,
            )
        )
    if line.empty_at is not None:
        wire.empty_time.CopyFrom(convert.timestamp(_minute(line.empty_at)))
    return wire


def _meter(line: MeterLine) -> desk_pb2.MeterView:
    wire = desk_pb2.MeterView(
        machine_number=line.machine_number,
        type=line.type,
        unuploaded_count=line.unuploaded_count,
        unuploaded_amount_fen=line.unuploaded_amount_fen,
        limits=map(_limit, line.limits),
        grade=offline_wire.grade(line.grade),
    )
    if line.oldest_issue_time:
        wire.oldest_issue_time.CopyFrom(convert.timestamp(line.oldest_issue_time))
    return wire


def _limit(outlook: LimitOutlook) -> offline_pb2.LimitUse:
    use, reached_at = outlook.use, outlook.reached_at
    if use.limit_at is not None:
        # What only time moves is told by the minute: else no view would ever be like the last one.
        use = replace(use, used=_minute(use.used))
    elif reached_at is not None:
        reached_at = _minute(reached_at)
    return offline_wire.limit_use(use, reached_at)


def _minute(seconds: float) -> int:
    return int(seconds // 60) * 60


def _upload(line: TaxpayerLine, now: float) -> upload_pb2.UploadStatus:
    pace = line.upload
    windows = (
        [
            WindowUse(period_s=one.period_s, call_count_max=one.call_count_max, used_count=0)
            for one in line.windows
        ]
        if pace is None
        else pace.windows
    )
    wire = upload_pb2.UploadStatus(
        taxpayer=taxpayer_name(line.tax_number),
        pending_count=line.pending_count,
        submitted_count=line.submitted_count,
        in_doubt_count=line.in_doubt_count,
        rejected_count=line.rejected_count + line.signature_rejected_count,
        windows=map(upload_wire.window_use, windows),
        rate_share_ppm=1_000_000 if pace is None else round(pace.share * 1_000_000),
        last_error="" if pace is None else pace.last_error,
    )
    upload_wire.show_control(wire, line.control, now)
    return wire
