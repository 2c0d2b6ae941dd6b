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
from taxctl.screen import civil, yuan
from taxctl.times import month
from taxctl.wire_words import word

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
        ("name", issued.name),
        ("request id", issued.request_id),
        ("point", invoice.point),
        ("type", issued.type),
        *standing(invoice),
        ("rejection", invoice.rejection),
        ("acceptance serial", invoice.acceptance_serial),
        *_marks(issued),
        *(void_facts(invoice.void_statement) if invoice.HasField("void_statement") else []),
    ]


def standing(invoice: Invoice) -> Facts:
    """What decides whether it can be reversed or voided."""
    if invoice.state == Invoice.STATE_BLANK_VOIDED:
        # It was never an invoice: it has no kind, no amount and no time of issue.
        return [("state", state_word(invoice)), ("upload", upload_word(invoice.upload_state))]
    return [
        ("kind", kind_word(invoice)),
        ("state", state_word(invoice)),
        ("buyer", buyer_name(invoice)),
        ("net (yuan)", yuan(invoice.net_fen)),
        ("tax (yuan)", yuan(invoice.tax_fen)),
        *_reversed(invoice),
        ("original", invoice.original),
        ("issued at", civil(invoice.issued.issue_time)),
        ("upload", upload_word(invoice.upload_state)),
    ]


def issued_facts(issued: IssuedInvoice) -> Facts:
    """What an invoice is for good."""
    return [
        ("name", issued.name),
        ("request id", issued.request_id),
        ("type", issued.type),
        ("issued at", civil(issued.issue_time)),
        *_marks(issued),
    ]


def void_facts(statement: VoidStatement) -> Facts:
    """A signed void."""
    return [
        ("voided at", civil(statement.void_time)),
        ("void reason", _reason(statement.content)),
        ("void request id", statement.request_id),
        ("void device", statement.machine_number),
        ("void key", _key(statement.key_id, statement.signature_algorithm)),
        ("void signature", statement.signature.hex()),
    ]


def against_reversing(invoice: Invoice) -> str:
    """Why it looks as if it could not be reversed in full; empty when nothing speaks against it."""
    if invoice.kind == INVOICE_KIND_RED:
        return "it is a red invoice itself"
    if invoice.state != Invoice.STATE_ISSUED:
        return f"it is {state_word(invoice)}"
    if invoice.upload_state == Invoice.UPLOAD_STATE_SIGNATURE_REJECTED:
        return "the authority rejected its signature: it must be voided"
    return ""


def against_voiding(invoice: Invoice, now: datetime) -> str:
    """Why it looks as if it could not be voided at ``now``; empty when nothing speaks against it."""
    if invoice.state in _WITH_REDS:
        return f"it is {state_word(invoice)}: void the red first"
    if invoice.state != Invoice.STATE_ISSUED:
        return f"it is {state_word(invoice)}"
    of_issue, current = month(invoice.issued.issue_time), month(now)
    if of_issue != current:
        return f"it was issued in {of_issue}, and this is {current}: reverse it instead"
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
        ("reversed net", yuan(invoice.reversed_net_fen)),
        ("reversed tax", yuan(invoice.reversed_tax_fen)),
        ("remaining net", yuan(invoice.net_fen - invoice.reversed_net_fen)),
        ("remaining tax", yuan(invoice.tax_fen - invoice.reversed_tax_fen)),
    ]


def _marks(issued: IssuedInvoice) -> Facts:
    return [
        ("device", issued.machine_number),
        ("key", _key(issued.key_id, issued.signature_algorithm)),
        ("signature", issued.signature.hex()),
        ("check code", issued.check_code),
        ("fiscal code", issued.fiscal_code),
        ("QR text", issued.qr_text),
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
