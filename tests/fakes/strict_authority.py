"""An authority in memory that counts every arrival and forgives nothing.

A call arrives at some moment of its round trip, not when it is sent. Calls that a window has no
place for are noted in ``excesses``; with ``enforce`` they are throttled as well. Events of one
number that come in the wrong order, or a void that says not what it voids, are noted in
``disorders``. Contents are not looked at.
"""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from authority.port import (
    Acceptance,
    Event,
    ItemResult,
    PeriodSummary,
    Submission,
    SubmissionResult,
    Throttled,
    UploadItem,
    Verdict,
)
from invoice.errors import AuthorityRefused, AuthorityUnavailable

_T = TypeVar("_T")

Windows = Sequence[tuple[float, int]]
Fault = Callable[[str, "Call"], Awaitable[None]]
"""Awaited with ``before`` (no effect yet) and ``after`` (effect done, answer on its way); may raise."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it arrives. ``method`` is a name of the port."""

    method: str
    tax_number: str
    numbers: tuple[str, ...] = ()


async def no_fault(_: str, __: Call) -> None:
    """Nothing goes wrong."""


def lost() -> AuthorityUnavailable:
    """The answer that never came."""
    return AuthorityUnavailable("no answer", grpc_code="UNAVAILABLE")


def refused(reason: str) -> AuthorityRefused:
    """A definite no."""
    return AuthorityRefused(reason, authority_reason=reason, grpc_code="INVALID_ARGUMENT")


def throttled(retry_s: float | None) -> Throttled:
    """A definite no that says when to come back."""
    return Throttled("too fast", retry_s=retry_s, authority_reason="THROTTLED")


@dataclass(slots=True)
class StrictAuthority:
    """``round_trip_s`` is drawn per call from (low, high). Everything else may be set in between.

    ``summaries`` are by machine number and month. ``recorded`` counts the issues taken of each number; ``handed_in`` is every event taken, in the
    order of their arrival. ``refuse_item`` and ``refuse_signature`` name numbers, whose every event
    is refused, or (event, number).
    """

    windows: Windows = ()
    seed: int = 0
    round_trip_s: tuple[float, float] = (0.0, 0.0)
    result_delay_s: float = 0.0
    enforce: bool = False
    poison: set[str] = field(default_factory=set)
    refuse_item: set[str | tuple[Event, str]] = field(default_factory=set)
    refuse_signature: set[str | tuple[Event, str]] = field(default_factory=set)
    fault: Fault = no_fault
    arrivals: dict[str, list[float]] = field(default_factory=dict)
    excesses: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    recorded: Counter[tuple[str, str]] = field(default_factory=Counter)
    handed_in: list[tuple[str, Event, str]] = field(default_factory=list)
    disorders: list[str] = field(default_factory=list)
    verdicts: dict[tuple[Event, str], Verdict] = field(default_factory=dict)
    taken: dict[str, tuple[str, tuple[UploadItem, ...], float]] = field(default_factory=dict)
    summaries: dict[tuple[str, str], PeriodSummary] = field(default_factory=dict)
    in_flight: int = 0
    in_flight_max: int = 0
    _rng: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)

    async def submit(self, submission: Submission) -> Acceptance:
        """See the port."""
        numbers = tuple(item.number for item in submission.items)

        def take() -> Acceptance:
            known = self.taken.get(submission.submission_id)
            if known is None:
                if len(numbers) > 100:
                    raise refused("BATCH_TOO_LARGE")
                if self.poison & set(numbers):
                    raise refused("SUBMISSION_INVALID")
                serial = f"s{len(self.taken) + 1}"
                known = (serial, submission.items, _now() + self.result_delay_s)
                self.taken[submission.submission_id] = known
                for item in submission.items:
                    self._record(submission.tax_number, item)
            if known[1] != submission.items:
                raise refused("SUBMISSION_ID_REUSED")
            return Acceptance(
                acceptance_serial=known[0], result_delay_ms=round(self.result_delay_s * 1000)
            )

        return await self._answer(Call("submit", submission.tax_number, numbers), take)

    async def get_submission(self, *, tax_number: str, submission_id: str) -> Acceptance | None:
        """See the port."""

        def find() -> Acceptance | None:
            known = self.taken.get(submission_id)
            return None if known is None else Acceptance(acceptance_serial=known[0])

        return await self._answer(Call("get_submission", tax_number), find)

    async def get_results(
        self, *, tax_number: str, acceptance_serials: Sequence[str]
    ) -> tuple[SubmissionResult, ...]:
        """See the port."""
        assert 1 <= len(acceptance_serials) <= 100

        def results() -> tuple[SubmissionResult, ...]:
            known = {serial: (items, done_at) for serial, items, done_at in self.taken.values()}
            return tuple(
                self._result(serial, *known[serial])
                for serial in acceptance_serials
                if serial in known
            )

        return await self._answer(Call("get_results", tax_number), results)

    async def get_grant(self, request_id: str) -> None:
        """See the port. Nobody has drawn anything here."""
        del request_id
        await self._answer(Call("get_grant", ""), lambda: None)

    async def summarise_period(self, summary: PeriodSummary) -> str:
        """See the port."""
        key = (summary.machine_number, summary.period)

        def take() -> str:
            known = self.summaries.setdefault(key, summary)
            if known.request_id != summary.request_id:
                raise refused("PERIOD_SUMMARISED")
            if known != summary:
                raise refused("REQUEST_ID_REUSED")
            return f"summary-{summary.machine_number}-{summary.period}"

        return await self._answer(Call("summarise_period", summary.tax_number), take)

    async def _answer(self, call: Call, effect: Callable[[], _T]) -> _T:
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            round_trip_s = self._rng.uniform(*self.round_trip_s)
            there_s = round_trip_s * self._rng.random()
            await asyncio.sleep(there_s)
            self._arrive(call)
            await self.fault("before", call)
            answer = effect()
            await self.fault("after", call)
            await asyncio.sleep(round_trip_s - there_s)
            return answer
        finally:
            self.in_flight -= 1

    def _arrive(self, call: Call) -> None:
        self.calls.append(call)
        now, arrivals = _now(), self.arrivals.setdefault(call.tax_number, [])
        full = [
            (period_s, count_max)
            for period_s, count_max in self.windows
            if len(arrivals) - bisect_left(arrivals, now - period_s) >= count_max
        ]
        if full:
            self.excesses.append(f"{call} at {now} in {full}")
        if full and self.enforce:
            raise throttled(max(period_s for period_s, _ in full))
        arrivals.append(now)

    def _record(self, tax_number: str, item: UploadItem) -> None:
        issued = self.recorded[tax_number, item.number] > 0
        if item.event is Event.VOID and not issued:
            self.disorders.append(f"void of {item.number} before its issue")
        if item.event is Event.BLANK_VOID and issued:
            self.disorders.append(f"blank void of {item.number}, which is issued")
        if (item.event is Event.VOID) != (item.original is not None):
            self.disorders.append(f"{item.event} of {item.number} with original {item.original}")
        if item.event is Event.ISSUE:
            self.recorded[tax_number, item.number] += 1
        self.handed_in.append((tax_number, item.event, item.number))
        self.verdicts[item.event, item.number] = self._verdict(item)

    def _verdict(self, item: UploadItem) -> Verdict:
        names = {item.number, (item.event, item.number)}
        if names & self.refuse_item:
            return Verdict.REJECTED
        if names & self.refuse_signature:
            return Verdict.SIGNATURE_REJECTED
        return Verdict.ACCEPTED

    def _result(
        self, serial: str, items: tuple[UploadItem, ...], done_at: float
    ) -> SubmissionResult:
        if _now() < done_at:
            return SubmissionResult(acceptance_serial=serial, done=False, results=())
        reasons = {
            Verdict.ACCEPTED: "",
            Verdict.REJECTED: "REFUSED",
            Verdict.SIGNATURE_REJECTED: "SIGNATURE_INVALID",
        }
        results = tuple(
            ItemResult(
                event=item.event,
                code=item.code,
                number=item.number,
                verdict=self.verdicts[item.event, item.number],
                reason=reasons[self.verdicts[item.event, item.number]],
            )
            for item in items
        )
        return SubmissionResult(acceptance_serial=serial, done=True, results=results)


def _now() -> float:
    return asyncio.get_running_loop().time()
