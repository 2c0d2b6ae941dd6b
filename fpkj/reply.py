"""The FPKJ reply: what a platform of the old interface expects back."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from fpkj.markup import element, encode, mended
from taxcontrol.v1 import invoice_pb2 as pb

_RESPONSE: Final = "RESPONSE_COMMON_FPKJ"
_SHANGHAI: Final = timezone(timedelta(hours=8))
_DONE: Final = "0000"
_FAILED: Final = "9999"


def reply(outcome: pb.IssuedInvoice | str, *, request_id: str) -> bytes:
    """Write the reply to one request: the issued invoice (0000), or why there is none (9999).

    ``FPQQLSH`` is given back so that the caller can match. ``EWM`` is the text of the QR code.
    """
    if isinstance(outcome, str):
        fields = {"RETURNCODE": _FAILED, "RETURNMSG": outcome}
    else:
        fields = _issued(outcome)
    written = {"FPQQLSH": request_id, **fields}
    return encode(_RESPONSE, [element(tag, mended(text)) for tag, text in written.items()])


def _issued(issued: pb.IssuedInvoice) -> dict[str, str]:
    issued_at = issued.issue_time.ToDatetime(UTC).astimezone(_SHANGHAI)
    return {
        "JQBH": issued.machine_number,
        "FP_DM": issued.code,
        "FP_HM": issued.number,
        "KPRQ": _stamp(issued_at),
        "FP_MW": issued.fiscal_code,
        "JYM": issued.check_code,
        "EWM": issued.qr_text,
        "RETURNCODE": _DONE,
        "RETURNMSG": "",
    }


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}"
