"""What the writers of a crash campaign asked for, and what they were answered.

A writer notes every wish before it sends it, and what came of it when it knows, one JSON object a
line, in a file of its own; so what was promised is known whatever becomes of the gateway. Nothing
here talks to anybody.
"""

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.v1.invoice_pb2 import IssuedInvoice, VoidStatement
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest, VoidInvoiceRequest
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from tests.faults.books import Tally

Statement: TypeAlias = VoidInvoiceRequest | VoidBlankNumberRequest
Wish: TypeAlias = IssueInvoiceRequest | ReverseInvoiceRequest | Statement
Answer: TypeAlias = IssuedInvoice | VoidStatement

_WISHES: Final[dict[str, type[Wish]]] = {
    one.DESCRIPTOR.name: one
    for one in (
        IssueInvoiceRequest,
        ReverseInvoiceRequest,
        VoidInvoiceRequest,
        VoidBlankNumberRequest,
    )
}
_ANSWERS: Final[dict[str, type[Answer]]] = {
    one.DESCRIPTOR.name: one for one in (IssuedInvoice, VoidStatement)
}


@dataclass(slots=True)
class Journal:
    """The notes of all writers, by request id."""

    wishes: dict[str, Wish] = field(default_factory=dict)
    invoices: dict[str, IssuedInvoice] = field(default_factory=dict)
    statements: dict[str, VoidStatement] = field(default_factory=dict)
    _open: Counter[str] = field(default_factory=Counter)
    _read: dict[Path, int] = field(default_factory=dict)

    def take_up(self, path: Path, tally: Tally) -> set[str]:
        """Read what a writer has noted since the last time; return the ids answered meanwhile.

        An id answered twice with different bytes is a fault at once.
        """
        told: set[str] = set()
        with path.open("rb") as notes:
            notes.seek(self._read.get(path, 0))
            for line in notes:
                [(kind, text)] = json.loads(line).items()
                if kind == "refused":
                    self._open[text] -= 1
                elif kind in _WISHES:
                    wish = _WISHES[kind].FromString(base64.b64decode(text))
                    self.wishes[wish.request_id] = wish
                    self._open[wish.request_id] += 1
                else:
                    answer = _ANSWERS[kind].FromString(base64.b64decode(text))
                    self.note(answer, tally)
                    told.add(answer.request_id)
            self._read[path] = notes.tell()
        return told

    def note(self, answer: Answer, tally: Tally) -> None:
        """Keep an answer, and compare it with an earlier one to the same id."""
        before: Answer
        if isinstance(answer, IssuedInvoice):
            before = self.invoices.setdefault(answer.request_id, answer)
        else:
            before = self.statements.setdefault(answer.request_id, answer)
        if before != answer:
            tally.add("lost", f"{answer.request_id} was {_brief(before)}, now {_brief(answer)}")

    def close(self, request_id: str) -> None:
        """It came to nothing, and nobody asks for it any more."""
        del self._open[request_id]

    @property
    def unanswered(self) -> set[str]:
        """Ids that were asked for, and neither answered nor refused each time."""
        asked = {request_id for request_id, count in self._open.items() if count > 0}
        return asked - self.invoices.keys() - self.statements.keys()


def asked(*wishes: Wish) -> str:
    """The note of wishes about to be sent."""
    return "".join(_line(wish.DESCRIPTOR.name, _encoded(wish)) for wish in wishes)


def answered(answer: Answer) -> str:
    """The note of an answer."""
    return _line(answer.DESCRIPTOR.name, _encoded(answer))


def refused(request_id: str) -> str:
    """The note of a refusal without effect."""
    return _line("refused", request_id)


def _encoded(message: Wish | Answer) -> str:
    return base64.b64encode(message.SerializeToString()).decode("ascii")


def _line(kind: str, text: str) -> str:
    note: dict[str, Any] = {kind: text}
    return json.dumps(note) + "\n"


def _brief(answer: Answer) -> str:
    if isinstance(answer, IssuedInvoice):
        return answer.name
    return f"the void of {answer.invoice} signed {answer.signature[:4].hex()}"
