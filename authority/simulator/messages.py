"""The simulator's records to wire messages and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from authority.simulator.claims import Item, Signed, Submission
from authority.simulator.faults import FaultPlan
from authority.simulator.grant_table import Grant
from authority.simulator.intake import COUNT_MAX
from authority.simulator.policy import OfflineLimits, Policy, Window
from authority.simulator.registry_table import Allowance, Registration, Seller
from authority.simulator.return_table import Numbers, StockReturn
from authority.simulator.submission_table import JudgedItem
from authority.simulator.summaries import Summary
from authority.simulator.verdicts import Event, Outcome
from taxcontrol.authority.v1 import (
    authority_pb2,
    authority_service_pb2,
    period_pb2,
    simulator_service_pb2,
)

_EVENT_WIRE = {
    Event.ISSUE: authority_pb2.UploadItem.EVENT_ISSUE,
    Event.VOID: authority_pb2.UploadItem.EVENT_VOID,
    Event.BLANK_VOID: authority_pb2.UploadItem.EVENT_BLANK_VOID,
}
_EVENT = {wire: event for event, wire in _EVENT_WIRE.items()}
_VERDICT_WIRE = {
    Outcome.ACCEPTED: authority_pb2.ItemResult.VERDICT_ACCEPTED,
    Outcome.REJECTED: authority_pb2.ItemResult.VERDICT_REJECTED,
    Outcome.SIGNATURE_REJECTED: authority_pb2.ItemResult.VERDICT_SIGNATURE_REJECTED,
}


def seller(wire: authority_pb2.Seller) -> Seller:
    """Read a seller."""
    return Seller(
        tax_number=wire.tax_number,
        name=wire.name,
        address_phone=wire.address_phone,
        bank_account=wire.bank_account,
    )


def allowance(wire: authority_pb2.TypeGrant) -> Allowance:
    """Read what is applied for."""
    return Allowance(
        type=wire.type,
        rates_ppm=tuple(wire.rates_ppm),
        invoice_limit_fen=wire.invoice_limit_fen,
        holding_count_max=wire.holding_count_max,
    )


def registration(
    record: Registration, windows: Sequence[Window]
) -> authority_service_pb2.RegisterTaxpayerResponse:
    """Write a registration."""
    who = record.seller
    return authority_service_pb2.RegisterTaxpayerResponse(
        seller=authority_pb2.Seller(
            tax_number=who.tax_number,
            name=who.name,
            address_phone=who.address_phone,
            bank_account=who.bank_account,
        ),
        grants=[
            authority_pb2.TypeGrant(
                type=each.type,
                rates_ppm=each.rates_ppm,
                invoice_limit_fen=each.invoice_limit_fen,
                holding_count_max=each.holding_count_max,
            )
            for each in record.allowances
        ],
        offline_limits=authority_pb2.OfflineLimits(
            age_hours_max=record.offline_limits.age_hours_max,
            amount_fen_max=record.offline_limits.amount_fen_max,
            count_max=record.offline_limits.count_max,
            lock_day=record.offline_limits.lock_day,
        ),
        windows=[
            authority_pb2.RateWindow(
                period_ms=window.period_ms, call_count_max=window.call_count_max
            )
            for window in windows
        ],
        batch_count_max=COUNT_MAX,
    )


def grant(record: Grant) -> authority_pb2.Grant:
    """Write a grant."""
    state = (
        authority_pb2.Grant.STATE_CONFIRMED
        if record.confirmed
        else authority_pb2.Grant.STATE_GRANTED
    )
    return authority_pb2.Grant(
        grant_id=record.grant_id,
        request_id=record.request_id,
        tax_number=record.tax_number,
        type=record.type,
        code=record.code,
        prefix=record.prefix,
        width=record.width,
        first=record.first,
        count=record.count,
        state=state,
        issue_deadline=record.issue_deadline,
    )


def numbers(wire: authority_service_pb2.ReturnStockRequest) -> Numbers:
    """Read which numbers are returned."""
    return Numbers(
        tax_number=wire.tax_number,
        type=wire.type,
        code=wire.code,
        prefix=wire.prefix,
        width=wire.width,
        first=wire.first,
        count=wire.count,
    )


def stock_return(record: StockReturn) -> authority_pb2.StockReturn:
    """Write a return."""
    return authority_pb2.StockReturn(
        return_serial=record.return_serial,
        request_id=record.request_id,
        tax_number=record.numbers.tax_number,
        type=record.numbers.type,
        code=record.numbers.code,
        prefix=record.numbers.prefix,
        width=record.numbers.width,
        first=record.numbers.first,
        count=record.numbers.count,
    )


def submission(wire: authority_service_pb2.SubmitInvoicesRequest) -> Submission:
    """Read a submission."""
    return Submission(
        submission_id=wire.submission_id,
        tax_number=wire.tax_number,
        items=[_item(item) for item in wire.items],
        certificates={each.key_id: each.certificate for each in wire.certificates},
    )


def _item(wire: authority_pb2.UploadItem) -> Item:
    original = Signed(
        content=wire.original_content,
        signature=wire.original_signature,
        key_id=wire.original_key_id,
    )
    nothing = Signed(content=b"", signature=b"", key_id="")
    return Item(
        event=_EVENT.get(wire.event),
        code=wire.code,
        number=wire.number,
        signed=Signed(content=wire.content, signature=wire.signature, key_id=wire.key_id),
        original=None if original == nothing else original,
    )


def submission_result(
    acceptance_serial: str, judged: Sequence[JudgedItem]
) -> authority_pb2.SubmissionResult:
    """Write the verdicts of a submission; none yet when ``judged`` is empty."""
    return authority_pb2.SubmissionResult(
        acceptance_serial=acceptance_serial,
        done=bool(judged),
        results=[
            authority_pb2.ItemResult(
                code=item.code,
                number=item.number,
                event=_EVENT_WIRE[item.event],
                verdict=_VERDICT_WIRE[item.outcome],
                reason=item.reason,
            )
            for item in judged
        ],
    )


def fault_plan(wire: simulator_service_pb2.FaultPlan) -> FaultPlan:
    """Read a fault plan; ValueError when a share is out of range."""
    return FaultPlan(
        seed=wire.seed,
        delay_ppm=wire.delay_ppm,
        delay_ms=wire.delay_ms,
        throttle_ppm=wire.throttle_ppm,
        throttle_retry_ms=wire.throttle_retry_ms,
        server_error_ppm=wire.server_error_ppm,
        lost_answer_ppm=wire.lost_answer_ppm,
        refuse_item_ppm=wire.refuse_item_ppm,
        refuse_signature_ppm=wire.refuse_signature_ppm,
        unreachable=wire.unreachable,
        poison=frozenset(wire.poison),
    )


def policy(wire: simulator_service_pb2.SetPolicyRequest, present: Policy) -> Policy:
    """Read a policy, what is absent taken from ``present``; ValueError when out of range."""
    limits = present.offline_limits
    if wire.HasField("offline_limits"):
        given = wire.offline_limits
        limits = OfflineLimits(
            age_hours_max=given.age_hours_max if given.HasField("age_hours_max") else None,
            amount_fen_max=given.amount_fen_max if given.HasField("amount_fen_max") else None,
            count_max=given.count_max if given.HasField("count_max") else None,
            lock_day=given.lock_day if given.HasField("lock_day") else None,
        )
    return replace(
        present,
        windows=tuple(
            Window(period_ms=each.period_ms, call_count_max=each.call_count_max)
            for each in wire.windows
        ),
        offline_limits=limits,
        holding_count_max=wire.holding_count_max or present.holding_count_max,
        result_delay_ms=wire.result_delay_ms,
        issue_deadline=wire.issue_deadline or present.issue_deadline,
        clock_ahead_ms=(
            wire.clock_ahead_ms if wire.HasField("clock_ahead_ms") else present.clock_ahead_ms
        ),
        certificate_days=wire.certificate_days or present.certificate_days,
    )


def summary(wire: period_pb2.SummarisePeriodRequest) -> Summary:
    """Read a summary."""
    return Summary(
        request_id=wire.request_id,
        tax_number=wire.tax_number,
        machine_number=wire.machine_number,
        period=wire.period,
        content=wire.content,
        signature=wire.signature,
        certificate=wire.certificate,
    )


def recorded_summary(row: tuple[Any, ...]) -> authority_pb2.RecordedSummary:
    """Write a row of ``summary_table.EXPORT``."""
    tax_number, machine_number, period, summary_serial, content_digest = row
    return authority_pb2.RecordedSummary(
        tax_number=tax_number,
        machine_number=machine_number,
        period=period,
        summary_serial=summary_serial,
        content_digest=content_digest,
    )


def recorded_event(row: tuple[Any, ...]) -> authority_pb2.RecordedEvent:
    """Write a row of ``submission_table.EXPORT``."""
    tax_number, event, code, number, outcome, reason, content, signature, submission_id = row
    return authority_pb2.RecordedEvent(
        tax_number=tax_number,
        result=authority_pb2.ItemResult(
            code=code,
            number=number,
            event=_EVENT_WIRE[Event(event)],
            verdict=_VERDICT_WIRE[Outcome(outcome)],
            reason=reason,
        ),
        content_digest=content,
        signature_digest=signature,
        submission_id=submission_id,
    )


def counted_call(row: tuple[Any, ...]) -> authority_pb2.CountedCall:
    """Write a row of ``call_table.EXPORT``."""
    tax_number, method, arrival_ns, throttled = row
    arrival = Timestamp()
    arrival.FromNanoseconds(arrival_ns)
    return authority_pb2.CountedCall(
        tax_number=tax_number, method=method, arrival_time=arrival, throttled=bool(throttled)
    )
