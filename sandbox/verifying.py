"""Asking as a stranger does whether an invoice is genuine (查验)."""

from collections.abc import Sequence
from typing import Final

from sandbox.stage import Disagreement, Stage
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_query_pb2 import VerifyInvoiceRequest, VerifyInvoiceResponse

Verdict = VerifyInvoiceResponse.Verdict

# Of the QR text's checksum: CRC-16, polynomial 0x8005, start 0, not reflected.
_POLYNOMIAL: Final = 0x18005
_OVERFLOW: Final = 0x10000


def verify(
    stage: Stage,
    *,
    genuine: IssuedInvoice,
    voided: IssuedInvoice,
    reversed_blues: Sequence[IssuedInvoice],
) -> None:
    """Ask by QR text; a forged amount, its checksum made right, is not ours."""
    cases = [
        (genuine.qr_text, Verdict.VERDICT_GENUINE),
        (voided.qr_text, Verdict.VERDICT_VOIDED),
        *((blue.qr_text, Verdict.VERDICT_REVERSED) for blue in reversed_blues),
        (forged(genuine.qr_text), Verdict.VERDICT_NOT_OURS),
    ]
    for qr_text, expected in cases:
        request = VerifyInvoiceRequest(qr_text=qr_text)
        found = stage.connection.call(stage.invoices.VerifyInvoice, request).verdict
        if found != expected:
            raise Disagreement(
                f"{qr_text} is {Verdict.Name(found)} to a stranger, not {Verdict.Name(expected)}"
            )
    stage.tell(
        "verify",
        "by QR text: genuine, voided, reversed in part and in full; with a forged amount: not ours",
    )


def forged(qr_text: str) -> str:
    """The same QR text with a digit of the amount changed and a checksum that fits."""
    fields = qr_text.split(",")[:-1]
    amount = fields[4]
    fields[4] = amount[:-1] + ("1" if amount[-1] == "0" else "0")
    text = ",".join(fields) + ","
    return f"{text}{_crc16(text.encode('ascii')):04X}"


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc <<= 1
            if crc & _OVERFLOW:
                crc ^= _POLYNOMIAL
    return crc
