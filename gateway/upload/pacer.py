"""Lets the upload calls of one taxpayer go, in order, never faster than the windows allow.

Rules of this file. A permit is stored before its call is sent, and it frees its place one period
after the answer. A crash loses answers, never permits: the ledger reads an unanswered one as
answered when it starts again. Deciding is left to ``quota.windows``; times in memory are monotonic
and stored ones steady, so a step of the wall clock opens no window.
"""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from asyncio_throttle.throttler import Throttler

from gateway.clock import Clock
from gateway.upload.waiting import first_of
from invoice.errors import LedgerUnavailable
from ledger.port import Ledger
from ledger.records import Permit
from quota import windows as quota
from quota.windows import Calls, Window

log = structlog.get_logger()


class Guard(Protocol):
    """The innermost check: never more calls in its window, by whatever mistake of ours."""

    async def acquire(self) -> None:
        """Return when the call may go."""
        ...


def throttler(window: Window) -> Guard:
    """The guard in use: strict over any one period.

    It polls while it waits and lets bursts through, so the pacer stands in front of it and lets a
    call come only when there is room: a period after the *answer*, so later than the guard asks.
    """
    guard: Guard = Throttler(rate_limit=window.call_count_max, period=window.period_s)
    return guard


class SteadyTime:
    """Unix seconds by the wall clock at start and what has passed since: they never step.

    Made once in a process, before its ledger starts, so that all its permits compare.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoch_s = clock.now() - clock.monotonic()

    def now(self) -> float:
        """Unix seconds, as far off as the wall clock was at start."""
        return self._epoch_s + self._clock.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowUse:
    """A window of the authority, and how many calls count in it now."""

    period_s: float
    call_count_max: int
    used_count: int


class Pacer:
    """The rate windows of one taxpayer, as one process at a time may own them.

    Without windows nothing is limited and nothing stored.
    """

    def __init__(
        self,
        tax_number: str,
        *,
        ledger: Ledger,
        clock: Clock,
        steady: SteadyTime,
        guard: Callable[[Window], Guard] = throttler,
    ) -> None:
        self._tax_number = tax_number
        self._ledger = ledger
        self._clock = clock
        self._steady = steady
        self._make_guard = guard
        self._guard: Guard | None = None
        self._windows: tuple[Window, ...] = ()
        self._answered: list[float] | None = None  # None until the stored permits are read
        self._unanswered_count = 0
        self._unanswered: set[int] = set()  # permits of calls that this process has under way
        self._share = 1.0
        self._share_changed_at = -math.inf
        self._paused_until = -math.inf
        self._opening = asyncio.Lock()
        self._turn = asyncio.Lock()  # hands out turns first come, first served
        self._answer_came = asyncio.Event()

    @property
    def opened(self) -> bool:
        """Whether the windows are known."""
        return self._answered is not None

    @property
    def share(self) -> float:
        """The share of the allowed rate in use, in (0, 1]."""
        return self._share

    async def open(self, windows: Sequence[Window]) -> None:
        """Take over the windows and what they have seen so far; also while calls are under way.

        A call that waits for its turn goes by the new ones.
        """
        async with self._opening:
            if self._answered is not None and tuple(windows) == self._windows:
                return
            began_at = self._clock.monotonic()
            stored = await self._stored_answers(windows)
            # What was answered during the read may be missing in it.
            lately = [at for at in self._answered or () if at >= began_at]
            self._answered = sorted([*stored, *lately])
            self._windows = tuple(windows)
            shortest = quota.shortest(windows)
            self._guard = None if shortest is None else self._make_guard(shortest)
            self._answer_came.set()

    def next_call_at(self, now: float) -> float:
        """When the next call may go: ``now``, later, or infinite until an answer comes.

        ``now`` is the caller's reading of the monotonic clock: it compares with its own.
        """
        free_at = quota.next_call_at(self._windows, self._calls(), share=self._share, now=now)
        return max(free_at, self._paused_until)

    def linger_s(self, now: float) -> float:
        """How far apart calls had better go; 0 while there are plenty."""
        return quota.linger_s(self._windows, self._calls(), share=self._share, now=now)

    def uses(self) -> tuple[WindowUse, ...]:
        """Every window and how full it is."""
        calls, now = self._calls(), self._clock.monotonic()
        return tuple(
            WindowUse(
                period_s=window.period_s,
                call_count_max=window.call_count_max,
                used_count=quota.used(window, calls, now),
            )
            for window in self._windows
        )

    async def take(self) -> Permit | None:
        """Wait for a turn and store it; None when nothing limits. Give it to :meth:`answered`.

        Raises:
            LedgerUnavailable: It may or may not be stored; the call must not be sent.
        """
        async with self._turn:
            await self._wait_for_room()
            if not self._windows:
                return None
            self._unanswered_count += 1
            try:
                permit = await self._ledger.add_permit(self._tax_number, sent_at=self._steady.now())
                self._unanswered.add(permit.permit_id)
                if self._guard is not None:
                    await self._guard.acquire()
            except BaseException:
                self._unanswered_count -= 1  # nothing was sent
                raise
            return permit

    async def answered(self, permit: Permit | None) -> None:
        """Free the permit's place one period from now. Call it however the call has ended."""
        if permit is None:
            return
        self._unanswered.discard(permit.permit_id)
        self._note_answer()
        try:
            await self._ledger.answer_permit(permit, answered_at=self._steady.now())
        except LedgerUnavailable as error:
            # Harmless: it reads as unanswered there, and a restart holds it longer than needed.
            log.warning("permit.kept", tax_number=self._tax_number, error=error.message)

    def throttled(self, retry_s: float | None) -> float:
        """Use half of the rate from now on, and nothing for ``retry_s``; return the pause in s.

        Without advice the pause is the shortest window: by then it has room again.
        """
        shortest = quota.shortest(self._windows)
        pause_s = retry_s if retry_s is not None else shortest.period_s if shortest else 1.0
        now = self._clock.monotonic()
        # Calls in flight together are throttled together; that is one lesson, not several.
        if now >= self._paused_until:
            self._share = quota.halved(self._share)
        self._share_changed_at = now
        self._paused_until = max(self._paused_until, now + pause_s)
        return pause_s

    def welcomed(self) -> None:
        """Note a call that was not throttled: after a clean window the share climbs a step."""
        shortest, now = quota.shortest(self._windows), self._clock.monotonic()
        if self._share < 1 and (
            shortest is None or now - self._share_changed_at >= shortest.period_s
        ):
            self._share = quota.raised(self._share)
            self._share_changed_at = now

    async def _wait_for_room(self) -> None:
        now = self._clock.monotonic()
        while (wait_s := self.next_call_at(now) - now) > 0:
            self._answer_came.clear()
            await first_of(self._answer_came, wait_s, self._clock)
            now = self._clock.monotonic()

    async def _stored_answers(self, windows: Sequence[Window]) -> list[float]:
        now, monotonic = self._steady.now(), self._clock.monotonic()
        hold_s = quota.longest_hold_s(windows)
        under_way = set(self._unanswered)
        permits = await self._ledger.permits(self._tax_number, answered_after=now - hold_s)
        # A stored time later than now is of a process whose clock was ahead: it counts as now. So
        # does an answer that could not be stored; what is under way is counted here.
        under_way |= self._unanswered
        ages_s = (
            now - (now if it.answered_at is None else min(it.answered_at, now))
            for it in permits
            if it.permit_id not in under_way
        )
        return sorted(monotonic - age_s for age_s in ages_s)

    def _note_answer(self) -> None:
        now = self._clock.monotonic()
        self._unanswered_count -= 1
        answered = self._answered if self._answered is not None else []
        answered.append(now)
        del answered[: bisect_left(answered, now - quota.longest_hold_s(self._windows))]
        self._answer_came.set()

    def _calls(self) -> Calls:
        return Calls(self._answered or (), self._unanswered_count)
