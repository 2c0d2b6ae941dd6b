"""What reds, voids and their uploads promise, as a small model: no SQL, no order of statements.

It knows each number that was taken, what became of it, and which events wait for which.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from invoice.types import TYPES
from ledger.records import Entry, StatementRecord

OPEN = frozenset({"PENDING", "SENT"})
REFUSED = frozenset({"REJECTED", "SIGNATURE_REJECTED"})


@dataclass(eq=False)
class Doc:
    """A number that was taken. ``entry`` is None of one that was voided before anybody took it."""

    type: str
    number: int
    net_fen: int
    tax_fen: int
    state: str
    entry: Entry | None = None
    blue: "Doc | None" = None
    statement: StatementRecord | None = None
    issue: "Event | None" = None

    @property
    def stated(self) -> bool:
        """Whether a void of it has been decided."""
        return self.statement is not None


@dataclass(eq=False)
class Event:
    """One event on its way to the authority."""

    kind: str
    doc: Doc
    state: str = "PENDING"

    @property
    def family(self) -> Doc | None:
        """The blue it must keep in step with."""
        if self.kind == "BLANK_VOID" or (self.kind == "ISSUE" and self.doc.blue is None):
            return None
        return self.blue

    @property
    def blue(self) -> Doc:
        """The head of its family, if it has one."""
        return self.doc.blue or self.doc

    @property
    def open(self) -> bool:
        """Whether the authority has not had the last word."""
        return self.state in OPEN


@dataclass
class Model:
    """All numbers, all events in the order they came up, and what was told of each number."""

    docs: dict[tuple[str, int], Doc] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    told: defaultdict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    taken: Counter[str] = field(default_factory=Counter)

    def add(self, doc: Doc) -> None:
        """A number leaves the shelf: always the next one."""
        self.taken[doc.type] += 1
        assert doc.number == self.taken[doc.type]
        self.docs[doc.type, doc.number] = doc

    def reds(self, blue: Doc, *states: str) -> list[Doc]:
        """The reds of a blue in one of these states."""
        return [doc for doc in self.docs.values() if doc.blue is blue and doc.state in states]

    def left(self, blue: Doc) -> tuple[int, int]:
        """What remains of a blue: reds count from the moment they have a number."""
        live = self.reds(blue, "RESERVED", "ISSUED")
        return (
            blue.net_fen - sum(red.net_fen for red in live),
            blue.tax_fen - sum(red.tax_fen for red in live),
        )

    def shown(self, doc: Doc) -> str:
        """The state anybody reads."""
        reds = self.reds(doc, "ISSUED")
        if doc.state != "ISSUED" or not reds:
            return doc.state
        whole = sum(red.net_fen for red in reds) == doc.net_fen
        return "REVERSED" if whole else "PARTLY_REVERSED"

    def red_refusal(self, blue: Doc, type: str, net_fen: int, tax_fen: int) -> str:
        """The reason why a red is refused, or nothing."""
        if blue.blue is not None or blue.type not in TYPES[type].reverses:
            return "RED_TYPE_MISMATCH"
        refused = blue.issue is not None and blue.issue.state == "SIGNATURE_REJECTED"
        if blue.state != "ISSUED" or blue.stated or refused:
            return "INVOICE_NOT_REVERSIBLE"
        left = self.left(blue)
        if net_fen > left[0] or tax_fen > left[1]:
            return "RED_EXCEEDS_BLUE"
        whole = (net_fen, tax_fen) == (blue.net_fen, blue.tax_fen)
        return "" if whole or TYPES[blue.type].partial_red else "RED_NOT_FULL"

    def void_cause(self, doc: Doc) -> str:
        """Why an invoice cannot be voided, or nothing."""
        if doc.state != "ISSUED":
            return doc.state
        if doc.stated:
            return "VOIDING"
        return "REVERSED" if self.reds(doc, "RESERVED", "ISSUED") else ""

    def tell(self, doc: Doc, what: str) -> None:
        """Something happened to a number."""
        self.told[doc.type, doc.number].append(what)

    def tell_blue(self, red: Doc) -> None:
        """Something happened to the blue of a red, if that is one."""
        if red.blue is not None:
            state = self.shown(red.blue)
            self.tell(red.blue, "RESTORED" if state == "ISSUED" else state)

    def send(self, kind: str, doc: Doc) -> Event:
        """An event for the authority comes up."""
        event = Event(kind, doc)
        self.events.append(event)
        return event

    def due(self) -> Iterator[Event]:
        """What may go now, oldest first."""
        for at, event in enumerate(self.events):
            if event.state == "PENDING" and not self._held(at, event):
                yield event

    def _held(self, at: int, event: Event) -> bool:
        return any(before.open and depends(event, before) for before in self.events[:at])

    def overtaken(self) -> list[tuple[Event, Event]]:
        """What is open though something that depends on it is under way; there should be none."""
        return [
            (before, event)
            for at, event in enumerate(self.events)
            for before in self.events[:at]
            if event.state == "SENT" and before.open and depends(event, before)
        ]

    def answer(self, event: Event, verdict: str) -> None:
        """The authority's word on an event."""
        event.state = verdict
        prefix = "" if event.kind == "ISSUE" else f"{event.kind}_"
        self.tell(event.doc, prefix + verdict)
        issue = event.doc.issue
        if (event.kind, verdict) == ("VOID", "ACCEPTED") and issue and issue.state in REFUSED:
            issue.state = "RESOLVED"

    def retry(self) -> int:
        """All that was refused goes once more, unless what depends on it is under way; how many."""
        count = 0
        for at, event in enumerate(self.events):
            late = any(
                after.state == "SENT" and depends(after, event) for after in self.events[at + 1 :]
            )
            if event.state in REFUSED and not late:
                event.state = "PENDING"
                self.tell(
                    event.doc, "RETRIED" if event.kind == "ISSUE" else f"{event.kind}_RETRIED"
                )
                count += 1
        return count

    def load(self, type: str) -> tuple[int, int]:
        """What counts against the offline limits of a type."""
        waiting = [doc for doc in self.docs.values() if doc.state == "RESERVED"]
        waiting += [event.doc for event in self.events if event.kind == "ISSUE" and event.open]
        amounts = [doc.net_fen for doc in waiting if doc.type == type]
        return len(amounts), sum(amounts)


def depends(event: Event, before: Event) -> bool:
    """Whether an event must not be judged before an earlier one."""
    family = event.family
    if family is None:
        return False
    if before is family.issue:
        return True
    return before.family is family and "VOID" in (before.kind, event.kind)
