"""An invoice, its void and its changes as a person reads them."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from taxcontrol.v1.invoice_pb2 import (
    INVOICE_KIND_BLUE,
    INVOICE_KIND_RED,
    Invoice,
    InvoiceKind,
    IssuedInvoice,
    VoidStatement,
)
from taxctl.screen import civil, fact, yuan
from taxctl.times import month
from taxctl.wire_words import word
from taxctl.words import tr

Facts = list[tuple[str, str]]

_WITH_REDS: Final = frozenset({Invoice.STATE_PARTLY_REVERSED, Invoice.STATE_REVERSED})


def state_word(invoice: Invoice) -> str:
    """Where it stands."""
    return word(Invoice.State.Name, invoice.state, "STATE_")


def kind_word(invoice: Invoice) -> str:
    """Blue or red; empty for a number that was never an invoice."""
    if invoice.state == Invoice.STATE_BLANK_VOIDED:
        return ""
    return word(InvoiceKind.Name, invoice.kind, "INVOICE_KIND_")


def buyer_name(invoice: Invoice) -> str:
    """The buyer's name, of a donation receipt the donor's, as it stands in the signed content."""
    buyer = _members(invoice.issued.content).get("buyer")
    name = buyer.get("name") if isinstance(buyer, dict) else None
    return name if isinstance(name, str) else ""


def upload_word(state: int) -> str:
    """Where an upload stands."""
    return word(Invoice.UploadState.Name, state, "UPLOAD_STATE_")


def invoice_facts(invoice: Invoice) -> Facts:
    """All of an invoice with its current state."""
    issued = invoice.issued
    return [
        fact("name", issued.name),
        fact("request id", issued.request_id),
        fact("point", invoice.point),
        fact("type", issued.type),
        *standing(invoice),
        fact("rejection", invoice.rejection),
        fact("acceptance serial", invoice.acceptance_serial),
        *_marks(issued),
        *(void_facts(invoice.void_statement) if invoice.HasField("void_statement") else []),
    ]


def standing(invoice: Invoice) -> Facts:
    """What decides whether it can be reversed or voided."""
    if invoice.state == Invoice.STATE_BLANK_VOIDED:
        # It was never an invoice: it has no kind, no amount and no time of issue.
        return [
            fact("state", state_word(invoice)),
            fact("upload", upload_word(invoice.upload_state)),
        ]
    return [
        fact("kind", kind_word(invoice)),
        fact("state", state_word(invoice)),
        fact("buyer", buyer_name(invoice)),
        fact("net (yuan)", yuan(invoice.net_fen)),
        fact("tax (yuan)", yuan(invoice.tax_fen)),
        *_reversed(invoice),
        fact("original", invoice.original),
        fact("issued at", civil(invoice.issued.issue_time)),
        fact("upload", upload_word(invoice.upload_state)),
    ]


def issued_facts(issued: IssuedInvoice) -> Facts:
    """What an invoice is for good."""
    return [
        fact("name", issued.name),
        fact("request id", issued.request_id),
        fact("type", issued.type),
        fact("issued at", civil(issued.issue_time)),
        *_marks(issued),
    ]


def void_facts(statement: VoidStatement) -> Facts:
    """A signed void."""
    return [
        fact("voided at", civil(statement.void_time)),
        fact("void reason", _reason(statement.content)),
        fact("void request id", statement.request_id),
        fact("void device", statement.machine_number),
        fact("void key", _key(statement.key_id, statement.signature_algorithm)),
        fact("void signature", statement.signature.hex()),
    ]


def against_reversing(invoice: Invoice) -> str:
    """Why it looks as if it could not be reversed in full; empty when nothing speaks against it."""
    if invoice.kind == INVOICE_KIND_RED:
        return tr("it is a red invoice itself")
    if invoice.state != Invoice.STATE_ISSUED:
        return tr("it is {state}").format(state=state_word(invoice))
    if invoice.upload_state == Invoice.UPLOAD_STATE_SIGNATURE_REJECTED:
        return tr("the authority rejected its signature: it must be voided")
    return ""


def against_voiding(invoice: Invoice, now: datetime) -> str:
    """Why it looks as if it could not be voided at ``now``; empty when nothing speaks against it."""
    if invoice.state in _WITH_REDS:
        return tr("it is {state}: void the red first").format(state=state_word(invoice))
    if invoice.state != Invoice.STATE_ISSUED:
        return tr("it is {state}").format(state=state_word(invoice))
    of_issue, current = month(invoice.issued.issue_time), month(now)
    if of_issue != current:
        return tr("it was issued in {month}, and this is {current}: reverse it instead").format(
            month=of_issue, current=current
        )
    return ""


def now() -> datetime:
    """This machine's time; the gateway judges by its own."""
    return datetime.now(UTC)


def _reversed(invoice: Invoice) -> Facts:
    if invoice.kind != INVOICE_KIND_BLUE or not (
        invoice.reversed_net_fen or invoice.reversed_tax_fen
    ):
        return []
    return [
        fact("reversed net", yuan(invoice.reversed_net_fen)),
        fact("reversed tax", yuan(invoice.reversed_tax_fen)),
        fact("remaining net", yuan(invoice.net_fen - invoice.reversed_net_fen)),
        fact("remaining tax", yuan(invoice.tax_fen - invoice.reversed_tax_fen)),
    ]


def _marks(issued: IssuedInvoice) -> Facts:
    return [
        fact("device", issued.machine_number),
        fact("key", _key(issued.key_id, issued.signature_algorithm)),
        fact("signature", issued.signature.hex()),
        fact("check code", issued.check_code),
        fact("fiscal code", issued.fiscal_code),
        fact("QR text", issued.qr_text),
    ]


def _key(key_id: str, algorithm: str) -> str:
    return f"{key_id} ({algorithm})" if key_id else ""


def _reason(content: bytes) -> str:
    """The reason that stands in a signed void; empty when it cannot be found there."""
    reason = _members(content).get("reason")
    return reason if isinstance(reason, str) else ""


def _members(content: bytes) -> dict[str, Any]:
    """What a signed content holds; nothing when there is none that can be read."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
