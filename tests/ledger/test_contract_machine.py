"""Random walks over the real ledger beside a model: reds, voids, blank voids, uploads, restarts.

After every step both agree on every state, on what is left of each blue, on the meters and on what
was told; no batch ever holds an event whose predecessor has no answer; at the end the books balance.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from invoice.errors import InvoiceNotVoidable, NumberNotBlank
from invoice.lifecycle import UploadState
from ledger.records import Entry, EventVerdict, Reservation, Submission
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT, a_red, a_reservation
from tests.ledger.contract_model import REFUSED, Doc, Event, Model

T = TypeVar("T")

TYPES = ("025", "026", "028")
STOCK = 60
CODES = {type_code: f"0110026001{type_code[1:]}" for type_code in TYPES}

types = st.sampled_from(TYPES)
picks = st.integers(0, 10_000)
# Twentieths of a blue that a red asks for: all of it is likely, more than all of it is tried too.
shares = st.sampled_from([1, 4, 10, 20, 20, 20, 21])
# What is asked for: mostly what can be had, so that the walk gets anywhere.
wishes = st.sampled_from(["blue", "red", "red", "red", "red", "any"])
mostly = st.sampled_from([True, True, True, False])
verdicts = st.sampled_from(["ACCEPTED", "ACCEPTED", "ACCEPTED", "REJECTED", "SIGNATURE_REJECTED"])


class ContractMachine(RuleBasedStateMachine):
    """One taxpayer, three types at one point, whatever may happen to an invoice."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._model = Model()
        self._ids = 0
        self._worker_count = 0
        self._under_way: dict[str, list[Event]] = {}
        self._late: list[Entry] = []
        self._start()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _start(self) -> None:
        self._worker_count += 1
        path = Path(self._folder.name) / "ledger.db"
        self._ledger = SqliteLedger(path, verify=building.verify)
        self._run(self._ledger.start(f"worker-{self._worker_count}", NOW))

    def _id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def _pick(self, pick: int, *states: str) -> Doc | None:
        docs = [doc for doc in self._model.docs.values() if not states or doc.state in states]
        return docs[pick % len(docs)] if docs else None

    @initialize()
    def open_shop(self) -> None:
        """Register the taxpayer, with some numbers of each type, and issue a few."""
        self._run(building.open_family_shop(self._ledger, STOCK))
        self._settle(self._reserve([(a_reservation(self._id(), type=one), None) for one in TYPES]))

    # --- numbers ------------------------------------------------------------------------

    @rule(
        group=st.lists(st.tuples(wishes, types, shares), min_size=1, max_size=6),
        pick=picks,
        sign=mostly,
    )
    def issue(self, group: list[tuple[str, str, int]], pick: int, *, sign: bool) -> None:
        """Blues get a number; reds, all of one blue, get one or hear why not."""
        docs = self._reserve([self._item(*wish, pick) for wish in group])
        if sign:
            self._settle(docs)

    def _item(
        self, wish: str, type_code: str, share: int, pick: int
    ) -> tuple[Reservation, Doc | None]:
        original = None
        if wish == "any":
            original = self._pick(pick)
        elif wish == "red":
            blues = [
                doc
                for doc in self._model.docs.values()
                if doc.blue is None and doc.state == "ISSUED" and not doc.stated
            ]
            original = blues[pick % len(blues)] if blues else None
            if original is not None:
                type_code = "026" if original.type == "025" else original.type
        if original is None or original.entry is None:
            return a_reservation(self._id(), type=type_code), None
        part = original.net_fen * share // 20, original.tax_fen * share // 20
        return a_red(self._id(), original.entry, *part, type=type_code), original

    def _reserve(self, items: list[tuple[Reservation, Doc | None]]) -> list[Doc]:
        result = self._run(building.commit(self._ledger, (), [item for item, _ in items]))
        taken = []
        # The types are served one after the other.
        for at in sorted(range(len(items)), key=lambda at: items[at][0].type):
            item, original = items[at]
            answer = result.reserved[at]
            net_fen, tax_fen = abs(item.net_fen), abs(item.tax_fen)
            reason = ""
            if original is not None:
                reason = self._model.red_refusal(original, item.type, net_fen, tax_fen)
            if not reason and self._model.taken[item.type] == STOCK:
                reason = "STOCK_EXHAUSTED"
            assert (answer.error.reason if answer.error else "") == reason
            if answer.entry is not None:
                number = int(answer.entry.number)
                doc = Doc(item.type, number, net_fen, tax_fen, "RESERVED", answer.entry, original)
                self._model.add(doc)
                taken.append(doc)
        return taken

    @rule(picked=st.lists(picks, min_size=1, max_size=4), late=st.booleans())
    def settle(self, picked: list[int], *, late: bool) -> None:
        """What is signed is issued; what was given up meanwhile stays given up."""
        docs = {self._pick(pick, "RESERVED") for pick in picked} - {None}
        won = sorted((doc for doc in docs if doc is not None), key=lambda doc: doc.number)
        self._settle(won, self._late[-2:] if late else [])

    def _settle(self, won: list[Doc], lost: Sequence[Entry] = ()) -> None:
        entries = [doc.entry for doc in won if doc.entry is not None]
        settlements = [building.signed(entry) for entry in (*entries, *lost)]
        settled = self._run(building.commit(self._ledger, settlements)).settled
        states = ["ISSUED"] * len(won) + ["BLANK_VOIDED"] * len(lost)
        assert [entry.state for entry in settled] == states
        for doc, entry in zip(won, settled, strict=False):
            doc.entry = entry
            doc.issue = self._model.send("ISSUE", doc)
            self._model.tell(doc, "ISSUED")
        for doc in won:
            doc.state = "ISSUED"
            self._model.tell_blue(doc)

    # --- voids --------------------------------------------------------------------------

    @rule(pick=picks, likely=mostly, sign=mostly)
    def decide_void(self, pick: int, *, likely: bool, sign: bool) -> None:
        """A void is decided where the model lets it be, and refused by its cause elsewhere."""
        doc = (self._pick(pick, "ISSUED") if likely else None) or self._pick(pick)
        if doc is None or doc.entry is None:
            return
        cause = self._model.void_cause(doc)
        if cause:
            with pytest.raises(InvoiceNotVoidable, match=cause):
                self._run(building.decide_void(self._ledger, doc.entry))
        else:
            doc.statement = self._run(building.decide_void(self._ledger, doc.entry))
            if sign:
                self._settle_statement(doc, 1)

    @rule(type_code=types, skipped=st.integers(0, 1))
    def give_up_the_next_number(self, type_code: str, skipped: int) -> None:
        """Only the very next number can be given up."""
        number = self._model.taken[type_code] + 1 + skipped
        given_up = building.decide_blank_void(
            self._ledger, f"{number:08}", code=CODES[type_code], type=type_code
        )
        if skipped or number > STOCK:
            with pytest.raises(NumberNotBlank):
                self._run(given_up)
        else:
            statement = self._run(given_up)
            self._model.add(Doc(type_code, number, 0, 0, "BLANK_VOIDED", statement=statement))

    @rule(pick=picks, waited=st.booleans())
    def give_up_a_waiting_number(self, pick: int, *, waited: bool) -> None:
        """One that waits for its signature can be given up after a minute."""
        doc = self._pick(pick, "RESERVED")
        if doc is None or doc.entry is None:
            return
        given_up = building.decide_blank_void(
            self._ledger,
            doc.entry.number,
            code=doc.entry.code,
            type=doc.type,
            now=NOW + 60 * waited,
        )
        if not waited:
            with pytest.raises(NumberNotBlank):
                self._run(given_up)
            return
        doc.statement = self._run(given_up)
        doc.state = "BLANK_VOIDED"
        self._late.append(doc.entry)

    @rule(pick=picks, twice=st.booleans())
    def settle_statement(self, pick: int, *, twice: bool) -> None:
        """A void that is signed takes effect, once."""
        waiting = [
            doc
            for doc in self._model.docs.values()
            if doc.statement is not None and doc.statement.state == "RESERVED"
        ]
        if not waiting:
            return
        self._settle_statement(waiting[pick % len(waiting)], 1 + twice)

    def _settle_statement(self, doc: Doc, times: int) -> None:
        assert doc.statement is not None
        for _ in range(times):
            settled = self._run(building.settle_statement(self._ledger, doc.statement))
        doc.statement = settled
        self._model.send(settled.kind, doc)
        if settled.kind == "VOID":
            doc.state = "VOIDED"
            self._model.tell(doc, "VOIDED")
            self._model.tell_blue(doc)
        else:
            self._model.tell(doc, "BLANK_VOIDED")

    # --- upload -------------------------------------------------------------------------

    @rule(count=st.integers(1, 8), answers=st.lists(verdicts, min_size=8, max_size=8), now=mostly)
    def upload(self, count: int, answers: list[str], *, now: bool) -> None:
        """The oldest events that may go are claimed, and only after what they depend on."""
        submission_id = self._prepare(count)
        if now and submission_id in self._under_way:
            self._answer(submission_id, answers)

    def _prepare(self, count: int) -> str:
        submission_id = f"s-{self._id()}"
        submission = self._run(
            self._ledger.prepare_submission(TAX_NUMBER, submission_id, count_max=count, now=NOW)
        )
        due = list(self._model.due())[:count]
        assert _told(submission) == [_name(event) for event in due]
        for event in due:
            issue = event.doc.issue if event.kind == "VOID" else None
            blue = event.doc.blue.issue if event.doc.blue else None
            assert issue is None or not issue.open, "a void before its issue"
            assert blue is None or not blue.open, "a red before its blue"
        for event in due:
            event.state = "SENT"
        if due:
            self._under_way[submission_id] = due
        return submission_id

    @precondition(lambda self: self._under_way)
    @rule(pick=picks, answers=st.lists(verdicts, min_size=8, max_size=8))
    def answer(self, pick: int, answers: list[str]) -> None:
        """The authority judges a submission."""
        self._answer(sorted(self._under_way)[pick % len(self._under_way)], answers)

    def _answer(self, submission_id: str, answers: list[str]) -> None:
        events = self._under_way.pop(submission_id)
        (submission,) = [
            one
            for one in self._run(self._ledger.open_submissions(TAX_NUMBER))
            if one.submission_id == submission_id
        ]
        told = [
            EventVerdict(event_id=item.event_id, state=UploadState(answer), reason=answer)
            for item, answer in zip(submission.items, answers, strict=False)
        ]
        self._run(self._ledger.mark_submitted(submission_id, "serial", poll_at=NOW))
        self._run(self._ledger.record_verdicts(submission_id, told, now=NOW))
        for event, answer in zip(events, answers, strict=False):
            self._model.answer(event, answer)

    @precondition(lambda self: self._under_way)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        """The authority would not look at it: its events wait again."""
        submission_id = sorted(self._under_way)[pick % len(self._under_way)]
        self._run(self._ledger.release_submission(submission_id, not_before=0, batch_count_max=100))
        for event in self._under_way.pop(submission_id):
            event.state = "PENDING"

    @precondition(lambda self: self._under_way)
    @rule(pick=picks)
    def lose_the_answer(self, pick: int) -> None:
        """Nobody knows whether it arrived: it stays as it is until somebody asks."""
        submission_id = sorted(self._under_way)[pick % len(self._under_way)]
        self._run(self._ledger.mark_in_doubt(submission_id))

    @rule()
    def retry(self) -> None:
        """An operator has everything sent again that was refused."""
        count, _ = self._run(
            self._ledger.retry_uploads(
                tax_number=TAX_NUMBER,
                invoices=(),
                binding=building.binding("retry_uploads"),
                act=building.ACT,
            )
        )
        assert count == self._model.retry()

    @rule(pick=picks, share=shares)
    def retry_behind_what_is_in_doubt(self, pick: int, share: int) -> None:
        """A family goes on where an event of it was refused; while that is in doubt, it is retried."""
        refused = [event for event in self._model.events if event.state in REFUSED]
        family = refused[pick % len(refused)].blue if refused else None
        if family is None or family.entry is None:
            return
        part = family.net_fen * share // 20, family.tax_fen * share // 20
        wanted = "026" if family.type == "025" else family.type
        red = a_red(self._id(), family.entry, *part, type=wanted)
        self._settle(self._reserve([(red, family)]))
        submission_id = self._prepare(100)
        if submission_id in self._under_way:
            self._run(self._ledger.mark_in_doubt(submission_id))
        self.retry()

    @rule()
    def restart(self) -> None:
        """Close and open again: nothing is forgotten."""
        self._run(self._ledger.close())
        self._start()

    # --- what always holds --------------------------------------------------------------

    @invariant()
    def states_and_sums_agree(self) -> None:
        """Everybody reads what the model says."""
        for doc in self._model.docs.values():
            record = self._run(
                self._ledger.find_invoice(TENANT, TAX_NUMBER, CODES[doc.type], f"{doc.number:08}")
            )
            assert record is not None
            assert record.entry.state == self._model.shown(doc)
            issued = self._model.reds(doc, "ISSUED")
            assert record.reversed_net_fen == sum(red.net_fen for red in issued)
            assert min(self._model.left(doc)) >= 0

    @invariant()
    def nothing_is_overtaken(self) -> None:
        """What is under way waits for nobody any more: nothing before it may come up again."""
        assert self._model.overtaken() == []

    @invariant()
    def meters_agree(self) -> None:
        """What counts against the offline limits is what has no answer."""
        if not self._model.docs:
            return
        backlog = self._run(self._ledger.backlog(TENANT, TAX_NUMBER))
        for meter in backlog.meters:
            load = meter.unuploaded_count, meter.unuploaded_amount_fen
            assert load == self._model.load(meter.type)

    @invariant()
    def what_waits_for_its_signature_is_found(self) -> None:
        """No reserved entry and no reserved statement is ever lost."""
        found = self._run(
            self._ledger.orphans(worker=building.WORKER, now=NOW + 60, count_max=1_000)
        )
        docs = self._model.docs.values()
        assert {(entry.type, int(entry.number)) for entry in found} == {
            (doc.type, doc.number) for doc in docs if doc.state == "RESERVED"
        }
        statements = self._run(
            self._ledger.orphan_statements(worker=building.WORKER, now=NOW + 60, count_max=1_000)
        )
        waiting = [doc.statement for doc in docs if doc.statement is not None]
        assert {one.request_id for one in statements} == {
            one.request_id for one in waiting if one.state == "RESERVED"
        }

    def teardown(self) -> None:
        try:
            if self._model.docs:
                self._compare_changes()
            words = list(self._ledger.check_books())
        finally:
            self._run(self._ledger.close())
            self._loop.close()
            self._folder.cleanup()
        assert [finding for word in words for finding in word.findings] == []

    def _compare_changes(self) -> None:
        """Everything that happened to an invoice was told, in its order."""
        changes = self._run(
            self._ledger.changes(TENANT, TAX_NUMBER, after={}, count_max=10_000, bytes_max=1 << 30)
        )
        told: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        numbers: defaultdict[int, list[int]] = defaultdict(list)
        for change in changes:
            numbers[change.meter_id].append(change.change_number)
            if change.record is not None:
                entry = change.record.entry
                told[entry.type, int(entry.number)].append(change.what)
        assert told == self._model.told
        assert all(of == list(range(1, len(of) + 1)) for of in numbers.values())


def _name(event: Event) -> tuple[str, str, int]:
    return event.kind, CODES[event.doc.type], event.doc.number


def _told(submission: Submission | None) -> list[tuple[str, str, int]]:
    items = () if submission is None else submission.items
    return [(item.event, item.code, int(item.number)) for item in items]


ContractMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
test_the_contract_holds_at_random = ContractMachine.TestCase
