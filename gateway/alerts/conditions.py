"""What is wrong, read off one survey. Pure: the survey has the time in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from gateway.alerts.backlog_conditions import of_backlogs, of_limits, of_uploads
from gateway.alerts.condition import HOUR_S, KEPT, Condition, Severity
from gateway.alerts.device_conditions import of_devices
from gateway.alerts.stock_conditions import of_stock
from gateway.alerts.thresholds import Thresholds
from gateway.desk.survey import Survey, TaxpayerLine
from ledger.alert_records import AlertPlace
from quota.offline import Limit

_AWAY_S: Final = 60.0
_AWAY_SERIOUS_S: Final = 6 * HOUR_S
_SKEW_S: Final = 300.0
_SKEW_CRITICAL_S: Final = 1800.0
_CLAMP_S: Final = 5.0
# Its invoices go to the finance department, all others to the tax authority.
_FINANCE_TYPE: Final = "D01"

_Look = Callable[[TaxpayerLine, Thresholds, Survey], Iterator[Condition]]
_OF_TAXPAYER: Final[tuple[_Look, ...]] = (of_stock, of_backlogs, of_limits, of_uploads, of_devices)


def conditions(survey: Survey, thresholds: Thresholds) -> dict[AlertPlace, Condition]:
    """Return what is wrong, by place."""
    return {one.place: one for one in chain.from_iterable(by_steps(survey, thresholds))}


def by_steps(survey: Survey, thresholds: Thresholds) -> Iterator[list[Condition]]:
    """Yield what is wrong with one taxpayer after the other, and at last with the gateway.

    Each step looks at one taxpayer alone, so whoever takes them may pause between any two.
    """
    first = _FirstLimits()
    for line in survey.taxpayers.values():
        first.look(line)
        yield [one for look in _OF_TAXPAYER for one in look(line, thresholds, survey)]
    yield list(_of_gateway(survey, first))


@dataclass(slots=True)
class _FirstLimits:
    """When the first limit of anybody stops issuing, at each office, as things go."""

    tax: float | None = None
    finance: float | None = None

    def look(self, line: TaxpayerLine) -> None:
        """Take one taxpayer's limits into account."""
        for meter in line.meters:
            if not meter.unuploaded_count:
                continue
            for outlook in meter.limits:
                at = outlook.reached_at
                if at is None or outlook.use.limit is Limit.SUMMARY_AGE:
                    continue
                if meter.type == _FINANCE_TYPE:
                    self.finance = at if self.finance is None else min(at, self.finance)
                else:
                    self.tax = at if self.tax is None else min(at, self.tax)


def _of_gateway(survey: Survey, first: _FirstLimits) -> Iterator[Condition]:
    yield from _away(survey, survey.authority_lost_at, first.tax, office="tax", type_code="")
    yield from _away(
        survey,
        survey.finance_lost_at,
        first.finance,
        office="finance",
        type_code=_FINANCE_TYPE,
    )
    if not survey.signing_available:
        yield Condition(place=AlertPlace("HSM_UNAVAILABLE"), severity=Severity.CRITICAL)
    if not survey.ledger_writable:
        yield Condition(place=AlertPlace("LEDGER_UNWRITABLE"), severity=Severity.CRITICAL)
    yield from _clock(survey)


def _away(
    survey: Survey,
    lost_at: float | None,
    nearest: float | None,
    *,
    office: str,
    type_code: str,
) -> Iterator[Condition]:
    if lost_at is None or survey.at - lost_at < _AWAY_S:
        return
    near = nearest is not None and nearest - survey.at < _AWAY_SERIOUS_S
    yield Condition(
        place=AlertPlace("AUTHORITY_UNREACHABLE", type=type_code),
        severity=Severity.SERIOUS if near else Severity.WARNING,
        facts={"office": office, "away_s": int(survey.at - lost_at), "since": lost_at},
        limit_at=nearest,
    )


def _clock(survey: Survey) -> Iterator[Condition]:
    ahead_s = survey.clock_ahead_s or 0.0
    worst_s = max(abs(ahead_s), survey.clamped_s)
    if abs(ahead_s) < _SKEW_S * KEPT and survey.clamped_s <= _CLAMP_S:
        return
    yield Condition(
        place=AlertPlace("CLOCK_SKEW"),
        severity=Severity.CRITICAL if worst_s > _SKEW_CRITICAL_S else Severity.SERIOUS,
        holds=abs(ahead_s) >= _SKEW_S or survey.clamped_s > _CLAMP_S,
        facts={"ahead_s": round(ahead_s), "clamped_s": round(survey.clamped_s)},
    )
