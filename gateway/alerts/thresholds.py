"""From where on operators want to hear: what was set for a taxpayer, and the defaults."""

from collections.abc import Mapping
from typing import Final

from gateway.alerts.condition import HOUR_S
from gateway.desk.survey import TaxpayerLine
from ledger.alert_records import AlertThresholdsRecord
from quota.offline import OfflineLimits

Thresholds = Mapping[str, AlertThresholdsRecord]
"""What was set, by tax number."""

NO_THRESHOLDS: Final = AlertThresholdsRecord()

_COUNT_DEFAULT: Final = 10_000
_AGE_DEFAULT_S: Final = 4 * HOUR_S
_SHARE_DEFAULT: Final = 0.7
_AGE_SHARE_DEFAULT: Final = 0.25
_CERTIFICATE_DAYS: Final = 30
_PERIOD_DAYS: Final = 3


def in_force(set_: AlertThresholdsRecord, limits: OfflineLimits) -> AlertThresholdsRecord:
    """Return thresholds with their defaults filled in; None stays where nothing is limited."""
    count, amount, hours = limits.count_max, limits.amount_fen_max, limits.age_hours_max
    return AlertThresholdsRecord(
        unuploaded_count=set_.unuploaded_count
        or (_COUNT_DEFAULT if count is None else max(1, int(count * _SHARE_DEFAULT))),
        unuploaded_amount_fen=set_.unuploaded_amount_fen
        or (None if amount is None else max(1, int(amount * _SHARE_DEFAULT))),
        unuploaded_age_s=set_.unuploaded_age_s
        or int(_AGE_DEFAULT_S if not hours else hours * HOUR_S * _AGE_SHARE_DEFAULT),
        certificate_days=set_.certificate_days or _CERTIFICATE_DAYS,
        period_days=set_.period_days or _PERIOD_DAYS,
    )


def of_taxpayer(line: TaxpayerLine, thresholds: Thresholds) -> AlertThresholdsRecord:
    """Return those in force for one taxpayer."""
    return in_force(thresholds.get(line.tax_number, NO_THRESHOLDS), line.offline_limits)
