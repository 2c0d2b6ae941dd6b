"""Between the wire and our nouns. Translates and names what cannot be translated; judges nothing."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from invoice import marks
from invoice.content import SHANGHAI
from invoice.document import Draft, Kind, Line, Nature, Original, Party, ZeroRateFlag
from invoice.errors import Violation
from invoice.identifiers import invoice_name, point_name
from invoice.lifecycle import InvoiceState
from ledger.records import Entry, InvoiceRecord, StatementRecord
from taxcontrol.v1 import invoice_pb2, invoice_service_pb2

_KINDS = {
    invoice_pb2.INVOICE_KIND_BLUE: Kind.BLUE,
    invoice_pb2.INVOICE_KIND_RED: Kind.RED,
}
_WIRE_KINDS = {kind: number for number, kind in _KINDS.items()}
_NATURES = {
    invoice_pb2.Line.NATURE_UNSPECIFIED: Nature.PLAIN,
    invoice_pb2.Line.NATURE_PLAIN: Nature.PLAIN,
    invoice_pb2.Line.NATURE_DISCOUNT: Nature.DISCOUNT,
    invoice_pb2.Line.NATURE_DISCOUNTED: Nature.DISCOUNTED,
}
_FLAGS = {
    invoice_pb2.ZERO_RATE_FLAG_UNSPECIFIED: ZeroRateFlag.EMPTY,
    invoice_pb2.ZERO_RATE_FLAG_EXPORT: ZeroRateFlag.EXPORT,
    invoice_pb2.ZERO_RATE_FLAG_EXEMPT: ZeroRateFlag.EXEMPT,
    invoice_pb2.ZERO_RATE_FLAG_NOT_TAXABLE: ZeroRateFlag.NOT_TAXABLE,
    invoice_pb2.ZERO_RATE_FLAG_PLAIN_ZERO: ZeroRateFlag.PLAIN_ZERO,
}

Request = invoice_service_pb2.IssueInvoiceRequest


def draft(request: Request) -> tuple[Draft, list[Violation]]:
    """The draft a request asks for, and a violation for every enum value that means nothing.

    Where a value means nothing the draft has a harmless one, so that the rules can still name
    everything else that is wrong.
    """
    return draft_of(request, *lines(request.lines))


def lines(wire: Iterable[invoice_pb2.Line], first: int = 0) -> tuple[list[Line], list[Violation]]:
    """Some lines of a request, from index ``first`` on, and what ``draft`` says of their enums."""
    unknown: list[Violation] = []
    return [_line(line, index, unknown) for index, line in enumerate(wire, first)], unknown


def draft_of(
    request: Request, lines: Iterable[Line], unknown_of_lines: Sequence[Violation]
) -> tuple[Draft, list[Violation]]:
    """The same as ``draft``, of a request whose lines have been read."""
    unknown: list[Violation] = []
    kind = _KINDS.get(request.kind)
    if kind is None:
        rule = "FIELD_FORMAT" if request.kind else "FIELD_REQUIRED"
        unknown.append(Violation("kind", rule, "must be blue or red"))
    made = Draft(
        kind=kind or Kind.BLUE,
        type=request.type,
        seller=_party(request.seller),
        buyer=_party(request.buyer),
        lines=tuple(lines),
        net_fen=request.net_fen,
        tax_fen=request.tax_fen,
        gross_fen=request.gross_fen,
        clerk=request.clerk,
        payee=request.payee,
        reviewer=request.reviewer,
        remark=request.remark,
        original=_original(request),
        red_notice_number=request.red_notice_number,
        red_reason=request.red_reason,
        list_attached=request.list_attached,
        code_table_version=request.code_table_version,
        donation_project=request.donation_project,
    )
    unknown += unknown_of_lines
    return made, unknown


def bulk(priority: int) -> bool:
    """Whether a request gives way to others. What means nothing to us is somebody who waits."""
    return priority == invoice_pb2.PRIORITY_BULK


def issued(entry: Entry, algorithm: str) -> invoice_pb2.IssuedInvoice:
    """A settled entry as callers get it: the stored bytes, and the marks derived from them."""
    assert entry.signature is not None
    return invoice_pb2.IssuedInvoice(
        name=invoice_name(entry.tax_number, entry.code, entry.number),
        request_id=entry.request_id,
        type=entry.type,
        code=entry.code,
        number=entry.number,
        machine_number=entry.machine_number,
        issue_time=timestamp(entry.issue_time),
        content=entry.content,
        signature=entry.signature,
        key_id=entry.key_id,
        signature_algorithm=algorithm,
        check_code=entry.check_code,
        fiscal_code=entry.fiscal_code,
        qr_text=marks.qr_text(
            type_code=entry.type,
            code=entry.code,
            number=entry.number,
            net_fen=entry.net_fen,
            issue_date=civil_date(entry.issue_time),
            check_code=entry.check_code,
        ),
    )


def invoice(record: InvoiceRecord, *, certificates: bool = True) -> invoice_pb2.Invoice:
    """An invoice with its current state; ``certificates`` may be left out, they are large."""
    entry, statement = record.entry, record.statement
    blank = entry.state is InvoiceState.BLANK_VOIDED
    made = invoice_pb2.Invoice(
        issued=_blank(entry) if blank else issued(entry, record.algorithm),
        point=point_name(entry.tax_number, entry.point),
        kind=_WIRE_KINDS[entry.kind],
        state=invoice_pb2.Invoice.State.Value(f"STATE_{entry.state}"),
        upload_state=invoice_pb2.Invoice.UploadState.Value(f"UPLOAD_STATE_{record.upload_state}"),
        rejection=record.rejection,
        acceptance_serial=record.acceptance_serial,
        net_fen=entry.net_fen,
        tax_fen=entry.tax_fen,
        reversed_net_fen=record.reversed_net_fen,
        reversed_tax_fen=record.reversed_tax_fen,
    )
    if record.original is not None:
        original = record.original
        made.original = invoice_name(entry.tax_number, original.code, original.number)
    if statement is not None and statement.signature is not None:
        made.void_statement.CopyFrom(void_statement(statement, record.statement_algorithm))
    if certificates:
        made.certificate = record.certificate
        made.void_certificate = record.statement_certificate
    return made


def void_statement(record: StatementRecord, algorithm: str) -> invoice_pb2.VoidStatement:
    """A statement as callers get it: the stored bytes. It has no signature until it is settled."""
    return invoice_pb2.VoidStatement(
        invoice=invoice_name(record.tax_number, record.code, record.number),
        request_id=record.request_id,
        machine_number=record.machine_number,
        void_time=timestamp(record.statement_time),
        content=record.content,
        signature=record.signature or b"",
        key_id=record.key_id,
        signature_algorithm=algorithm,
    )


def _blank(entry: Entry) -> invoice_pb2.IssuedInvoice:
    """What there is of a number that was voided unissued: no content and no signature."""
    return invoice_pb2.IssuedInvoice(
        name=invoice_name(entry.tax_number, entry.code, entry.number),
        # Before anybody took it, nobody asked for it.
        request_id=entry.request_id if entry.content else "",
        type=entry.type,
        code=entry.code,
        number=entry.number,
        machine_number=entry.machine_number,
        issue_time=timestamp(entry.issue_time),
    )


def timestamp(seconds: float) -> Timestamp:
    """Unix seconds on the wire."""
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * 1_000_000_000))


def civil_date(issue_time: int) -> date:
    """The day (Asia/Shanghai) of an issue time."""
    return datetime.fromtimestamp(issue_time, SHANGHAI).date()


def _party(wire: invoice_pb2.Party) -> Party:
    return Party(
        tax_number=wire.tax_number,
        name=wire.name,
        address_phone=wire.address_phone,
        bank_account=wire.bank_account,
    )


def _original(request: Request) -> Original | None:
    if not request.HasField("original"):
        return None
    return Original(code=request.original.code, number=request.original.number)


def _line(wire: invoice_pb2.Line, index: int, unknown: list[Violation]) -> Line:
    nature = _NATURES.get(wire.nature)
    if nature is None:
        unknown.append(
            Violation(f"lines[{index}].nature", "FIELD_FORMAT", "no such nature of a line")
        )
    flag = _FLAGS.get(wire.zero_rate_flag)
    if flag is None:
        unknown.append(
            Violation(f"lines[{index}].zero_rate_flag", "FIELD_FORMAT", "no such zero-rate flag")
        )
    return Line(
        nature=nature or Nature.PLAIN,
        name=wire.name,
        unit=wire.unit,
        specification=wire.specification,
        quantity=wire.quantity,
        unit_price=wire.unit_price,
        amount_fen=wire.amount_fen,
        tax_fen=wire.tax_fen,
        rate_ppm=wire.rate_ppm,
        classification_code=wire.classification_code,
        own_code=wire.own_code,
        preferential=wire.preferential,
        preferential_policy=wire.preferential_policy,
        zero_rate_flag=flag or ZeroRateFlag.EMPTY,
        deduction_fen=wire.deduction_fen if wire.HasField("deduction_fen") else None,
        tax_inclusive=wire.tax_inclusive,
    )
