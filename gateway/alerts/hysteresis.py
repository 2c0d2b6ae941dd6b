"""From what is wrong now and what stands to what has to be said: raised once, resolved once, no flapping.

An alert is raised as soon as its condition holds. It is resolved once the condition has been gone for a
minute. Its severity rises at once, and falls when it has been lower for five minutes. Its forecast is told
anew when it has moved by more than ten minutes and a tenth of what is left, every ten minutes at most; at
once when half of the time that was left is gone.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import structlog

from gateway.alerts.condition import Condition, Severity
from gateway.alerts.messages import sentences
from ledger.alert_records import AlertNews, AlertPlace, AlertRecord

log = structlog.get_logger()

_GONE_S: Final = 60.0
_LOWER_S: Final = 300.0
_MOVED_S: Final = 600.0
_MOVED_SHARE: Final = 0.1


class Hysteresis:
    """Remembers since when conditions have been gone or milder, from one look to the next."""

    def __init__(self) -> None:
        self._gone_since: dict[AlertPlace, float] = {}
        self._lower_since: dict[AlertPlace, float] = {}

    def judge(
        self,
        stands: Mapping[AlertPlace, AlertRecord],
        found: Mapping[AlertPlace, Condition],
        now: float,
    ) -> list[AlertNews]:
        """Return what has to be stored, in the order it is to be stored in."""
        return [said for said in self.by_steps(stands, found, now) if said is not None]

    def by_steps(
        self,
        stands: Mapping[AlertPlace, AlertRecord],
        found: Mapping[AlertPlace, Condition],
        now: float,
    ) -> Iterator[AlertNews | None]:
        """Yield the same place by place: None where there is nothing to say.

        All steps are taken, if with pauses; neither mapping changes meanwhile.
        """
        for place, alert in stands.items():
            condition = found.get(place)
            yield (
                self._gone(alert, now) if condition is None else self._still(alert, condition, now)
            )
        for place, condition in found.items():
            raised = place not in stands and condition.holds
            yield _said("RAISED", condition, now, now, condition.severity) if raised else None
        self._forget(stands)

    def _gone(self, alert: AlertRecord, now: float) -> AlertNews | None:
        since = self._gone_since.setdefault(alert.place, now)
        if now < since:  # the clock was set back
            self._gone_since[alert.place] = now
            return None
        if now - since < _GONE_S:
            return None
        return AlertNews(
            what="RESOLVED",
            place=alert.place,
            raised_at=alert.raised_at,
            at=now,
            severity=alert.severity,
            message=alert.message,
            message_zh=alert.message_zh,
            facts=alert.facts,
            limit_at=alert.limit_at,
            drained_at=alert.drained_at,
        )

    def _still(self, alert: AlertRecord, condition: Condition, now: float) -> AlertNews | None:
        self._gone_since.pop(alert.place, None)
        severity = self._severity(alert, condition, now)
        if severity is Severity[alert.severity] and not _worth_telling(alert, condition, now):
            return None
        return _said("UPDATED", condition, alert.raised_at, now, severity)

    def _severity(self, alert: AlertRecord, condition: Condition, now: float) -> Severity:
        stands = Severity[alert.severity]
        if condition.severity >= stands:
            self._lower_since.pop(alert.place, None)
            return condition.severity
        since = self._lower_since.setdefault(alert.place, now)
        if now < since:
            self._lower_since[alert.place] = since = now
        if now - since < _LOWER_S:
            return stands
        self._lower_since.pop(alert.place, None)
        return condition.severity

    def _forget(self, stands: Mapping[AlertPlace, AlertRecord]) -> None:
        for kept in (self._gone_since, self._lower_since):
            for place in kept.keys() - stands.keys():
                del kept[place]


def _worth_telling(alert: AlertRecord, condition: Condition, now: float) -> bool:
    """Whether its forecast has moved by enough, or by so much that it cannot wait."""
    if _halved(alert.limit_at, condition.limit_at, now):
        return True
    if 0 <= now - alert.updated_at < _MOVED_S:
        return False
    return _moved(alert.limit_at, condition.limit_at, now) or _moved(
        alert.drained_at, condition.drained_at, now
    )


def _halved(told: float | None, now_said: float | None, now: float) -> bool:
    """Whether half of the time that was told to be left is gone at once."""
    if now_said is None or (told is not None and told <= now):
        return False
    return told is None or now_said - now < (told - now) / 2


def _moved(told: float | None, now_said: float | None, now: float) -> bool:
    """Whether a forecast is another than the one that was told."""
    if told is None or now_said is None:
        return told is not now_said
    if told <= now and now_said <= now:
        return False
    left_s = max(0.0, told - now)
    return abs(now_said - told) > max(_MOVED_S, _MOVED_SHARE * left_s)


def _said(
    what: str, condition: Condition, raised_at: float, now: float, severity: Severity
) -> AlertNews:
    message, message_zh = _sentences(condition, now)
    return AlertNews(
        what=what,
        place=condition.place,
        raised_at=raised_at,
        at=now,
        severity=severity.name,
        message=message,
        message_zh=message_zh,
        facts={name: str(value) for name, value in condition.facts.items()},
        limit_at=condition.limit_at,
        drained_at=condition.drained_at,
    )


def _sentences(condition: Condition, now: float) -> tuple[str, str]:
    try:
        return sentences(condition, now)
    except Exception:  # one sentence must not keep all other alerts from being told
        log.exception("alert.bug", **condition.place._asdict())
        bare = f"{condition.place.kind} {dict(condition.facts)}"
        return bare, bare
