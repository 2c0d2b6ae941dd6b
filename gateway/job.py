"""One request id in work: who waits for it, and what they hear when it ends."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from invoice import content
from invoice.errors import InProgress, RequestIdReused
from ledger.records import Entry, Reservation

Key = tuple[str, str]
"""(tenant, request id)."""


class StaleTaxpayer(Exception):  # a fact for the servicer, never an answer
    """The registration changed after the rules were checked: check again and come back."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A settled entry, and whether an earlier call made it."""

    entry: Entry
    replayed: bool


Waiter = asyncio.Future[Issued]


@dataclass(slots=True, eq=False)
class Job:
    """The work on one request id.

    ``reservation`` is None for an orphan, ``entry`` until a number is taken. ``traceparent`` is that of the
    call that came first, when it is traced. ``repeats`` asked for
    the same again meanwhile; ``followers`` ask for something else under the same id. ``elsewhere``:
    another process holds the entry, and this job only looks how it ends.
    """

    reservation: Reservation | None
    entry: Entry | None = None
    replayed: bool = False
    elsewhere: bool = False
    traceparent: str | None = None
    waiters: list[Waiter] = field(default_factory=list)
    repeats: list[Waiter] = field(default_factory=list)
    followers: list[tuple[Reservation, Waiter]] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Its request id."""
        known = self.reservation or self.entry
        assert known is not None
        return known.tenant, known.request_id

    def wanted(self) -> bool:
        """Whether anybody still waits."""
        return any(not waiter.done() for waiter in (*self.waiters, *self.repeats))

    def join(self, reservation: Reservation, waiter: Waiter) -> None:
        """Let one more caller with the same id wait."""
        known = self.reservation or self.entry
        assert known is not None
        if known.fingerprint == reservation.fingerprint:
            self.repeats.append(waiter)
        else:
            self.followers.append((reservation, waiter))

    def succeed(self, entry: Entry) -> None:
        """Tell everybody: the invoice, or that the id stands for it and not for theirs."""
        _tell(self.waiters, Issued(entry, self.replayed))
        _tell(self.repeats, Issued(entry, replayed=True))
        tail = content.tail_of(entry.content) if self.followers else b""
        for reservation, waiter in self.followers:
            if waiter.done():
                continue
            if reservation.fingerprint == entry.fingerprint:
                waiter.set_result(Issued(entry, replayed=True))
            else:
                fields = content.differences(tail, reservation.tail)
                waiter.set_exception(RequestIdReused(reservation.request_id, fields))
        self.followers.clear()

    def fail(self, error: Exception) -> None:
        """Tell those who wanted this very request; followers are yet to be looked at."""
        for waiter in (*self.waiters, *self.repeats):
            if not waiter.done():
                waiter.set_exception(error)

    def next(self) -> "Job | None":
        """After a failure the id may be free: the job of the first follower that still waits."""
        for at, (reservation, waiter) in enumerate(self.followers):
            if not waiter.done():
                rest = self.followers[at + 1 :]
                return Job(reservation, waiters=[waiter], followers=rest)
        return None


def in_progress(request_id: str) -> InProgress:
    """The answer while a number is taken and its signature is not there yet."""
    return InProgress(
        "its number is taken and its signature is not there yet",
        retry_s=0.2,
        request_id=request_id,
    )


def give_up(waiters: Iterable[asyncio.Future[Any]]) -> None:
    """The callers' deadline is near: tell those still waiting to come back."""
    error = InProgress("still being issued; retry with the same request id", retry_s=0.2)
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)


def _tell(waiters: Sequence[Waiter], issued: Issued) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(issued)
