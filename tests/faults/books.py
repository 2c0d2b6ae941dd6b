"""What the writers of a crash campaign know, and whether the gateway's answers agree with it.

A writer notes every request before it sends it and every answer when it has it, one JSON object a
line, in a file of its own; so what was promised is known whatever becomes of the gateway. Nothing
here talks to anybody.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.authority.v1 import authority_pb2
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest


@dataclass(slots=True)
class Tally:
    """What an audit found wrong; all zero is the promise."""

    lost: int = 0
    duplicated: int = 0
    gaps: int = 0
    unsigned: int = 0
    diverged: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, note: str) -> None:
        """Count one fault and keep a word about it."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.notes.append(f"{kind}: {note}")

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.notes


@dataclass(slots=True)
class Journal:
    """The notes of all writers: what was asked, and what was answered."""

    requests: dict[str, IssueInvoiceRequest] = field(default_factory=dict)
    answers: dict[str, IssuedInvoice] = field(default_factory=dict)
    _read: dict[Path, int] = field(default_factory=dict)

    def take_up(self, path: Path, tally: Tally) -> set[str]:
        """Read what a writer has noted since the last time; return the ids answered meanwhile.

        An id answered twice with different bytes is a fault at once.
        """
        answered: set[str] = set()
        with path.open("rb") as notes:
            notes.seek(self._read.get(path, 0))
            for line in notes:
                note = json.loads(line)
                if "asked" in note:
                    request = IssueInvoiceRequest.FromString(base64.b64decode(note["asked"]))
                    self.requests[request.request_id] = request
                else:
                    issued = IssuedInvoice.FromString(base64.b64decode(note["answered"]))
                    self.note(issued, tally)
                    answered.add(issued.request_id)
            self._read[path] = notes.tell()
        return answered

    def note(self, issued: IssuedInvoice, tally: Tally) -> None:
        """Keep an answer, and compare it with an earlier one to the same id."""
        before = self.answers.setdefault(issued.request_id, issued)
        if before != issued:
            tally.add("lost", f"{issued.request_id} was {before.name}, now {issued.name}")

    @property
    def unanswered(self) -> set[str]:
        """Ids that were asked for and never answered."""
        return self.requests.keys() - self.answers.keys()


def asked(request: IssueInvoiceRequest) -> str:
    """The note of a request about to be sent."""
    return _line("asked", request.SerializeToString())


def answered(issued: IssuedInvoice) -> str:
    """The note of an answer."""
    return _line("answered", issued.SerializeToString())


def check_numbers(
    answers: Iterable[IssuedInvoice], segments: Iterable[Segment], tally: Tally
) -> None:
    """Every number taken from a segment belongs to exactly one id, and nothing else was taken."""
    holders: dict[tuple[str, int], list[str]] = {}
    for issued in answers:
        holders.setdefault((issued.code, int(issued.number)), []).append(issued.request_id)
    for place, ids in holders.items():
        if len(ids) > 1:
            tally.add("duplicated", f"{place} stands for {ids}")
    taken = {place for segment in segments for place in _taken(segment)}
    for place in taken - holders.keys():
        tally.add("gaps", f"{place} was taken and belongs to no request")
    for place in holders.keys() - taken:
        tally.add("lost", f"{place} was answered and never taken from a segment")


def check_grants(
    segments: Iterable[Segment], grants: Iterable[authority_pb2.Grant], tally: Tally
) -> None:
    """The parts of each grant add up to what the authority granted, number by number."""
    parts: dict[str, list[int]] = {}
    for segment in segments:
        numbers = range(int(segment.first_number), int(segment.last_number) + 1)
        parts.setdefault(segment.grant_id, []).extend(numbers)
    for grant in grants:
        granted = list(range(grant.first, grant.first + grant.count))
        if sorted(parts.pop(grant.grant_id, [])) != granted:
            tally.add("diverged", f"the parts of grant {grant.grant_id} are not the grant")
    for grant_id in parts:
        tally.add("diverged", f"the authority knows of no grant {grant_id}")


def check_record(
    answers: Iterable[IssuedInvoice],
    events: Iterable[authority_pb2.RecordedEvent],
    tally: Tally,
    *,
    refused: Iterable[str] = (),
) -> None:
    """The authority accepted each invoice once, with the same bytes, and nothing else.

    ``refused`` are numbers it is known to have refused for good.
    """
    missing = {(one.code, one.number): one for one in answers}
    for event in events:
        if event.result.verdict != authority_pb2.ItemResult.VERDICT_ACCEPTED:
            continue
        place = event.result.code, event.result.number
        issued = missing.pop(place, None)
        if issued is None:
            tally.add("diverged", f"{place} accepted twice, or never issued")
        elif (event.content_digest, event.signature_digest) != (
            hashlib.sha256(issued.content).digest(),
            hashlib.sha256(issued.signature).digest(),
        ):
            tally.add("diverged", f"{place} was accepted with other bytes")
    known = set(refused)
    for code, number in missing:
        if f"{code}-{number}" not in known:
            tally.add("diverged", f"{(code, number)} never reached the authority")


def _taken(segment: Segment) -> list[tuple[str, int]]:
    first = int(segment.first_number)
    count = segment.total_count - segment.available_count
    return [(segment.code, number) for number in range(first, first + count)]


def _line(kind: str, message: bytes) -> str:
    note: dict[str, Any] = {kind: base64.b64encode(message).decode("ascii")}
    return json.dumps(note) + "\n"
