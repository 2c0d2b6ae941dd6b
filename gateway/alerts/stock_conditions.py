"""What is wrong with a taxpayer's stock."""

from collections.abc import Iterator
from typing import Final

from gateway.alerts.condition import HOUR_S, KEPT, Condition, Severity
from gateway.alerts.thresholds import Thresholds
from gateway.desk.survey import Survey, TaxpayerLine
from ledger.alert_records import AlertPlace
from quota.offline import Grade

# So many points of one taxpayer and type have an alert each; those beyond share one.
_POINT_COUNT_MAX: Final = 50


def of_stock(line: TaxpayerLine, _: Thresholds, survey: Survey) -> Iterator[Condition]:
    """STOCK_LOW and STOCK_EXHAUSTED, of each point that is used."""
    low: dict[str, list[Condition]] = {}
    for stock in line.stock:
        if stock.point is None or not stock.was_used:
            continue
        facts: dict[str, str | int | float] = {
            "available_count": stock.available_count,
            "taken_last_hour_count": stock.taken_last_hour_count,
        }
        if stock.expired_count:
            facts["expired_count"] = stock.expired_count
        if stock.grade is Grade.STOP:
            place = AlertPlace("STOCK_EXHAUSTED", line.tax_number, "", stock.point, stock.type)
            low.setdefault(stock.type, []).append(
                Condition(place=place, severity=Severity.CRITICAL, facts=facts, limit_at=survey.at)
            )
        most = None if stock.threshold is None else stock.threshold.low_count
        if most is not None:
            facts["low_count"] = most
        lasts_s = None if stock.empty_at is None else stock.empty_at - survey.at
        nearly = (lasts_s is not None and lasts_s * KEPT < HOUR_S and most is None) or (
            most is not None and stock.available_count * KEPT <= most
        )
        if stock.grade is Grade.OK and not nearly:
            continue
        low.setdefault(stock.type, []).append(
            Condition(
                place=AlertPlace("STOCK_LOW", line.tax_number, "", stock.point, stock.type),
                severity=Severity.SERIOUS if stock.grade > Grade.WARN else Severity.WARNING,
                holds=stock.grade > Grade.OK,
                facts=facts,
                limit_at=stock.empty_at,
            )
        )
    for type_code, found in low.items():
        yield from _bounded(line.tax_number, type_code, found)


def _bounded(tax_number: str, type_code: str, found: list[Condition]) -> Iterator[Condition]:
    """Each point's own while they are few; beyond that one for all others of a kind."""
    for kind in ("STOCK_EXHAUSTED", "STOCK_LOW"):
        mine = [one for one in found if one.place.kind == kind]
        yield from mine[:_POINT_COUNT_MAX]
        others = [one for one in mine[_POINT_COUNT_MAX:] if one.holds]
        if others:
            yield Condition(
                place=AlertPlace(kind, tax_number, type=type_code),
                severity=max(one.severity for one in others),
                facts={"point_count": len(others)},
                limit_at=min((one.limit_at for one in others if one.limit_at), default=None),
            )
