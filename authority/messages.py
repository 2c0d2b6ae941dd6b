"""Records to wire messages and back.

Rule of this file: an answer outside the contract (an unknown verdict, a grant without a state)
raises ValueError; the client reports it as *unknown*, since the call may well have taken effect.
"""

from collections.abc import Sequence
from datetime import date

from authority.port import (
    Event,
    Grant,
    ItemResult,
    OfflineLimits,
    PeriodSummary,
    RateWindow,
    Registration,
    StockReturn,
    Submission,
    SubmissionResult,
    TypeAllowance,
    UploadItem,
    Verdict,
)
from invoice.document import Party
from taxcontrol.authority.v1 import authority_pb2, authority_service_pb2, period_pb2

_EVENT_WIRE = {
    Event.ISSUE: authority_pb2.UploadItem.EVENT_ISSUE,
    Event.VOID: authority_pb2.UploadItem.EVENT_VOID,
    Event.BLANK_VOID: authority_pb2.UploadItem.EVENT_BLANK_VOID,
}
_EVENT = {wire: event for event, wire in _EVENT_WIRE.items()}
_VERDICT = {
    authority_pb2.ItemResult.VERDICT_ACCEPTED: Verdict.ACCEPTED,
    authority_pb2.ItemResult.VERDICT_REJECTED: Verdict.REJECTED,
    authority_pb2.ItemResult.VERDICT_SIGNATURE_REJECTED: Verdict.SIGNATURE_REJECTED,
}


def registration_request(
    seller: Party, wanted: Sequence[TypeAllowance]
) -> authority_service_pb2.RegisterTaxpayerRequest:
    """Say who registers and what it applies for."""
    return authority_service_pb2.RegisterTaxpayerRequest(
        seller=authority_pb2.Seller(
            tax_number=seller.tax_number,
            name=seller.name,
            address_phone=seller.address_phone,
            bank_account=seller.bank_account,
        ),
        wanted=[
            authority_pb2.TypeGrant(
                type=each.type,
                rates_ppm=each.rates_ppm,
                invoice_limit_fen=each.invoice_limit_fen,
                holding_count_max=each.holding_count_max,
            )
            for each in wanted
        ],
    )


def registration(answer: authority_service_pb2.RegisterTaxpayerResponse) -> Registration:
    """Read what is granted."""
    return Registration(
        seller=Party(
            tax_number=answer.seller.tax_number,
            name=answer.seller.name,
            address_phone=answer.seller.address_phone,
            bank_account=answer.seller.bank_account,
        ),
        grants=tuple(
            TypeAllowance(
                type=each.type,
                rates_ppm=tuple(each.rates_ppm),
                invoice_limit_fen=each.invoice_limit_fen,
                holding_count_max=each.holding_count_max,
            )
            for each in answer.grants
        ),
        offline_limits=_offline_limits(answer.offline_limits),
        windows=tuple(
            RateWindow(period_ms=each.period_ms, call_count_max=each.call_count_max)
            for each in answer.windows
        ),
        batch_count_max=answer.batch_count_max,
    )


def _offline_limits(wire: authority_pb2.OfflineLimits) -> OfflineLimits:
    return OfflineLimits(
        age_hours_max=wire.age_hours_max if wire.HasField("age_hours_max") else None,
        amount_fen_max=wire.amount_fen_max if wire.HasField("amount_fen_max") else None,
        count_max=wire.count_max if wire.HasField("count_max") else None,
        lock_day=wire.lock_day if wire.HasField("lock_day") else None,
    )


def grant(wire: authority_pb2.Grant) -> Grant:
    """Read a grant; ValueError when its state, its numbers or its deadline are none."""
    states = {authority_pb2.Grant.STATE_GRANTED: False, authority_pb2.Grant.STATE_CONFIRMED: True}
    if wire.state not in states or wire.count < 1 or wire.width < 1:
        raise ValueError(f"not a grant: {wire.grant_id!r}")
    if wire.issue_deadline and date.fromisoformat(wire.issue_deadline).isoformat() != (
        wire.issue_deadline
    ):
        raise ValueError(f"not a day as YYYY-MM-DD: {wire.issue_deadline!r}")
    return Grant(
        grant_id=wire.grant_id,
        request_id=wire.request_id,
        tax_number=wire.tax_number,
        type=wire.type,
        code=wire.code,
        prefix=wire.prefix,
        width=wire.width,
        first=wire.first,
        count=wire.count,
        confirmed=states[wire.state],
        issue_deadline=wire.issue_deadline,
    )


def stock_return(answer: authority_service_pb2.ReturnStockResponse) -> StockReturn:
    """Read a return; ValueError when it has no serial."""
    if not answer.return_serial:
        raise ValueError("a return without serial")
    return StockReturn(return_serial=answer.return_serial)


def submission_request(submission: Submission) -> authority_service_pb2.SubmitInvoicesRequest:
    """Say what is handed in."""
    return authority_service_pb2.SubmitInvoicesRequest(
        submission_id=submission.submission_id,
        tax_number=submission.tax_number,
        items=[_upload_item(item) for item in submission.items],
        certificates=[
            authority_pb2.KeyCertificate(key_id=key_id, certificate=certificate)
            for key_id, certificate in sorted(submission.certificates.items())
        ],
    )


def _upload_item(item: UploadItem) -> authority_pb2.UploadItem:
    wire = authority_pb2.UploadItem(
        event=_EVENT_WIRE[item.event],
        code=item.code,
        number=item.number,
        content=item.content,
        signature=item.signature,
        key_id=item.key_id,
    )
    if item.original is not None:
        wire.original_content = item.original.content
        wire.original_signature = item.original.signature
        wire.original_key_id = item.original.key_id
    return wire


def submission_result(wire: authority_pb2.SubmissionResult) -> SubmissionResult:
    """Read the results of one submission; ValueError on an event or verdict we do not know."""
    return SubmissionResult(
        acceptance_serial=wire.acceptance_serial,
        done=wire.done,
        results=tuple(_item_result(each) for each in wire.results),
    )


def _item_result(wire: authority_pb2.ItemResult) -> ItemResult:
    if wire.event not in _EVENT or wire.verdict not in _VERDICT:
        raise ValueError(f"no verdict on {wire.code!r} {wire.number!r}")
    return ItemResult(
        event=_EVENT[wire.event],
        code=wire.code,
        number=wire.number,
        verdict=_VERDICT[wire.verdict],
        reason=wire.reason,
    )


def summary_request(summary: PeriodSummary) -> period_pb2.SummarisePeriodRequest:
    """Say which month is summarised."""
    return period_pb2.SummarisePeriodRequest(
        request_id=summary.request_id,
        tax_number=summary.tax_number,
        machine_number=summary.machine_number,
        period=summary.period,
        content=summary.content,
        signature=summary.signature,
        certificate=summary.certificate,
    )


def summary_serial(answer: period_pb2.SummarisePeriodResponse) -> str:
    """Read a summary's serial; ValueError when it has none."""
    if not answer.summary_serial:
        raise ValueError("a summary without serial")
    return answer.summary_serial
