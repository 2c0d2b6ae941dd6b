"""What one taxpayer's stream has before it, and what goes next. No I/O.

The order is: submissions without a serial (sent and unanswered, or claimed and not yet sent),
then results that are due, then new events.

How long a part-filled call lingers. While less than half of every rate window is used, nothing
lingers: a lone invoice goes at once. From half of a window on, the places left in it are spread
over the time until its oldest call leaves it (``quota.windows.linger_s``; 30/min with 15 used: 2 to
4 s), counted from the last call, and whatever arrives meanwhile goes along. So a trickle never
uses a window up and then waits for most of it, and yet the full rate stays in use. Two exceptions:
after a full batch the next one does not linger, and while events wait, asking for results takes a
tenth of the calls.

All times are monotonic seconds.
"""

import math
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from ledger.records import Submission

# What the contract of the authority takes in one question for results.
POLL_COUNT_MAX: Final = 100
# Calls of one taxpayer under way at once, and submissions without a serial: with a round trip of
# 1 s that still fills 16/s, and an outage leaves no more than this in doubt.
IN_FLIGHT_COUNT_MAX: Final = 16
# Submissions waiting for results, so that memory is bounded when the authority checks slowly.
AWAITED_COUNT_MAX: Final = 256
# Calls that go between two questions for results while events wait and calls are scarce.
_CALLS_PER_POLL: Final = 9


class Work(Enum):
    """One kind of call, or what leads to one."""

    RESOLVE = auto()  # send, or ask about, a submission without a serial
    POLL = auto()
    CLAIM = auto()  # make a submission of new events


@dataclass(slots=True, eq=False)
class Unaccepted:
    """A submission without a serial. ``doubtful``: sent before, so it is asked about first."""

    submission: Submission
    doubtful: bool
    due_at: float
    absent: bool = False  # asked, and not there: the same id goes again
    failure_count: int = 0


@dataclass(slots=True, eq=False)
class Awaited:
    """A submission with a serial and no results. ``event_ids`` by (event, code, number).

    ``traces`` are the traceparents of its events, by event id.
    """

    submission_id: str
    acceptance_serial: str
    event_ids: dict[tuple[str, str, str], int]
    due_at: float
    traces: dict[int, str] = field(default_factory=dict)
    poll_count: int = 0  # answered, but not done
    failure_count: int = 0  # not answered, in a row


@dataclass(slots=True)
class Agenda:
    """The open work. ``fresh``: there may be events to claim. ``full``: the last claim was full."""

    unaccepted: list[Unaccepted] = field(default_factory=list)
    awaited: list[Awaited] = field(default_factory=list)
    fresh: bool = True
    full: bool = False
    last_call_at: float = -math.inf
    calls_since_poll: int = 0

    def next_work(self, now: float, *, linger_s: float, away: bool) -> tuple[Work | None, float]:
        """What goes next and when; (None, infinite) when there is nothing.

        ``linger_s`` is the distance to keep between calls. While the authority is ``away``
        whatever is open will do to find out, due or not.
        """
        dues = (
            (Work.RESOLVE, min((each.due_at for each in self.unaccepted), default=math.inf)),
            (Work.POLL, self._poll_at(now, linger_s)),
            (Work.CLAIM, self._claim_at(now, linger_s)),
        )
        for work, at in dues:
            if at <= now:
                return work, now
        if away and (self.unaccepted or self.awaited):
            return (Work.RESOLVE if self.unaccepted else Work.POLL), now
        work, at = min(dues, key=lambda due: due[1])
        return (None, math.inf) if math.isinf(at) else (work, at)

    def note_call(self, work: Work, now: float) -> None:
        """Note that a call goes now."""
        self.last_call_at = now
        self.calls_since_poll = 0 if work is Work.POLL else self.calls_since_poll + 1

    def take_unaccepted(self) -> Unaccepted:
        """Take the one that is due first, out of the list while its call is under way."""
        first = min(self.unaccepted, key=lambda each: each.due_at)
        self.unaccepted.remove(first)
        return first

    def take_due(self, now: float) -> list[Awaited]:
        """Take what one question can ask about, longest due first; one at least."""
        self.awaited.sort(key=lambda each: each.due_at)
        due_count = sum(each.due_at <= now for each in self.awaited)
        asked = self.awaited[: min(max(due_count, 1), POLL_COUNT_MAX)]
        del self.awaited[: len(asked)]
        return asked

    def retry_now(self, now: float) -> None:
        """The authority is back: nothing waits out a delay that its absence made long."""
        delayed: list[Unaccepted | Awaited] = [*self.unaccepted, *self.awaited]
        for each in delayed:
            if each.failure_count:
                each.due_at = min(each.due_at, now)

    def _poll_at(self, now: float, linger_s: float) -> float:
        first = min((each.due_at for each in self.awaited), default=math.inf)
        if linger_s == 0 or sum(each.due_at <= now for each in self.awaited) >= POLL_COUNT_MAX:
            return first
        if math.isinf(self._claim_at(now, linger_s)):
            return max(first, self.last_call_at + linger_s)
        return first if self.calls_since_poll >= _CALLS_PER_POLL else math.inf

    def _claim_at(self, now: float, linger_s: float) -> float:
        full_up = (
            len(self.unaccepted) >= IN_FLIGHT_COUNT_MAX or len(self.awaited) >= AWAITED_COUNT_MAX
        )
        if not self.fresh or full_up:
            return math.inf
        return now if self.full or linger_s == 0 else self.last_call_at + linger_s
