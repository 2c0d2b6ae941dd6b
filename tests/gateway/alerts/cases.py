"""What may be wrong, kind by kind: at its threshold, just short of it, and somewhat below."""

from dataclasses import dataclass, field, replace

from gateway.alerts.condition import Severity
from gateway.desk.survey import Survey
from ledger.alert_records import AlertPlace
from quota.offline import Grade, Limit
from tests.gateway.alerts.scenes import (
    DAY_S,
    HOUR_S,
    MACHINE,
    NOW,
    TAX_NUMBER,
    TYPE,
    gateway,
    seller,
    with_backlog,
    with_device,
    with_limit,
    with_stock,
)

W, S, C = Severity.WARNING, Severity.SERIOUS, Severity.CRITICAL
DEVICE = AlertPlace("", TAX_NUMBER, MACHINE)
METER = AlertPlace("", TAX_NUMBER, MACHINE, None, TYPE)
POINT = AlertPlace("", TAX_NUMBER, "", 0, TYPE)
SELLER = AlertPlace("", TAX_NUMBER)
EVERYBODY = AlertPlace("")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A survey in which something is wrong, one in which it nearly is, and one in which it is gone.

    ``short`` may keep a standing alert, and raises none; ``gone`` ends it.
    """

    kind: str
    place: AlertPlace
    severity: Severity
    raised: Survey
    short: Survey
    gone: Survey
    facts: dict[str, object] = field(default_factory=dict)
    limit_at: float | None = None
    drained_at: float | None = None


CASES = {
    "stock is at its threshold": Case(
        kind="STOCK_LOW", place=POINT, severity=W,
        raised=with_stock(50, low=50, empty_at=NOW + 9 * HOUR_S, grade=Grade.WARN),
        short=with_stock(51, low=50, empty_at=NOW + 9 * HOUR_S, grade=Grade.OK),
        gone=with_stock(60, low=50, empty_at=NOW + 9 * HOUR_S, grade=Grade.OK),
        facts={"available_count": 50, "low_count": 50, "taken_last_hour_count": 7},
        limit_at=NOW + 9 * HOUR_S,
    ),
    "stock without a threshold lasts less than half an hour": Case(
        kind="STOCK_LOW", place=POINT, severity=S,
        raised=with_stock(20, low=None, empty_at=NOW + 1700, grade=Grade.RESTRICT),
        short=with_stock(40, low=None, empty_at=NOW + HOUR_S, grade=Grade.OK),
        gone=with_stock(90, low=None, empty_at=NOW + 1.3 * HOUR_S, grade=Grade.OK),
        facts={"available_count": 20, "taken_last_hour_count": 7},
        limit_at=NOW + 1700,
    ),
    "no number is left": Case(
        kind="STOCK_EXHAUSTED", place=POINT, severity=C,
        raised=with_stock(0, low=50, empty_at=NOW, grade=Grade.STOP),
        short=with_stock(1, low=50, empty_at=NOW + 30, grade=Grade.RESTRICT),
        gone=with_stock(1, low=50, empty_at=NOW + 30, grade=Grade.RESTRICT),
        facts={"available_count": 0, "taken_last_hour_count": 7},
        limit_at=NOW,
    ),
    "none may be issued: all are past their day": Case(
        kind="STOCK_EXHAUSTED", place=POINT, severity=C,
        raised=with_stock(0, low=50, empty_at=NOW, grade=Grade.STOP, expired=12),
        short=with_stock(0, low=50, empty_at=None, grade=Grade.WARN, was_used=False),
        gone=with_stock(99, low=50, empty_at=None, grade=Grade.OK, expired=12),
        facts={"available_count": 0, "taken_last_hour_count": 7, "expired_count": 12},
        limit_at=NOW,
    ),
    "so many are un-uploaded": Case(
        kind="UNUPLOADED_COUNT", place=METER, severity=W,
        raised=with_backlog(700, most=1000, reached_at=NOW + 3 * HOUR_S, drained_at=NOW + 9),
        short=with_backlog(699, most=1000, reached_at=NOW + 3 * HOUR_S),
        gone=with_backlog(594, most=1000, reached_at=NOW + 3 * HOUR_S),
        facts={"unuploaded_count": 700, "limit": 1000, "threshold": 700},
        limit_at=NOW + 3 * HOUR_S, drained_at=NOW + 9,
    ),
    "few are un-uploaded, and the limit is two hours away": Case(
        kind="UNUPLOADED_COUNT", place=METER, severity=W,
        raised=with_backlog(100, most=1000, reached_at=NOW + 2 * HOUR_S),
        short=with_backlog(100, most=1000, reached_at=NOW + 2.1 * HOUR_S),
        gone=with_backlog(100, most=1000, reached_at=NOW + 2.4 * HOUR_S),
        facts={"unuploaded_count": 100, "limit": 1000, "threshold": 700},
        limit_at=NOW + 2 * HOUR_S,
    ),
    "the limit is an hour away": Case(
        kind="UNUPLOADED_COUNT", place=METER, severity=S,
        raised=with_backlog(100, most=1000, reached_at=NOW + HOUR_S),
        short=with_backlog(99, most=1000, reached_at=NOW + HOUR_S),  # no forecast from a tenth on
        gone=with_backlog(99, most=1000, reached_at=NOW + HOUR_S),
        facts={"unuploaded_count": 100, "limit": 1000, "threshold": 700},
        limit_at=NOW + HOUR_S,
    ),
    "so much is un-uploaded": Case(
        kind="UNUPLOADED_AMOUNT", place=METER, severity=W,
        raised=with_backlog(1, fen=70_000, limit=Limit.AMOUNT, most=100_000, drained_at=NOW + 60),
        short=with_backlog(1, fen=69_999, limit=Limit.AMOUNT, most=100_000),
        gone=with_backlog(1, fen=59_499, limit=Limit.AMOUNT, most=100_000),
        facts={"unuploaded_amount_fen": 70_000, "limit": 100_000, "threshold": 70_000},
        drained_at=NOW + 60,
    ),
    "nine tenths of the amount are used": Case(
        kind="UNUPLOADED_AMOUNT", place=METER, severity=S,
        raised=with_backlog(1, fen=90_000, limit=Limit.AMOUNT, most=100_000),
        short=with_backlog(1, fen=69_999, limit=Limit.AMOUNT, most=100_000),
        gone=with_backlog(0, limit=Limit.AMOUNT, most=100_000),
        facts={"unuploaded_amount_fen": 90_000, "limit": 100_000, "threshold": 70_000},
    ),
    "the oldest waits a quarter of the hours": Case(
        kind="UNUPLOADED_AGE", place=METER, severity=W,
        raised=with_backlog(
            1, age_s=6 * HOUR_S, limit=Limit.AGE, most=86_400, reached_at=NOW + 18 * HOUR_S
        ),
        short=with_backlog(1, age_s=6 * HOUR_S - 1, limit=Limit.AGE, most=86_400),
        gone=with_backlog(1, age_s=5 * HOUR_S, limit=Limit.AGE, most=86_400),
        facts={"age_s": 21_600, "limit": 86_400, "threshold": 21_600},
        limit_at=NOW + 18 * HOUR_S,
    ),
    "the count is reached": Case(
        kind="OFFLINE_LIMIT_REACHED", place=METER, severity=C,
        raised=with_backlog(1000, most=1000, reached_at=NOW, drained_at=NOW + 500),
        short=with_backlog(999, most=1000),
        gone=with_backlog(899, most=1000),
        facts={"limit_name": "COUNT", "limit": 1000, "used": 1000, "unuploaded_count": 1000},
        limit_at=NOW, drained_at=NOW + 500,
    ),
    "offline hours are 0, and an invoice has waited for a minute": Case(
        kind="OFFLINE_LIMIT_REACHED", place=METER, severity=C,
        raised=with_backlog(1, age_s=60, limit=Limit.AGE, most=0),
        short=with_backlog(1, age_s=59, limit=Limit.AGE, most=0),
        gone=with_backlog(0, limit=Limit.AGE, most=0),
        facts={"limit_name": "AGE", "limit": 0, "unuploaded_count": 1},
    ),
    "the authority has refused": Case(
        kind="UPLOAD_REJECTED", place=SELLER, severity=W,
        raised=gateway(seller(rejected_count=1)), short=gateway(seller()), gone=gateway(seller()),
        facts={"rejected_count": 1, "signature_rejected_count": 0},
    ),
    "the authority has refused a signature": Case(
        kind="UPLOAD_REJECTED", place=SELLER, severity=S,
        raised=gateway(seller(rejected_count=2, signature_rejected_count=1)),
        short=gateway(seller()), gone=gateway(seller()),
        facts={"rejected_count": 2, "signature_rejected_count": 1},
    ),
    "an answer has been missing for ten minutes": Case(
        kind="UPLOAD_IN_DOUBT", place=SELLER, severity=W,
        raised=gateway(seller(in_doubt_count=3, in_doubt_since=NOW - 600)),
        short=gateway(seller(in_doubt_count=3, in_doubt_since=NOW - 599)),
        gone=gateway(seller()),
        facts={"in_doubt_count": 3, "doubt_s": 600},
    ),
    "the authority has been away for a minute": Case(
        kind="AUTHORITY_UNREACHABLE", place=EVERYBODY, severity=W,
        raised=gateway(seller(), authority_lost_at=NOW - 60),
        short=gateway(seller(), authority_lost_at=NOW - 59),
        gone=gateway(seller()),
        facts={"office": "tax", "away_s": 60, "since": NOW - 60},
    ),
    "the authority is away, and a limit is near": Case(
        kind="AUTHORITY_UNREACHABLE", place=EVERYBODY, severity=S,
        raised=replace(
            with_backlog(5, most=1000, reached_at=NOW + 5.9 * HOUR_S), authority_lost_at=NOW - 99
        ),
        short=gateway(seller()), gone=gateway(seller()),
        facts={"office": "tax", "away_s": 99, "since": NOW - 99},
        limit_at=NOW + 5.9 * HOUR_S,
    ),
    "the finance department is away": Case(
        kind="AUTHORITY_UNREACHABLE", place=AlertPlace("", type="D01"), severity=W,
        raised=replace(
            with_backlog(5, most=1000, reached_at=NOW + HOUR_S), finance_lost_at=NOW - 60
        ),
        short=gateway(seller(), finance_lost_at=NOW - 59),
        gone=gateway(seller()),
        facts={"office": "finance", "away_s": 60, "since": NOW - 60},
    ),
    "nothing signs": Case(
        kind="HSM_UNAVAILABLE", place=EVERYBODY, severity=C,
        raised=gateway(seller(), signing_available=False),
        short=gateway(seller()), gone=gateway(seller()),
    ),
    "one device's key does not sign": Case(
        kind="HSM_UNAVAILABLE", place=DEVICE, severity=C,
        raised=with_device(signs=False), short=with_device(signs=False, key_id=""),
        gone=with_device(), facts={"key_id": "key-1"},
    ),
    "a certificate ends in a month": Case(
        kind="CERTIFICATE_EXPIRING", place=DEVICE, severity=W,
        raised=with_device(certificate_ends_at=NOW + 30 * DAY_S),
        short=with_device(certificate_ends_at=NOW + 30 * DAY_S + 1),
        gone=with_device(certificate_ends_at=NOW + 36 * DAY_S),
        facts={"key_id": "key-1", "ends_at": NOW + 30 * DAY_S}, limit_at=NOW + 30 * DAY_S,
    ),
    "a certificate ends in a week": Case(
        kind="CERTIFICATE_EXPIRING", place=DEVICE, severity=S,
        raised=with_device(certificate_ends_at=NOW + 7 * DAY_S),
        short=with_device(certificate_ends_at=NOW + 31 * DAY_S),
        gone=with_device(), limit_at=NOW + 7 * DAY_S,
    ),
    "a certificate has ended": Case(
        kind="CERTIFICATE_EXPIRING", place=DEVICE, severity=C,
        raised=with_device(certificate_ends_at=NOW),
        short=with_device(certificate_ends_at=NOW + 31 * DAY_S),
        gone=with_device(), limit_at=NOW,
    ),
    "the clock is five minutes behind": Case(
        kind="CLOCK_SKEW", place=EVERYBODY, severity=S,
        raised=gateway(clock_ahead_s=-300.0), short=gateway(clock_ahead_s=-299.0),
        gone=gateway(clock_ahead_s=-254.0), facts={"ahead_s": -300, "clamped_s": 0},
    ),
    "the clock is more than half an hour ahead": Case(
        kind="CLOCK_SKEW", place=EVERYBODY, severity=C,
        raised=gateway(clock_ahead_s=1801.0), short=gateway(clock_ahead_s=None),
        gone=gateway(clock_ahead_s=0.0), facts={"ahead_s": 1801, "clamped_s": 0},
    ),
    "the clock ran back": Case(
        kind="CLOCK_SKEW", place=EVERYBODY, severity=S,
        raised=gateway(clamped_s=6.0), short=gateway(clamped_s=5.0), gone=gateway(clamped_s=5.0),
        facts={"ahead_s": 0, "clamped_s": 6},
    ),
    "a month is over and locked in three days": Case(
        kind="PERIOD_DUE", place=DEVICE, severity=W,
        raised=with_device(open_period="2025-10", lock_at=NOW + 3 * DAY_S),
        short=with_device(open_period="2025-10", lock_at=NOW + 3 * DAY_S + 1),
        gone=with_device(open_period="2025-11", lock_at=NOW + 3 * DAY_S),  # it is not over
        facts={"period": "2025-10"}, limit_at=NOW + 3 * DAY_S,
    ),
    "a month is over and locked in a day": Case(
        kind="PERIOD_DUE", place=DEVICE, severity=S,
        raised=with_device(open_period="2025-10", lock_at=NOW + DAY_S),
        short=with_device(open_period="2025-10", lock_at=None), gone=with_device(),
        facts={"period": "2025-10"}, limit_at=NOW + DAY_S,
    ),
    "a month that is over has locked the device": Case(
        kind="PERIOD_DUE", place=DEVICE, severity=C,
        raised=with_device(open_period="2025-10", lock_at=NOW),
        short=with_device(open_period="2025-11", lock_at=NOW), gone=with_device(),
        facts={"period": "2025-10"}, limit_at=NOW,
    ),
    "ninety days without summary are over in ten": Case(
        kind="PERIOD_DUE", place=DEVICE, severity=W,
        raised=with_limit(Limit.SUMMARY_AGE, limit_at=NOW + 10 * DAY_S),
        short=with_limit(Limit.SUMMARY_AGE, limit_at=NOW + 10 * DAY_S + 1),
        gone=with_limit(Limit.SUMMARY_AGE, limit_at=NOW + 11 * DAY_S),
        limit_at=NOW + 10 * DAY_S,
    ),
    "the ledger cannot be written": Case(
        kind="LEDGER_UNWRITABLE", place=EVERYBODY, severity=C,
        raised=gateway(ledger_writable=False), short=gateway(), gone=gateway(),
    ),
}  # fmt: skip
