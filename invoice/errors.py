"""The failures this service promises to name.

One class per wire reason. ``gateway/status.py`` gives each its gRPC code; ``error_reason.proto``
documents it; a test keeps the three equal. Docstrings say whether the effect is *none*, *done*
or *unknown*: after *none* nothing was stored, after *unknown* the caller retries with the same
request id and gets the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

# A refusal travels in a trailer of 8 KiB, which other facts share.
_FIELDS_CHARACTERS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: the proto path of the field, the rule's name, a sentence for people."""

    field: str
    rule: str
    message: str


class InvoiceError(Exception):
    """Base of the named failures.

    ``reason`` is the wire name (``ErrorReason`` without its prefix). ``facts`` is what a
    program needs to react, so that nobody has to parse the sentence. ``retry_s`` is a known
    delay after which a retry makes sense; None when none is known.
    """

    reason: ClassVar[str]

    def __init__(self, message: str, *, retry_s: float | None = None, **facts: str | float) -> None:
        super().__init__(message)
        self.message = message
        self.retry_s = retry_s
        self.facts = {key: str(value) for key, value in facts.items()}


class InvalidInvoice(InvoiceError):
    """The invoice breaks rules; all of them are named at once. Effect: none."""

    reason = "INVALID_INVOICE"

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        more = f" and {len(violations) - 1} more" if len(violations) > 1 else ""
        super().__init__(f"{first.field}: {first.rule}: {first.message}{more}", rule=first.rule)
        self.violations = tuple(violations)


class InvalidRequest(InvoiceError):
    """A field around the invoice is malformed: an id, a resource name, a count. Effect: none."""

    reason = "INVALID_REQUEST"

    def __init__(self, field: str, rule: str, message: str) -> None:
        super().__init__(f"{field}: {rule}: {message}", field=field, rule=rule)
        self.violations = (Violation(field, rule, message),)


class BatchTooLarge(InvoiceError):
    """More items or bytes than one call may carry. Effect: none; split the batch."""

    reason = "BATCH_TOO_LARGE"


class ContentTooLarge(InvoiceError):
    """The invoice's content would pass its limit in bytes. Effect: none."""

    reason = "CONTENT_TOO_LARGE"


class RequestIdReused(InvoiceError):
    """The id is bound to a different request; facts name the fields that differ. Effect: none.

    Of very many the first ones are named, and ``field_count`` tells how many there are.
    """

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str, fields: Sequence[str]) -> None:
        named = _first_ones(fields)
        more = len(fields) - len(named)
        super().__init__(
            "the request id stands for another request: "
            f"{', '.join(named)}{f' and {more} more' if more else ''} differ",
            request_id=request_id,
            fields=",".join(named),
        )
        if more:
            self.facts["field_count"] = str(len(fields))


def _first_ones(fields: Sequence[str]) -> Sequence[str]:
    """As many of ``fields`` as ``_FIELDS_CHARACTERS_MAX`` holds, at least one."""
    size = 0
    for index, field in enumerate(fields):
        size += len(field) + 1
        if index and size > _FIELDS_CHARACTERS_MAX:
            return fields[:index]
    return fields


class InProgress(InvoiceError):
    """The first call with this id has its number and is still being signed. Effect: unknown; retry with the same id."""

    reason = "IN_PROGRESS"


class TaxpayerNotFound(InvoiceError):
    """No such taxpayer is registered here. Effect: none."""

    reason = "TAXPAYER_NOT_FOUND"

    def __init__(self, taxpayer: str) -> None:
        super().__init__(f"{taxpayer} is not registered here", taxpayer=taxpayer)


class TaxpayerExists(InvoiceError):
    """The taxpayer is registered already, by another request. Effect: none."""

    reason = "TAXPAYER_EXISTS"

    def __init__(self, taxpayer: str) -> None:
        super().__init__(f"{taxpayer} is registered already", taxpayer=taxpayer)


class PointNotFound(InvoiceError):
    """The taxpayer has no such issuing point. Effect: none."""

    reason = "POINT_NOT_FOUND"

    def __init__(self, taxpayer: str, point: int) -> None:
        super().__init__(f"{taxpayer} has no point {point}", taxpayer=taxpayer, point=point)


class InvoiceNotFound(InvoiceError):
    """No such invoice, or no number was taken under that request id yet. Effect: none."""

    reason = "INVOICE_NOT_FOUND"


class DeviceNotReady(InvoiceError):
    """The point's device has no usable key or certificate. Effect: none."""

    reason = "DEVICE_NOT_READY"


class StockExhausted(InvoiceError):
    """Too few numbers of this type are left where they were asked for. Effect: none.

    ``facts`` tell ``available_count``; whoever knows adds ``taxpayer``, ``type`` and ``point``.
    """

    reason = "STOCK_EXHAUSTED"


class HoldingExceeded(InvoiceError):
    """Wanted + held would pass the taxpayer's maximum holding (最高持票量). Effect: none."""

    reason = "HOLDING_EXCEEDED"


class ClockSkew(InvoiceError):
    """This machine's clock cannot be trusted to date an invoice. Effect: none."""

    reason = "CLOCK_SKEW"


class Overloaded(InvoiceError):
    """More work is waiting than the service admits. Effect: none."""

    reason = "OVERLOADED"


class ShuttingDown(InvoiceError):
    """The gateway is draining and takes no new work. Effect: none."""

    reason = "SHUTTING_DOWN"


class DeadlineTooShort(InvoiceError):
    """The caller leaves too little time to issue. Effect: none."""

    reason = "DEADLINE_TOO_SHORT"


class NotServed(InvoiceError):
    """A valid request of a kind this version does not serve. Effect: none."""

    reason = "NOT_SERVED"


class HsmUnavailable(InvoiceError):
    """The signing device is away. Effect: unknown; retry with the same id."""

    reason = "HSM_UNAVAILABLE"


class LedgerUnavailable(InvoiceError):
    """The ledger could not be written or read. Effect: unknown; retry with the same id."""

    reason = "LEDGER_UNAVAILABLE"


class AuthorityUnavailable(InvoiceError):
    """The tax authority did not answer, or put a draw off. Effect: unknown; retry with the same id."""

    reason = "AUTHORITY_UNAVAILABLE"


class AuthorityRefused(InvoiceError):
    """The tax authority answered no; facts carry its reason. Effect: none."""

    reason = "AUTHORITY_REFUSED"


class RedOriginalNotFound(InvoiceError):
    """A red names a blue that this taxpayer never issued here. Effect: none."""

    reason = "RED_ORIGINAL_NOT_FOUND"

    def __init__(self, code: str, number: str) -> None:
        name = f"{code}-{number}" if code else number
        super().__init__(f"no invoice {name} to reverse", code=code, number=number)


class RedTypeMismatch(InvoiceError):
    """A red of this type cannot reverse the invoice it names. Effect: none."""

    reason = "RED_TYPE_MISMATCH"

    def __init__(self, *, type: str, original_type: str, original_kind: str) -> None:
        super().__init__(
            f"a red {type} cannot reverse a {original_kind} {original_type}",
            type=type,
            original_type=original_type,
            original_kind=original_kind,
        )


class InvoiceNotReversible(InvoiceError):
    """The invoice cannot be reversed as it stands; ``state`` says why. Effect: none."""

    reason = "INVOICE_NOT_REVERSIBLE"

    def __init__(self, code: str, number: str, *, state: str) -> None:
        super().__init__(f"it is {state}", code=code, number=number, state=state)


class RedExceedsBlue(InvoiceError):
    """The red is larger than what remains of the blue. Effect: none."""

    reason = "RED_EXCEEDS_BLUE"

    def __init__(self, *, remaining_net_fen: int, remaining_tax_fen: int) -> None:
        super().__init__(
            f"net {remaining_net_fen} fen and tax {remaining_tax_fen} fen remain of the blue",
            remaining_net_fen=remaining_net_fen,
            remaining_tax_fen=remaining_tax_fen,
        )


class RedNotFull(InvoiceError):
    """This type is reversed in full only. Effect: none."""

    reason = "RED_NOT_FULL"

    def __init__(self, *, net_fen: int, tax_fen: int) -> None:
        super().__init__(
            f"only a red of net {net_fen} fen and tax {tax_fen} fen can reverse it",
            net_fen=net_fen,
            tax_fen=tax_fen,
        )


class RedNoticeUsed(InvoiceError):
    """The red notice (红字信息表) was used by another red of this taxpayer. Effect: none."""

    reason = "RED_NOTICE_USED"

    def __init__(self, red_notice_number: str) -> None:
        super().__init__(
            f"red notice {red_notice_number} was used already", red_notice_number=red_notice_number
        )


class InvoiceNotVoidable(InvoiceError):
    """The invoice cannot be voided; ``cause`` says why. Effect: none."""

    reason = "INVOICE_NOT_VOIDABLE"

    def __init__(self, code: str, number: str, *, cause: str) -> None:
        super().__init__(f"it cannot be voided: {cause}", code=code, number=number, cause=cause)


class NumberBlankVoided(InvoiceError):
    """The number taken under this id was voided blank by an operator. Effect: none, for ever; use a new id."""

    reason = "NUMBER_BLANK_VOIDED"

    def __init__(self, request_id: str, code: str, number: str) -> None:
        super().__init__(
            "an operator voided its number blank; use a new request id",
            request_id=request_id,
            code=code,
            number=number,
        )


class NumberNotBlank(InvoiceError):
    """Neither the point's next number nor one that has long waited for its signature. Effect: none."""

    reason = "NUMBER_NOT_BLANK"

    def __init__(self, *, next_code: str, next_number: str, state: str) -> None:
        super().__init__(
            f"the next number is {next_number or 'none'}; only it, or one that waits for its"
            " signature for 60 s, can be voided blank",
            next_code=next_code,
            next_number=next_number,
            state=state,
        )


class RateLimited(InvoiceError):
    """This caller has asked too often. Effect: none."""

    reason = "RATE_LIMITED"


class SegmentNotFound(InvoiceError):
    """The taxpayer has no such segment. Effect: none."""

    reason = "SEGMENT_NOT_FOUND"

    def __init__(self, segment_id: int) -> None:
        super().__init__(f"no segment {segment_id}", segment_id=segment_id)


class OfflineAgeExceeded(InvoiceError):
    """The oldest un-uploaded invoice is as old as the offline hours (离线时限) allow. Effect: none."""

    reason = "OFFLINE_AGE_EXCEEDED"


class OfflineCountExceeded(InvoiceError):
    """As many invoices are un-uploaded as the offline count (离线张数) allows. Effect: none."""

    reason = "OFFLINE_COUNT_EXCEEDED"


class OfflineAmountExceeded(InvoiceError):
    """With this invoice the un-uploaded amount would pass the offline amount (离线限额). Effect: none."""

    reason = "OFFLINE_AMOUNT_EXCEEDED"


class OfflineLockDay(InvoiceError):
    """The lock day (锁死期) has come, and invoices of an earlier month are un-uploaded. Effect: none."""

    reason = "OFFLINE_LOCK_DAY"


class OfflineNotAllowed(InvoiceError):
    """The offline hours are 0 and an invoice is un-uploaded. Effect: none."""

    reason = "OFFLINE_NOT_ALLOWED"


class IssueDeadlinePassed(InvoiceError):
    """There are numbers, and the day until which they might be issued (开具期限) is over. Effect: none."""

    reason = "ISSUE_DEADLINE_PASSED"


class PeriodNotSummarised(InvoiceError):
    """An earlier month is not summarised (抄报) and the lock day has come. Effect: none."""

    reason = "PERIOD_NOT_SUMMARISED"


class DeviceLocked(InvoiceError):
    """The device was not summarised for more than 90 days. Effect: none."""

    reason = "DEVICE_LOCKED"


class OfflineBulkRestricted(InvoiceError):
    """Little is left of a limit, and it is kept for work that is not BULK. Effect: none."""

    reason = "OFFLINE_BULK_RESTRICTED"


class DeviceNotFound(InvoiceError):
    """The taxpayer has no such device. Effect: none."""

    reason = "DEVICE_NOT_FOUND"

    def __init__(self, taxpayer: str, machine_number: str) -> None:
        super().__init__(
            f"{taxpayer} has no device {machine_number}",
            taxpayer=taxpayer,
            machine_number=machine_number,
        )


class PeriodNotClosable(InvoiceError):
    """The month cannot be summarised as it stands; ``cause`` says why. Effect: none."""

    reason = "PERIOD_NOT_CLOSABLE"

    def __init__(self, period: str, *, cause: str, message: str, **facts: str | float) -> None:
        super().__init__(
            f"{period} cannot be summarised: {message}",
            retry_s=None,
            period=period,
            cause=cause,
            **facts,
        )


class AlertNotFound(InvoiceError):
    """No such alert. Effect: none."""

    reason = "ALERT_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"no alert {name}", name=name)


class AlertNotOpen(InvoiceError):
    """The alert is over, or somebody else has acknowledged it. Effect: none."""

    reason = "ALERT_NOT_OPEN"

    def __init__(self, name: str, *, state: str) -> None:
        super().__init__(f"{name} is {state}", name=name, state=state)
