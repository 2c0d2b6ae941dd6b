"""Offline limits between the wire and our nouns: what is asked for, what holds, how much of it is used."""

from gateway import convert
from invoice.errors import InvalidRequest
from ledger.records import MeterRecord
from quota.offline import Grade, LimitUse, OfflineLimits, uses
from taxcontrol.admin.v1 import offline_pb2, taxpayer_pb2

_LAST_DAY = 31
# 9999-01-01: hours without end lead behind the last time that a message, or a calendar, can hold.
_TIME_MAX = 253_370_764_800


def limits(limits: OfflineLimits) -> taxpayer_pb2.OfflineLimits:
    """Limits as answers have them: an absent field is no limit."""
    return taxpayer_pb2.OfflineLimits(
        age_hours_max=limits.age_hours_max,
        amount_fen_max=limits.amount_fen_max,
        count_max=limits.count_max,
        lock_day=limits.lock_day,
    )


def asked_limits(wire: taxpayer_pb2.OfflineLimits) -> OfflineLimits:
    """The limits a request states; raise ``InvalidRequest`` naming the field."""
    stated = {
        name: getattr(wire, name) if wire.HasField(name) else None
        for name in ("age_hours_max", "amount_fen_max", "count_max", "lock_day")
    }
    for name, value in stated.items():
        if value is not None and value < 0:
            raise InvalidRequest(f"offline_limits.{name}", "FIELD_RANGE", "must not be negative")
    if (stated["lock_day"] or 0) > _LAST_DAY:
        raise InvalidRequest("offline_limits.lock_day", "FIELD_RANGE", f"must be 0 to {_LAST_DAY}")
    return OfflineLimits(**stated)


def limit_uses(limits: OfflineLimits, meter: MeterRecord, now: float) -> tuple[LimitUse, ...]:
    """How much of every limit is used by what an invoice of ``now`` would be judged by."""
    return uses(limits, meter.state, meter.issue_time(now))


def limit_use(use: LimitUse, limit_at: float | None = None) -> offline_pb2.LimitUse:
    """One limit's use; ``limit_at`` is when a count or an amount will be reached as things go."""
    wire = offline_pb2.LimitUse(
        limit=offline_pb2.LimitUse.Limit.Value(f"LIMIT_{use.limit}"),
        most=use.most,
        used=use.used,
        left=use.left,
        used_ppm=use.used_ppm,
        grade=grade(use.grade),
    )
    reached_at = use.limit_at if limit_at is None else limit_at
    if reached_at is not None and reached_at < _TIME_MAX:
        wire.limit_time.CopyFrom(convert.timestamp(reached_at))
    return wire


def grade(grade: Grade) -> "offline_pb2.Grade.ValueType":
    """How near a limit is."""
    return offline_pb2.Grade.Value(f"GRADE_{grade.name}")
