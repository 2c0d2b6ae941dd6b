"""Whether an answer is right: it says what was asked for, and the device's key has signed it.

Every function answers sentences, none when all is well. They are a caller's own checks: made from the
contract and ``docs/api.md``, with no code of the gateway.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from google.protobuf.message import Message

from taxcontrol.v1.invoice_pb2 import (
    INVOICE_KIND_RED,
    IssuedInvoice,
    Line,
    VoidStatement,
    ZeroRateFlag,
)
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest

INVOICE: Final = "taxcontrol.invoice.v1"
VOID: Final = "taxcontrol.void.v1"
BLANK_VOID: Final = "taxcontrol.blank-void.v1"

# What the gateway adds, and what belongs to the call rather than to the document.
_HEAD: Final = frozenset({"schema", "device", "code", "number", "issue_time"})
_OF_THE_CALL: Final = frozenset({"request_id", "point", "priority", "kind"})
_NATURES: Final = {Line.NATURE_DISCOUNT: "discount", Line.NATURE_DISCOUNTED: "discounted"}
_TOTALS: Final = ("net_fen", "tax_fen", "gross_fen")


def issued_faults(request: IssueInvoiceRequest, issued: IssuedInvoice) -> list[str]:
    """What in an issued invoice is not what ``request`` asked for."""
    try:
        said = _read(issued.content, INVOICE)
    except ValueError as error:
        return [str(error)]
    wanted = _wanted(request)
    told = {name: _told(value) for name, value in said.items() if name not in _HEAD}
    # Content leaves out what is empty, and states totals even when they are 0.
    names = [
        name
        for name in sorted(wanted.keys() | told.keys())
        if (wanted.get(name) or None) != (told.get(name) or None)
    ]
    return [
        *(f"{name} is {told.get(name)!r}, asked for {wanted.get(name)!r}" for name in names),
        *_identity_faults(request.request_id, issued, said),
    ]


def red_faults(blue: IssuedInvoice, red: IssuedInvoice, *, request_id: str) -> list[str]:
    """What in the full red of ``blue`` is not its exact opposite.

    ``blue`` has no discount lines: a red has none, so there its lines would be fewer.
    """
    try:
        was, said = _read(blue.content, INVOICE), _read(red.content, INVOICE)
    except ValueError as error:
        return [str(error)]
    original = {"code": blue.code, "number": blue.number}
    faults = list(_identity_faults(request_id, red, said))
    if said.get("kind") != "red" or said.get("original") != original:
        faults.append(
            f"reverses {said.get('original')!r} as {said.get('kind')!r}, not {original!r}"
        )
    faults += [
        f"{name} is {said.get(name)}, of a blue of {was[name]}"
        for name in _TOTALS
        if said.get(name) != -was[name]
    ]
    amounts = [line["amount_fen"] for line in said["lines"]]
    if amounts != [-line["amount_fen"] for line in was["lines"]]:
        faults.append(f"lines of {amounts} are not those of its blue")
    faults += [
        f"{name} is not that of its blue"
        for name in ("seller", "buyer", "taxpayer")
        if said.get(name) != was[name]
    ]
    return faults


def void_faults(
    invoice: IssuedInvoice, statement: VoidStatement, *, request_id: str, reason: str
) -> list[str]:
    """What in a void is not the void of ``invoice`` that was asked for."""
    expected = {
        "code": invoice.code,
        "number": invoice.number,
        "invoice_digest": sha256(invoice.content).hexdigest(),
        "reason": reason,
    }
    return _statement_faults(VOID, statement, expected, request_id)


def blank_void_faults(
    statement: VoidStatement, *, code: str, number: str, request_id: str, reason: str
) -> list[str]:
    """What in a blank void is not that of the number that was named."""
    expected = {"code": code, "number": number, "reason": reason}
    return _statement_faults(BLANK_VOID, statement, expected, request_id)


def replay_faults(first: IssuedInvoice, again: IssuedInvoice, *, replayed: bool) -> list[str]:
    """What is not the same when a request is sent once more."""
    faults = [] if replayed else ["sent again and not called a replay"]
    if first != again:
        faults.append(f"sent again it is {again.name}, or has other bytes")
    return faults


def signature_faults(
    schema: str, answer: IssuedInvoice | VoidStatement, certificate: bytes
) -> list[str]:
    """Why ``certificate`` does not show that the answer's own device signed its content."""
    read = x509.load_der_x509_certificate(certificate)
    names = [str(one.value) for one in read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [answer.machine_number]:
        return [f"the certificate is of {names}, the device is {answer.machine_number}"]
    digest = sha256(schema.encode() + b"\0" + answer.content).digest()
    try:
        _verify(read, digest, answer.signature)
    except (InvalidSignature, ValueError):
        return [f"the signature of {answer.key_id} does not fit the content"]
    return []


def _verify(certificate: x509.Certificate, digest: bytes, signature: bytes) -> None:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        key.verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(utils.Prehashed(SHA256())))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, digest)
    elif isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
        key.verify(signature, digest, pss, utils.Prehashed(SHA256()))
    else:
        raise InvalidSignature


def _identity_faults(
    request_id: str, issued: IssuedInvoice, said: Mapping[str, Any]
) -> Iterator[str]:
    short = f"{issued.code}-{issued.number}" if issued.code else issued.number
    name = f"taxpayers/{said.get('taxpayer')}/invoices/{short}"
    for what, got, expected in (
        ("request_id", issued.request_id, request_id),
        ("name", issued.name, name),
        ("type", issued.type, said.get("type")),
        ("code", said.get("code"), issued.code),
        ("number", said.get("number"), issued.number),
        ("device", said.get("device"), issued.machine_number),
    ):
        if got != expected:
            yield f"{what} is {got!r}, not {expected!r}"


def _statement_faults(
    schema: str, statement: VoidStatement, expected: Mapping[str, str], request_id: str
) -> list[str]:
    try:
        said = _read(statement.content, schema)
    except ValueError as error:
        return [str(error)]
    whole = {**expected, "device": statement.machine_number}
    faults = [
        f"{name} is {said.get(name)!r}, not {value!r}"
        for name, value in whole.items()
        if said.get(name) != value
    ]
    if statement.request_id != request_id:
        faults.append(f"request_id is {statement.request_id!r}, not {request_id!r}")
    return faults


def _read(content: bytes, schema: str) -> dict[str, Any]:
    members = orjson.loads(content)
    if not isinstance(members, dict) or members.get("schema") != schema:
        raise ValueError(f"the content is not of schema {schema}")
    return members


def _wanted(request: IssueInvoiceRequest) -> dict[str, Any]:
    """The members a content must have for ``request``, without what is empty."""
    _, taxpayer, _, point = request.point.split("/")
    members: dict[str, Any] = {
        "taxpayer": taxpayer,
        "point": int(point),
        "kind": "red" if request.kind == INVOICE_KIND_RED else "blue",
    }
    for field, value in request.ListFields():
        if field.name == "lines":
            members["lines"] = [_line(line) for line in value]
        elif isinstance(value, Message):
            members[field.name] = {part.name: text for part, text in value.ListFields()}
        elif field.name not in _OF_THE_CALL:
            members[field.name] = value
    return members


def _line(line: Line) -> dict[str, Any]:
    members = {field.name: value for field, value in line.ListFields()}
    members.pop("nature", None)
    if line.nature in _NATURES:
        members["nature"] = _NATURES[line.nature]
    if line.zero_rate_flag:
        # The contract counts from 1, the authority's codes from 0.
        members["zero_rate_flag"] = str(line.zero_rate_flag - ZeroRateFlag.ZERO_RATE_FLAG_EXPORT)
    return members


def _told(value: Any) -> Any:
    """A member as :func:`_wanted` has it: without empty parts, plain lines without their nature."""
    if isinstance(value, dict):
        return {
            name: part
            for name, part in value.items()
            if name == "deduction_fen" or (part and (name, part) != ("nature", "plain"))
        }
    if isinstance(value, list):
        return [_told(one) for one in value]
    return value
