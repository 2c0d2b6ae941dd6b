"""The oldest un-uploaded of a meter is right after any mixture of issues, verdicts, retries and blank voids."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from invoice.lifecycle import UploadState
from ledger.records import Entry, EventVerdict, OutboxItem
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT, WORKER, a_reservation

_T = TypeVar("_T")
TYPES = ("026", "028")


@dataclass(eq=False)
class Doc:
    """A number that was taken: RESERVED, WAITING for its answer, REJECTED or gone."""

    entry: Entry
    state: str = "RESERVED"


class OldestMachine(RuleBasedStateMachine):
    """A real ledger beside a list of what was taken, under a clock that only the rules move."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory()
        self._ledger = SqliteLedger(Path(self._folder.name) / "l.db", verify=building.verify)
        self._docs: list[Doc] = []
        self._sent: dict[str, list[OutboxItem]] = {}
        self._now = NOW
        self._id = 0

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(work)

    def _name(self) -> str:
        self._id += 1
        return f"id-{self._id}"

    @initialize()
    def open(self) -> None:
        """A seller with two types at one point."""
        self._run(self._ledger.start(WORKER, NOW))
        self._run(building.open_family_shop(self._ledger, 500))

    @rule(seconds=st.integers(-4, 40))
    def pass_by(self, seconds: int) -> None:
        """The clock moves on, or back a little."""
        self._now += seconds

    @rule(type_code=st.sampled_from(TYPES), count=st.integers(1, 4), settles=st.booleans())
    def issue(self, type_code: str, count: int, *, settles: bool) -> None:
        """Numbers are taken; their signatures may be late."""
        drafts = [a_reservation(self._name(), type=type_code) for _ in range(count)]
        entries = self._run(building.reserve(self._ledger, *drafts, now=self._now))
        docs = [Doc(entry) for entry in entries]
        self._docs += docs
        if settles:
            self._settle(docs)

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Some of what waits for a signature gets it."""
        waiting = [doc for doc in self._docs if doc.state == "RESERVED"]
        if waiting:
            self._settle(data.draw(st.lists(st.sampled_from(waiting), min_size=1, unique=True)))

    def _settle(self, docs: list[Doc]) -> None:
        signed = [building.signed(doc.entry) for doc in docs]
        self._run(building.commit(self._ledger, signed, now=self._now))
        for doc in docs:
            doc.state = "WAITING"

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A number that waits for its signature is voided blank."""
        waiting = [doc for doc in self._docs if doc.state == "RESERVED"]
        if not waiting:
            return
        doc = data.draw(st.sampled_from(waiting))
        self._now = max(self._now, doc.entry.reserved_at + 60)
        entry = doc.entry
        self._run(
            building.decide_blank_void(
                self._ledger, entry.number, code=entry.code, type=entry.type, now=self._now
            )
        )
        doc.state = "GONE"

    @rule(count=st.integers(1, 5))
    def send(self, count: int) -> None:
        """The oldest events are under way."""
        name = self._name()
        submission = self._run(
            self._ledger.prepare_submission(TAX_NUMBER, name, count_max=count, now=self._now)
        )
        if submission is not None:
            self._run(self._ledger.mark_submitted(name, f"serial-{name}", poll_at=self._now))
            self._sent[name] = list(submission.items)

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """Some of what is under way gets its answer, in any order."""
        if not self._sent:
            return
        name = data.draw(st.sampled_from(sorted(self._sent)))
        left = self._sent[name]
        answered = data.draw(st.sets(st.integers(0, len(left) - 1), min_size=1))
        verdicts = []
        for item in (left[at] for at in answered):
            state = data.draw(st.sampled_from((UploadState.ACCEPTED, UploadState.REJECTED)))
            verdicts.append(EventVerdict(event_id=item.event_id, state=state, reason="so"))
            for doc in self._docs:
                same = (doc.entry.code, doc.entry.number) == (item.code, item.number)
                if same and item.event == "ISSUE":
                    doc.state = "REJECTED" if state is UploadState.REJECTED else "GONE"
        self._run(self._ledger.record_verdicts(name, verdicts, now=self._now))
        self._sent[name] = [item for at, item in enumerate(left) if at not in answered]
        if not self._sent[name]:
            del self._sent[name]

    @rule()
    def retry(self) -> None:
        """All that was refused goes once more."""
        bound = building.binding("retry")
        self._run(
            self._ledger.retry_uploads(tax_number=TAX_NUMBER, invoices=[], binding=bound, act=ACT)
        )
        for doc in self._docs:
            if doc.state == "REJECTED":
                doc.state = "WAITING"

    @invariant()
    def meters_agree(self) -> None:
        """Count, amount and the oldest are those of what has no final answer."""
        if not self._docs:
            return
        backlog = self._run(self._ledger.backlog(TENANT, TAX_NUMBER))
        for meter in backlog.meters:
            open_ = [
                doc.entry
                for doc in self._docs
                if doc.entry.type == meter.type and doc.state in ("RESERVED", "WAITING")
            ]
            times = [entry.issue_time for entry in open_]
            assert meter.unuploaded_count == len(open_)
            assert meter.unuploaded_amount_fen == sum(abs(entry.net_fen) for entry in open_)
            assert meter.oldest_issue_time == min(times, default=0)

    def teardown(self) -> None:
        """The books balance in the end."""
        try:
            found = [one for word in self._ledger.check_books() for one in word.findings]
            assert found == []
        finally:
            self._run(self._ledger.close())
            self._loop.close()
            self._folder.cleanup()


TestOldest = OldestMachine.TestCase
TestOldest.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
