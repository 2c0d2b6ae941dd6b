"""What templates say things with: one language, one moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from markupsafe import Markup, escape

from console import figures, words
from console.languages import Language
from taxcontrol.admin.v1.alert_pb2 import Alert

_TIME: Final = Markup('<time datetime="{}" title="{}">{}</time>')


@dataclass(frozen=True, slots=True)
class Speech:
    """Says figures, times and the contract's words in ``language`` as of ``now``."""

    language: Language
    now: datetime

    def count(self, value: int) -> str:
        """``12,345``."""
        return figures.count(value)

    def yuan(self, fen: int) -> str:
        """``1,234.50``."""
        return figures.yuan(fen)

    def percent(self, ppm: int) -> str:
        """``63 %``."""
        return figures.percent(ppm)

    def rate(self, ppm: int) -> str:
        """``13 %``."""
        return figures.rate(ppm)

    def duration(self, seconds: float) -> str:
        """``3 h 5 min``."""
        return figures.duration(seconds, language=self.language)

    def clock(self, stamp: Timestamp) -> Markup:
        """A time as short as it is clear; the whole of it on hovering."""
        return self._time(figures.moment(stamp))

    def clock_text(self, stamp: Timestamp) -> str:
        """The same without mark-up, for labels."""
        return figures.clock(figures.moment(stamp), now=self.now, language=self.language)

    def at(self, stamp: Timestamp) -> Markup:
        """The same as part of a sentence: ``at 16:40``, ``tomorrow 03:10``."""
        clock = self.clock(stamp)
        if figures.moment(stamp).date() != self.now.date():
            return clock
        return Markup(escape(self.language.text("at %(time)s"))) % {"time": clock}  # noqa: S704 - escaped

    def civil(self, unix_s: float) -> Markup:
        """The same of unix seconds."""
        return self._time(figures.civil(unix_s))

    def full(self, stamp: Timestamp) -> str:
        """Date and time to the second."""
        return figures.full(figures.moment(stamp))

    def since(self, stamp: Timestamp) -> str:
        """How long ago."""
        return self.duration((self.now - figures.moment(stamp)).total_seconds())

    def until(self, stamp: Timestamp) -> str:
        """How long until."""
        return self.duration((figures.moment(stamp) - self.now).total_seconds())

    def over(self, stamp: Timestamp) -> bool:
        """Whether a time is over."""
        return figures.moment(stamp) <= self.now

    def days_left(self, stamp: Timestamp) -> int:
        """Whole days until then; negative when it is over."""
        return figures.days_until(figures.moment(stamp).date(), now=self.now)

    def tone(self, table: str, value: int) -> str:
        """The class and icon of a grade, severity or state."""
        return self._look_up(table, value)[0]

    def word(self, table: str, value: int) -> str:
        """The word for a grade, severity or state."""
        return self.language.text(self._look_up(table, value)[1])

    def kind(self, kind: int) -> str:
        """What an alert is about."""
        return self.language.text(words.KINDS.get(kind, words.UNKNOWN[1]))

    def what_to_do(self, kind: int) -> str:
        """What to do about it; empty for a kind that is newer than this console."""
        return self._text_or_nothing(words.WHAT_TO_DO.get(kind, ""))

    def alert_state(self, state: int) -> str:
        """Where an alert stands."""
        return self.language.text(words.ALERT_STATES.get(state, words.UNKNOWN[1]))

    def message(self, alert: Alert) -> str:
        """The alert's own sentence, in the language where it has one."""
        if self.language.chinese and alert.message_zh:
            return alert.message_zh
        return alert.message

    def limit(self, limit: int) -> str:
        """What a limit is called."""
        return self.language.text(words.LIMITS.get(limit, words.UNKNOWN[1]))

    def type(self, code: str) -> str:
        """What an invoice type is called; empty for one that is newer than this console."""
        return self._text_or_nothing(words.TYPES.get(code, ""))

    def action(self, action: str) -> str:
        """What somebody did; as it is written for what is newer than this console."""
        return self.language.text(words.ACTIONS.get(action, action))

    def advice(self, reason: str) -> str:
        """What to do about a refusal; empty where nobody knows."""
        return self._text_or_nothing(words.ADVICE.get(reason, ""))

    def _text_or_nothing(self, message: str) -> str:
        # The catalog's empty message is its header.
        return self.language.text(message) if message else ""

    def _look_up(self, table: str, value: int) -> tuple[str, str]:
        return _TABLES[table].get(value, words.UNKNOWN)

    def _time(self, at: datetime) -> Markup:
        short = figures.clock(at, now=self.now, language=self.language)
        return _TIME.format(at.isoformat(timespec="seconds"), figures.full(at), short)


_TABLES: Final[Mapping[str, Mapping[int, tuple[str, str]]]] = {
    "grade": words.GRADES,
    "severity": words.SEVERITIES,
    "period": words.PERIOD_STATES,
    "invoice": words.INVOICE_STATES,
    "upload": words.UPLOAD_STATES,
    "verdict": words.VERDICTS,
}
