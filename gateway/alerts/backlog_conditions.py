"""What is wrong with what a taxpayer has un-uploaded."""

from collections.abc import Iterator
from typing import Final

from gateway.alerts.condition import HOUR_S, KEPT, Condition, Severity
from gateway.alerts.thresholds import Thresholds, of_taxpayer
from gateway.desk.survey import LimitOutlook, MeterLine, Survey, TaxpayerLine
from ledger.alert_records import AlertPlace
from quota.offline import Grade, Limit

# What is nearer than this is worth saying whatever its size: operators need time to act.
_LEAD_S: Final = 2 * HOUR_S
# A forecast from less than this part of a limit says more about one burst than about where things go.
_FORECAST_FROM: Final = 0.1
_SERIOUS_S: Final = HOUR_S
_IN_DOUBT_S: Final = 600.0
# What is over in a moment by itself: each invoice where the offline hours are 0.
_PATIENCE_S: Final = 60.0


def of_backlogs(line: TaxpayerLine, thresholds: Thresholds, survey: Survey) -> Iterator[Condition]:
    """UNUPLOADED_COUNT, UNUPLOADED_AMOUNT and UNUPLOADED_AGE, of each meter."""
    wanted = of_taxpayer(line, thresholds)
    for meter in line.meters:
        if not meter.unuploaded_count:
            continue
        outlooks = {outlook.use.limit: outlook for outlook in meter.limits}
        age_s = survey.at - meter.oldest_issue_time
        for limit, value, threshold in (
            (Limit.COUNT, meter.unuploaded_count, wanted.unuploaded_count),
            (Limit.AMOUNT, meter.unuploaded_amount_fen, wanted.unuploaded_amount_fen),
            (Limit.AGE, age_s, wanted.unuploaded_age_s),
        ):
            found = _backlog(line, meter, outlooks.get(limit), survey.at, limit, value, threshold)
            if found is not None:
                yield found


def _backlog(  # noqa: PLR0917 - one limit, its value and its threshold
    line: TaxpayerLine,
    meter: MeterLine,
    outlook: LimitOutlook | None,
    now: float,
    limit: Limit,
    value: float,
    threshold: int | None,
) -> Condition | None:
    most = None if outlook is None else outlook.use.most
    reached_at = None if outlook is None else outlook.reached_at
    left_s = None if reached_at is None else reached_at - now
    lead_s = _LEAD_S
    if limit is Limit.AGE and most:
        lead_s = min(lead_s, most / 2)
    # The part of the limit, or of the threshold, from which on a forecast counts.
    grown = most is None or value >= most * _FORECAST_FROM
    near = left_s is not None and left_s <= lead_s and grown
    over = threshold is not None and value >= threshold
    kept = (threshold is not None and value >= threshold * KEPT) or (
        left_s is not None and left_s * KEPT <= lead_s and grown
    )
    if most == 0 and now - meter.oldest_issue_time < _PATIENCE_S:
        return None  # one at a time: each is un-uploaded for a moment
    if not (near or over or kept):
        return None
    serious = (left_s is not None and left_s <= _SERIOUS_S and near) or (
        outlook is not None and outlook.use.grade >= Grade.RESTRICT
    )
    facts: dict[str, str | int | float] = {
        "unuploaded_count": meter.unuploaded_count,
        "unuploaded_amount_fen": meter.unuploaded_amount_fen,
        "age_s": int(now - meter.oldest_issue_time),
    }
    if most is not None:
        facts["limit"] = most
    if threshold is not None:
        facts["threshold"] = threshold
    return Condition(
        place=AlertPlace(
            f"UNUPLOADED_{limit}", line.tax_number, meter.machine_number, None, meter.type
        ),
        severity=Severity.SERIOUS if serious else Severity.WARNING,
        holds=near or over,
        facts=facts,
        limit_at=reached_at,
        drained_at=meter.drained_at,
    )


def of_limits(line: TaxpayerLine, _: Thresholds, survey: Survey) -> Iterator[Condition]:
    """OFFLINE_LIMIT_REACHED, of each meter."""
    for meter in line.meters:
        reached = [
            outlook
            for outlook in meter.limits
            if outlook.use.limit not in (Limit.PERIOD, Limit.SUMMARY_AGE)
            and outlook.use.grade >= Grade.RESTRICT
            and not _momentary(meter, outlook, survey.at)
        ]
        if not reached:
            continue
        worst = max(reached, key=lambda outlook: outlook.use.used_ppm)
        yield Condition(
            place=AlertPlace(
                "OFFLINE_LIMIT_REACHED", line.tax_number, meter.machine_number, None, meter.type
            ),
            severity=Severity.CRITICAL,
            holds=worst.use.grade is Grade.STOP,
            facts={
                "limit_name": worst.use.limit.value,
                "limit": worst.use.most,
                "used": worst.use.used,
                "unuploaded_count": meter.unuploaded_count,
            },
            limit_at=worst.reached_at,
            drained_at=meter.drained_at,
        )


def _momentary(meter: MeterLine, outlook: LimitOutlook, now: float) -> bool:
    """Whether it is over as soon as one invoice is uploaded, and has not lasted yet."""
    return outlook.use.most == 0 and (
        not meter.unuploaded_count or now - meter.oldest_issue_time < _PATIENCE_S
    )


def of_uploads(line: TaxpayerLine, _: Thresholds, survey: Survey) -> Iterator[Condition]:
    """UPLOAD_REJECTED and UPLOAD_IN_DOUBT."""
    refused = line.rejected_count + line.signature_rejected_count
    if refused:
        yield Condition(
            place=AlertPlace("UPLOAD_REJECTED", line.tax_number),
            severity=Severity.SERIOUS if line.signature_rejected_count else Severity.WARNING,
            facts={
                "rejected_count": line.rejected_count,
                "signature_rejected_count": line.signature_rejected_count,
            },
        )
    if line.in_doubt_since and survey.at - line.in_doubt_since >= _IN_DOUBT_S:
        yield Condition(
            place=AlertPlace("UPLOAD_IN_DOUBT", line.tax_number),
            severity=Severity.WARNING,
            facts={
                "in_doubt_count": line.in_doubt_count,
                "doubt_s": int(survey.at - line.in_doubt_since),
            },
        )
