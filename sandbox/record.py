"""An authority's own record against what was done."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from sandbox.deeds import Deeds, ReturnedNumbers, parts
from taxcontrol.authority.v1.authority_pb2 import (
    ItemResult,
    RecordedEvent,
    StockReturn,
    UploadItem,
)
from taxcontrol.authority.v1.simulator_service_pb2 import ExportRecordRequest
from taxcontrol.authority.v1.simulator_service_pb2_grpc import SimulatorServiceStub
from taxctl.connection import Connection

_WORDS: Final = {
    UploadItem.EVENT_ISSUE: "issued",
    UploadItem.EVENT_VOID: "voided",
    UploadItem.EVENT_BLANK_VOID: "voided blank",
}


class _Fact(NamedTuple):
    """One event, by what cannot differ: its digests are SHA-256 of content and signature."""

    event: "UploadItem.Event.ValueType"
    code: str
    number: str
    content_digest: bytes
    signature_digest: bytes

    def __str__(self) -> str:
        return f"{self.code}-{self.number}"

    @property
    def word(self) -> str:
        """What happened."""
        return _WORDS.get(self.event, f"event {self.event}")


def differences(simulator: Connection, deeds: Deeds) -> list[str]:
    """Compare both ways, events byte by byte through digests; a sentence per difference."""
    events, returns = _record(simulator)
    return [*_of_events(events, _facts(deeds)), *_of_returns(returns, deeds.returned)]


def recorded_numbers(simulator: Connection) -> set[tuple[str, str]]:
    """Code and number of every invoice the authority has accepted."""
    events, _ = _record(simulator)
    return {
        (event.result.code, event.result.number)
        for event in events
        if event.result.verdict == ItemResult.VERDICT_ACCEPTED
    }


def _of_events(record: list[RecordedEvent], ours: set[_Fact]) -> Iterator[str]:
    theirs: set[_Fact] = set()
    for event in record:
        result = event.result
        fact = _Fact(
            result.event,
            result.code,
            result.number,
            event.content_digest,
            event.signature_digest,
        )
        if result.verdict != ItemResult.VERDICT_ACCEPTED:
            yield f"{fact}: refused by the authority: {result.reason}"
            continue
        if fact in theirs:
            yield f"{fact}: {fact.word} on the authority's record twice"
        theirs.add(fact)
    for fact in sorted(ours - theirs):
        yield f"{fact}: {fact.word}, and not on the authority's record with these bytes"
    for fact in sorted(theirs - ours):
        yield f"{fact}: on the authority's record, and not {fact.word} here with these bytes"


def _of_returns(record: list[StockReturn], ours: list[ReturnedNumbers]) -> Iterator[str]:
    theirs = [_returned(one) for one in record]
    for one in sorted(theirs):
        if theirs.count(one) > 1:
            yield f"{one.code}-{one.first_number}: on the authority's record of returns twice"
    for one in sorted(set(ours) - set(theirs)):
        yield f"{one.code}-{one.first_number}: returned, and not on the authority's record"
    for one in sorted(set(theirs) - set(ours)):
        yield f"{one.code}-{one.first_number}: on the authority's record, and not returned"


def _record(simulator: Connection) -> tuple[list[RecordedEvent], list[StockReturn]]:
    stub = SimulatorServiceStub(simulator.channel)
    events, returns = [], []
    for piece in simulator.stream(stub.ExportRecord, ExportRecordRequest()):
        match piece.WhichOneof("piece"):
            case "event":
                events.append(piece.event)
            case "stock_return":
                returns.append(piece.stock_return)
    return events, returns


def _facts(deeds: Deeds) -> set[_Fact]:
    signed: Iterable[tuple[UploadItem.Event.ValueType, str, bytes, bytes]] = (
        *((UploadItem.EVENT_ISSUE, i.name, i.content, i.signature) for i in deeds.issued),
        *((UploadItem.EVENT_VOID, v.invoice, v.content, v.signature) for v in deeds.voids),
        *(
            (UploadItem.EVENT_BLANK_VOID, v.invoice, v.content, v.signature)
            for v in deeds.blank_voids
        ),
    )
    found = set()
    for event, name, content, signature in signed:
        _, code, number = parts(name)
        digests = sha256(content).digest(), sha256(signature).digest()
        found.add(_Fact(event, code, number, *digests))
    return found


def _returned(one: StockReturn) -> ReturnedNumbers:
    first_number = f"{one.prefix}{one.first:0{one.width - len(one.prefix)}}"
    return ReturnedNumbers(one.tax_number, one.type, one.code, first_number, one.count)
