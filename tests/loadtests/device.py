"""A device that numbers and signs as the gateway does, with the key in memory."""

import datetime as dt
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from invoice import content
from invoice.statements import blank_void, void
from loadtests import checks
from taxcontrol.v1.invoice_pb2 import IssuedInvoice, VoidStatement
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from tests.samples.translation import draft

MACHINE = "539900000001"
CODE = "011002600111"
_TIME = 1_795_276_800


class Device:
    """One key and its certificate."""

    def __init__(self, machine: str = MACHINE) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, machine)])
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        self.certificate = (
            x509.CertificateBuilder(name, name, self._key.public_key(), 1)
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=365))
            .sign(self._key, SHA256())
            .public_bytes(Encoding.DER)
        )

    def issue(
        self, request: IssueInvoiceRequest, *, number: str = "00000001", code: str = CODE
    ) -> IssuedInvoice:
        """Answer a request."""
        _, taxpayer, _, point = request.point.split("/")
        tail = content.tail(draft(request), taxpayer=taxpayer, point=int(point))
        whole = content.complete(tail, device=MACHINE, code=code, number=number, issue_time=_TIME)
        return self.answer(whole, request_id=request.request_id)

    def answer(self, whole: bytes, *, request_id: str) -> IssuedInvoice:
        """Sign a content and wrap it."""
        said = orjson.loads(whole)
        code, number = said["code"], said["number"]
        short = f"{code}-{number}" if code else number
        return IssuedInvoice(
            name=f"taxpayers/{said['taxpayer']}/invoices/{short}",
            request_id=request_id,
            type=said["type"],
            code=code,
            number=number,
            machine_number=said["device"],
            content=whole,
            signature=self.sign(checks.INVOICE, whole),
            key_id="k1",
        )

    def red(self, blue: IssuedInvoice, *, request_id: str, **changed: Any) -> IssuedInvoice:
        """The full red of a blue; ``changed`` members are as told."""
        said = orjson.loads(blue.content)
        for line in said["lines"]:
            line["amount_fen"], line["tax_fen"] = -line["amount_fen"], -line["tax_fen"]
        for name in ("net_fen", "tax_fen", "gross_fen"):
            said[name] = -said[name]
        said["original"] = {"code": blue.code, "number": blue.number}
        said.update(kind="red", number="00000002")
        said.update(changed)
        return self.answer(orjson.dumps(said), request_id=request_id)

    def void(self, blue: IssuedInvoice, *, request_id: str, reason: str) -> VoidStatement:
        """The void of an invoice."""
        said = orjson.loads(blue.content)
        whole = void(blue.content, **_of_statement(said), type=said["type"], reason=reason)
        return self._statement(checks.VOID, whole, blue.name, request_id)

    def blank(self, number: str, *, request_id: str, reason: str) -> VoidStatement:
        """The void of a number that was never an invoice."""
        place = {"number": number, "code": CODE, "device": MACHINE, "point": 0, "taxpayer": "1"}
        whole = blank_void(**_of_statement(place), type="026", reason=reason)
        return self._statement(
            checks.BLANK_VOID, whole, f"taxpayers/1/invoices/{CODE}-{number}", request_id
        )

    def sign(self, schema: str, whole: bytes) -> bytes:
        """Raw ECDSA, r then s."""
        digest = sha256(schema.encode() + b"\0" + whole).digest()
        der = self._key.sign(digest, ec.ECDSA(utils.Prehashed(SHA256())))
        return b"".join(half.to_bytes(32, "big") for half in utils.decode_dss_signature(der))

    def _statement(self, schema: str, whole: bytes, invoice: str, request_id: str) -> VoidStatement:
        return VoidStatement(
            invoice=invoice,
            request_id=request_id,
            machine_number=MACHINE,
            content=whole,
            signature=self.sign(schema, whole),
            key_id="k1",
        )


def _of_statement(said: Mapping[str, Any]) -> dict[str, Any]:
    members = {name: said[name] for name in ("device", "code", "number", "taxpayer", "point")}
    return {**members, "void_time": _TIME}
