"""The authority's own record against what was issued."""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from taxcontrol.authority.v1.authority_pb2 import ItemResult, RecordedEvent, UploadItem
from taxcontrol.authority.v1.simulator_service_pb2 import ExportRecordRequest
from taxcontrol.authority.v1.simulator_service_pb2_grpc import SimulatorServiceStub
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxctl.connection import Connection

# Code, number, SHA-256 of the content, SHA-256 of the signature.
Fingerprint = tuple[str, str, bytes, bytes]


def differences(simulator: Connection, issued: Iterable[IssuedInvoice]) -> list[str]:
    """Compare both ways, byte by byte through digests; a sentence per difference."""
    return list(_compared(_record(simulator), {_fingerprint(one) for one in issued}))


def _compared(record: list[RecordedEvent], ours: set[Fingerprint]) -> Iterator[str]:
    theirs: set[Fingerprint] = set()
    for event in record:
        result = event.result
        name = f"{result.code}-{result.number}"
        if result.verdict != ItemResult.VERDICT_ACCEPTED:
            yield f"{name}: refused by the authority: {result.reason}"
            continue
        if result.event != UploadItem.EVENT_ISSUE:
            yield f"{name}: the authority has an event that nobody made"
            continue
        digests = (event.content_digest, event.signature_digest)
        fingerprint = (result.code, result.number, *digests)
        if fingerprint in theirs:
            yield f"{name}: on the authority's record twice"
        theirs.add(fingerprint)
    for code, number, *_ in sorted(ours - theirs):
        yield f"{code}-{number}: issued, and not on the authority's record with these bytes"
    for code, number, *_ in sorted(theirs - ours):
        yield f"{code}-{number}: on the authority's record, and not issued with these bytes"


def _record(simulator: Connection) -> list[RecordedEvent]:
    stub = SimulatorServiceStub(simulator.channel)
    pieces = simulator.stream(stub.ExportRecord, ExportRecordRequest())
    return [piece.event for piece in pieces if piece.WhichOneof("piece") == "event"]


def _fingerprint(issued: IssuedInvoice) -> Fingerprint:
    content, signature = sha256(issued.content).digest(), sha256(issued.signature).digest()
    return issued.code, issued.number, content, signature
