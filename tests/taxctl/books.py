"""What the fake gateway of these tests knows: request ids, invoices, changes; and how it refuses."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2
from grpc_status import rpc_status

from taxcontrol.admin.v1.audit_service_pb2 import AuditRecord
from taxcontrol.v1.invoice_pb2 import INVOICE_KIND_BLUE, Invoice, InvoiceKind, IssuedInvoice
from taxcontrol.v1.invoice_query_pb2 import InvoiceChange
from tests.taxctl.desk import Trouble

TAXPAYER = "taxpayers/91110000AYTLHUJ0ET"
CODE = "011002600111"
# 2026-11-22 10:00:00 in China.
NOON = 1_795_312_800
DAY_S = 86_400

_Response = TypeVar("_Response", bound=Message)


@dataclass
class Books:
    """Everything stored, behind one lock; ``seen`` are the requests of every call, in order."""

    invoices: dict[str, Invoice] = field(default_factory=dict)
    changes: list[InvoiceChange] = field(default_factory=list)
    bound: dict[str, tuple[bytes, Message]] = field(default_factory=dict)
    seen: list[Message] = field(default_factory=list)
    audit: list[AuditRecord] = field(default_factory=list)
    now: int = NOON
    changed: threading.Condition = field(default_factory=threading.Condition)

    def issue(
        self,
        number: int,
        *,
        net_fen: int = 100_00,
        type: str = "026",
        point: int = 0,
        at: int | None = None,
        kind: InvoiceKind.ValueType = INVOICE_KIND_BLUE,
        original: str = "",
    ) -> str:
        """Store an issued invoice and its change; the value is its name."""
        digits = f"{number:08}"
        name = f"{TAXPAYER}/invoices/{CODE}-{digits}"
        issued = IssuedInvoice(
            name=name,
            request_id=f"issue-{number}",
            type=type,
            code=CODE,
            number=digits,
            machine_number="499000000001",
            check_code=f"{number:020}",
            qr_text=f"01,10,{CODE},{digits}",
            signature=b"\x5a" * 64,
            key_id="k1",
            signature_algorithm="P-256",
            content=f'{{"buyer":{{"name":"示例买方{number}"}},"lines":[]}}'.encode(),
        )
        issued.issue_time.seconds = self.now if at is None else at
        invoice = Invoice(
            issued=issued,
            point=f"{TAXPAYER}/points/{point}",
            kind=kind,
            state=Invoice.STATE_ISSUED,
            upload_state=Invoice.UPLOAD_STATE_PENDING,
            net_fen=net_fen,
            tax_fen=net_fen * 6 // 100,
            original=original,
            certificate=b"DER of k1",
        )
        self.invoices[name] = invoice
        self.change(name, InvoiceChange.TYPE_ISSUED)
        return name

    def change(self, name: str, what: InvoiceChange.Type.ValueType) -> None:
        """Store a change, and wake who watches."""
        with self.changed:
            told = InvoiceChange(type=what, invoice=self.invoices[name])
            told.change_time.seconds = self.now
            self.changes.append(told)
            self.changed.notify_all()

    def once(
        self,
        request: Message,
        context: grpc.ServicerContext,
        act: Callable[[bool], _Response],
    ) -> _Response:
        """Act once for one request id; ``act`` hears whether it must change nothing."""
        self.seen.append(request)
        names = {one.name for one in request.DESCRIPTOR.fields}
        dry = "validate_only" in names and bool(getattr(request, "validate_only"))  # noqa: B009
        request_id = str(getattr(request, "request_id"))  # noqa: B009
        if not request_id:
            refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
        meant = _meant(request)
        if request_id in self.bound:
            before, answer = self.bound[request_id]
            if before != meant:
                refuse(context, code_pb2.ALREADY_EXISTS, "REQUEST_ID_REUSED")
            again = type(answer)()
            again.CopyFrom(answer)
            setattr(again, "replayed", True)  # noqa: B010
            return again  # type: ignore[return-value]
        answer = act(dry)
        if not dry:
            self.bound[request_id] = (meant, answer)
            self._note(request, context)
        return answer

    def _note(self, request: Message, context: grpc.ServicerContext) -> None:
        """Leave an audit record of what was done, by whom, and why."""
        said = dict(context.invocation_metadata())
        fields = {one.name: value for one, value in request.ListFields()}
        threshold = fields.get("threshold")
        record = AuditRecord(
            audit_id=len(self.audit) + 1,
            actor=str(said.get("operator", "")),
            action=type(request).__name__.removesuffix("Request"),
            target=str(
                fields.get("parent") or fields.get("name") or getattr(threshold, "parent", "")
            ),
            reason=str(fields.get("reason", "")),
            request_id=str(fields["request_id"]),
        )
        record.act_time.seconds = self.now
        self.audit.append(record)


def refuse(
    context: grpc.ServicerContext,
    code: int,
    reason: str,
    message: str = "refused",
    facts: Mapping[str, str] | None = None,
) -> NoReturn:
    """End the call with a status as the gateway makes it."""
    trouble = Trouble(code=code, reason=reason, message=message, facts=facts or {})
    context.abort_with_status(rpc_status.to_status(trouble.status()))


def _meant(request: Message) -> bytes:
    """What a request id stands for: everything but whether it was tried."""
    kept = type(request)()
    kept.CopyFrom(request)
    if "validate_only" in {one.name for one in request.DESCRIPTOR.fields}:
        kept.ClearField("validate_only")
    return kept.SerializeToString(deterministic=True)
