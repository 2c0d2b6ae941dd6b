"""Whether what was answered agrees with itself, with the ledger's own lists and with the authority.

Nothing here talks to anybody, and nothing of the gateway's own code is used.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.authority.v1 import authority_pb2
from taxcontrol.authority.v1.authority_pb2 import UploadItem
from taxcontrol.v1.invoice_pb2 import Invoice, IssuedInvoice, VoidStatement

Place: TypeAlias = tuple[str, str]
"""Code and number."""


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


class Standing(NamedTuple):
    """How an invoice stands that is not simply issued; the sums are what reds have taken from it."""

    state: str
    reversed_net_fen: int = 0
    reversed_tax_fen: int = 0


def place_of(name: str) -> Place:
    """Code and number of ``taxpayers/{t}/invoices/{code}-{number}``."""
    code, _, number = name.rpartition("/")[2].rpartition("-")
    return code, number


def check_numbers(
    answers: Iterable[IssuedInvoice],
    segments: Iterable[Segment],
    tally: Tally,
    *,
    blank_voids: Iterable[VoidStatement] = (),
) -> None:
    """Every number taken from a segment belongs to exactly one id, and nothing else was taken."""
    holders: dict[tuple[str, int], list[str]] = {}
    for issued in answers:
        holders.setdefault((issued.code, int(issued.number)), []).append(issued.request_id)
    for statement in blank_voids:
        code, number = place_of(statement.invoice)
        holders.setdefault((code, int(number)), []).append(statement.request_id)
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
        first = int(f"{grant.prefix}{grant.first:0{grant.width - len(grant.prefix)}}")
        granted = list(range(first, first + grant.count))
        if sorted(parts.pop(grant.grant_id, [])) != granted:
            tally.add("diverged", f"the parts of grant {grant.grant_id} are not the grant")
    for grant_id in parts:
        tally.add("diverged", f"the authority knows of no grant {grant_id}")


def standings(
    answers: Iterable[IssuedInvoice],
    statements: Iterable[VoidStatement],
    tally: Tally,
) -> dict[Place, Standing]:
    """How every invoice must stand that is not simply issued, told from the answers alone.

    A number voided twice, and a blue reversed by more than it is, are faults at once.
    """
    ended = Counter(place_of(one.invoice) for one in statements)
    for place, count in ended.items():
        if count > 1:
            tally.add("duplicated", f"{place} is voided by {count} statements")
    contents = {(one.code, one.number): json.loads(one.content) for one in answers}
    found = {
        place: Standing("STATE_VOIDED" if place in contents else "STATE_BLANK_VOIDED")
        for place in ended
    }
    taken: dict[Place, tuple[int, int]] = {}
    for place, content in contents.items():
        if content["kind"] == "red" and place not in ended:
            blue = content["original"].get("code", ""), content["original"]["number"]
            net_fen, tax_fen = taken.get(blue, (0, 0))
            taken[blue] = net_fen - content["net_fen"], tax_fen - content["tax_fen"]
    for blue, (net_fen, tax_fen) in taken.items():
        content = contents.get(blue)
        if content is None:
            tally.add("diverged", f"reds reverse {blue}, which nobody was answered")
            continue
        if net_fen > content["net_fen"] or tax_fen > content["tax_fen"] or blue in ended:
            tally.add("diverged", f"{blue} of {content['net_fen']} is reversed by {net_fen}")
        whole = net_fen == content["net_fen"]
        state = "STATE_REVERSED" if whole else "STATE_PARTLY_REVERSED"
        found[blue] = Standing(state, net_fen, tax_fen)
    return found


def check_standings(
    expected: dict[Place, Standing],
    statements: Iterable[VoidStatement],
    listed: Iterable[Invoice],
    tally: Tally,
) -> None:
    """The gateway's own list of what is void or reversed has just that, with the same statements.

    ``listed`` is everything it says is not simply issued.
    """
    known = {place_of(one.invoice): one for one in statements}
    missing = dict(expected)
    for invoice in listed:
        place = invoice.issued.code, invoice.issued.number
        standing = Standing(
            Invoice.State.Name(invoice.state), invoice.reversed_net_fen, invoice.reversed_tax_fen
        )
        wanted = missing.pop(place, None)
        if standing != wanted:
            tally.add("diverged", f"{place} is listed as {standing}, and should be {wanted}")
        if place in known and invoice.void_statement != known[place]:
            tally.add("lost", f"{place} has another void than was answered")
    for place, wanted in missing.items():
        tally.add("lost", f"{place} should be {wanted}, and is not listed so")


def check_record(
    answers: Iterable[IssuedInvoice],
    events: Iterable[authority_pb2.RecordedEvent],
    tally: Tally,
    *,
    voids: Iterable[VoidStatement] = (),
    blank_voids: Iterable[VoidStatement] = (),
    refused: Iterable[str] = (),
) -> None:
    """The authority accepted each event once, with the same bytes, and nothing else.

    ``refused`` are invoices it is known to have refused for good.
    """
    missing: dict[tuple[str, Place], tuple[bytes, bytes]] = {}
    for issued in answers:
        missing["EVENT_ISSUE", (issued.code, issued.number)] = _digests(issued)
    for event, statements in (("EVENT_VOID", voids), ("EVENT_BLANK_VOID", blank_voids)):
        missing |= {(event, place_of(one.invoice)): _digests(one) for one in statements}
    for record in events:
        if record.result.verdict != authority_pb2.ItemResult.VERDICT_ACCEPTED:
            continue
        place = record.result.code, record.result.number
        what = UploadItem.Event.Name(record.result.event)
        digests = missing.pop((what, place), None)
        if digests is None:
            tally.add("diverged", f"{what} of {place} accepted twice, or never made")
        elif (record.content_digest, record.signature_digest) != digests:
            tally.add("diverged", f"{what} of {place} was accepted with other bytes")
    known = set(refused)
    for what, (code, number) in missing:
        if what != "EVENT_ISSUE" or f"{code}-{number}" not in known:
            tally.add("diverged", f"{what} of {(code, number)} never reached the authority")


def _digests(signed: IssuedInvoice | VoidStatement) -> tuple[bytes, bytes]:
    return hashlib.sha256(signed.content).digest(), hashlib.sha256(signed.signature).digest()


def _taken(segment: Segment) -> list[tuple[str, int]]:
    first = int(segment.first_number)
    count = segment.total_count - segment.available_count
    return [(segment.code, number) for number in range(first, first + count)]
