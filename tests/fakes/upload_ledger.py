"""The upload part of the ledger in memory, with the promises of ``ledger.port``.

``Shelf`` is the disk: it survives a crash. ``UploadLedger`` is one process's ledger on it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from invoice.document import Taxpayer
from invoice.lifecycle import UploadState
from ledger.records import (
    EventVerdict,
    OutboxItem,
    Permit,
    RateWindow,
    Submission,
    TaxpayerRecord,
    UploadControlRecord,
)
from quota.offline import OfflineLimits

Hook = Callable[[str], Awaitable[None]]
"""Awaited with ``NAME before`` and ``NAME after`` around every effect; may raise or never return."""


async def no_hook(_: str) -> None:
    """Nothing goes wrong."""


@dataclass(slots=True)
class StoredEvent:
    """One outbox row."""

    item: OutboxItem
    state: str = "PENDING"
    not_before: float = 0.0
    batch_count_max: int = 1_000_000
    reason: str = ""
    submission_id: str = ""


@dataclass(slots=True)
class Shelf:
    """What is stored, by tax number. ``backlog`` holds the events without a final word, by id."""

    taxpayers: dict[str, TaxpayerRecord] = field(default_factory=dict)
    events: dict[str, list[StoredEvent]] = field(default_factory=dict)
    backlog: dict[str, dict[int, StoredEvent]] = field(default_factory=dict)
    submissions: dict[str, Submission] = field(default_factory=dict)
    used_ids: set[str] = field(default_factory=set)
    permits: dict[str, dict[int, Permit]] = field(default_factory=dict)
    controls: dict[str, UploadControlRecord] = field(default_factory=dict)
    permit_count: int = 0
    event_count: int = 0

    def register(
        self, tax_number: str, windows: Sequence[tuple[float, int]] = (), batch_count_max: int = 100
    ) -> None:
        """Add a taxpayer with windows (period in s, calls)."""
        self.taxpayers[tax_number] = TaxpayerRecord(
            tenant="default",
            taxpayer=taxpayer(tax_number),
            points=(),
            devices=(),
            holding_count_max={},
            offline_limits=OfflineLimits(),
            windows=tuple(RateWindow(period_s=p, call_count_max=n) for p, n in windows),
            batch_count_max=batch_count_max,
        )
        self.events[tax_number] = []
        self.backlog[tax_number] = {}
        self.permits[tax_number] = {}

    def issue(self, tax_number: str, count: int = 1) -> list[StoredEvent]:
        """Add events ISSUE to the outbox."""
        added = []
        for _ in range(count):
            self.event_count += 1
            number = f"{self.event_count:08d}"
            item = OutboxItem(
                event_id=self.event_count,
                event="ISSUE",
                code="031001800111",
                number=number,
                content=number.encode(),
                signature=b"signature",
                key_id="k1",
                attempt_count=0,
            )
            added.append(StoredEvent(item))
        self.events[tax_number] += added
        self.backlog[tax_number] |= {event.item.event_id: event for event in added}
        return added

    def states(self, tax_number: str) -> dict[str, str]:
        """The state of every event, by number."""
        return {event.item.number: event.state for event in self.events[tax_number]}

    def finished(self, tax_number: str) -> bool:
        """Whether every event has its final word."""
        return not self.backlog[tax_number]


def taxpayer(tax_number: str) -> Taxpayer:
    """A registration that only has a name."""
    return Taxpayer(tax_number=tax_number, name="n", address_phone="a", bank_account="b", grants={})


class UploadLedger:
    """One process's ledger; ``hook`` decides what goes wrong with it."""

    def __init__(self, shelf: Shelf, hook: Hook = no_hook) -> None:
        self._shelf = shelf
        self._hook = hook

    def start(self, now: float) -> None:
        """What the real one does when a process starts."""
        shelf = self._shelf
        for key, submission in shelf.submissions.items():
            if submission.state == "PREPARED":
                shelf.submissions[key] = replace(submission, state="IN_DOUBT")
                self._set_events(key, "IN_DOUBT")
        for permits in shelf.permits.values():
            for each in permits.values():
                if each.answered_at is None:
                    permits[each.permit_id] = replace(each, answered_at=now)

    async def taxpayer(self, tenant: str, tax_number: str) -> TaxpayerRecord | None:
        """See the port."""
        await self._hook("taxpayer before")
        assert tenant == "default"
        return self._shelf.taxpayers.get(tax_number)

    async def upload_control(self, tax_number: str) -> UploadControlRecord:
        """See the port."""
        await self._hook("control before")
        return self._shelf.controls.get(tax_number) or UploadControlRecord(tax_number=tax_number)

    async def backlogged(self) -> list[str]:
        """See the port."""
        await self._hook("backlogged before")
        shelf = self._shelf
        return [tax_number for tax_number in shelf.events if not shelf.finished(tax_number)]

    async def prepare_submission(
        self, tax_number: str, submission_id: str, *, count_max: int, now: float
    ) -> Submission | None:
        """See the port."""
        await self._hook("prepare before")
        claimed = self._claimed(tax_number, count_max, now)
        if not claimed:
            return None
        assert submission_id not in self._shelf.used_ids
        self._shelf.used_ids.add(submission_id)
        for event in claimed:
            event.state, event.submission_id = "PREPARED", submission_id
            event.item = replace(event.item, attempt_count=event.item.attempt_count + 1)
        submission = Submission(
            submission_id=submission_id,
            tax_number=tax_number,
            state="PREPARED",
            created_at=now,
            items=tuple(event.item for event in claimed),
            certificates={"k1": b"certificate"},
        )
        self._shelf.submissions[submission_id] = submission
        await self._hook("prepare after")
        return submission

    def _claimed(self, tax_number: str, count_max: int, now: float) -> list[StoredEvent]:
        claimed: list[StoredEvent] = []
        for event in self._shelf.backlog[tax_number].values():
            if event.state != "PENDING" or now < event.not_before <= now + 60:
                continue
            count_max = min(count_max, event.batch_count_max)
            if len(claimed) >= count_max:
                break
            claimed.append(event)
        return claimed

    async def open_submissions(self, tax_number: str) -> list[Submission]:
        """See the port."""
        await self._hook("open before")
        return [it for it in self._shelf.submissions.values() if it.tax_number == tax_number]

    async def mark_in_doubt(self, submission_id: str) -> None:
        """See the port."""
        await self._hook("doubt before")
        submission = self._shelf.submissions[submission_id]
        assert submission.state == "PREPARED"
        self._shelf.submissions[submission_id] = replace(submission, state="IN_DOUBT")
        self._set_events(submission_id, "IN_DOUBT")
        await self._hook("doubt after")

    async def mark_submitted(
        self, submission_id: str, acceptance_serial: str, *, poll_at: float
    ) -> None:
        """See the port."""
        await self._hook("submitted before")
        submission = self._shelf.submissions[submission_id]
        assert submission.state in {"PREPARED", "IN_DOUBT"}
        self._shelf.submissions[submission_id] = replace(
            submission, state="SUBMITTED", acceptance_serial=acceptance_serial, poll_at=poll_at
        )
        self._set_events(submission_id, "SUBMITTED")
        await self._hook("submitted after")

    async def postpone_poll(self, submission_id: str, *, poll_at: float) -> None:
        """See the port."""
        await self._hook("postpone before")
        submission = self._shelf.submissions[submission_id]
        assert submission.state == "SUBMITTED"
        self._shelf.submissions[submission_id] = replace(submission, poll_at=poll_at)
        await self._hook("postpone after")

    async def release_submission(
        self, submission_id: str, *, not_before: float, batch_count_max: int
    ) -> None:
        """See the port."""
        await self._hook("release before")
        assert self._shelf.submissions[submission_id].state in {"PREPARED", "IN_DOUBT"}
        for event in self._events_of(submission_id):
            event.state, event.submission_id = "PENDING", ""
            event.not_before, event.batch_count_max = not_before, batch_count_max
        del self._shelf.submissions[submission_id]
        await self._hook("release after")

    async def record_verdicts(
        self, submission_id: str, verdicts: Sequence[EventVerdict], *, now: float
    ) -> None:
        """See the port."""
        assert now > 0
        await self._hook("verdicts before")
        by_id = {verdict.event_id: verdict for verdict in verdicts}
        for event in self._events_of(submission_id):
            verdict = by_id[event.item.event_id]
            assert verdict.state in UploadState
            event.state, event.reason, event.submission_id = verdict.state.value, verdict.reason, ""
            del self._shelf.backlog[self._shelf.submissions[submission_id].tax_number][
                verdict.event_id
            ]
        self._shelf.submissions.pop(submission_id, None)
        await self._hook("verdicts after")

    async def add_permit(self, tax_number: str, *, sent_at: float) -> Permit:
        """See the port."""
        await self._hook("permit before")
        self._shelf.permit_count += 1
        permit = Permit(
            permit_id=self._shelf.permit_count,
            tax_number=tax_number,
            sent_at=sent_at,
            answered_at=None,
        )
        self._shelf.permits[tax_number][permit.permit_id] = permit
        await self._hook("permit after")
        return permit

    async def answer_permit(self, permit: Permit, *, answered_at: float) -> None:
        """See the port."""
        await self._hook("answer before")
        permits = self._shelf.permits[permit.tax_number]
        permits[permit.permit_id] = replace(permit, answered_at=answered_at)
        await self._hook("answer after")

    async def permits(self, tax_number: str, *, answered_after: float) -> list[Permit]:
        """See the port."""
        await self._hook("permits before")
        return [
            each
            for each in self._shelf.permits[tax_number].values()
            if each.answered_at is None or each.answered_at > answered_after
        ]

    def _events_of(self, submission_id: str) -> list[StoredEvent]:
        submission = self._shelf.submissions.get(submission_id)
        if submission is None:
            return []  # over already
        backlog = self._shelf.backlog[submission.tax_number]
        return [backlog[item.event_id] for item in submission.items]

    def _set_events(self, submission_id: str, state: str) -> None:
        for event in self._events_of(submission_id):
            event.state = state
