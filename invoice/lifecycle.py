"""Every state of an invoice and of its upload, and every step between them.

Rule of this file: whatever moves an invoice is in one of its two tables. Rule: it never asks who
moved it, when, or whether the law allows it (that is for the caller's rules).
"""

from enum import StrEnum
from typing import Final


class InvoiceState(StrEnum):
    """Where an invoice's number stands."""

    RESERVED = "RESERVED"  # number, time and content are stored, the signature is not
    ISSUED = "ISSUED"  # signed and stored
    VOIDED = "VOIDED"  # 作废, within its period
    PARTLY_REVERSED = "PARTLY_REVERSED"  # reds name it, something remains
    REVERSED = "REVERSED"  # reds have used it up
    BLANK_VOIDED = "BLANK_VOIDED"  # 空白作废: the number will never be an invoice


class InvoiceStep(StrEnum):
    """What may happen to it."""

    SETTLE = "SETTLE"
    VOID = "VOID"
    BLANK_VOID = "BLANK_VOID"
    REVERSE_PART = "REVERSE_PART"
    REVERSE_REST = "REVERSE_REST"
    RESTORE_PART = "RESTORE_PART"  # a red was voided, another one remains
    RESTORE_WHOLE = "RESTORE_WHOLE"  # the last red was voided


class UploadState(StrEnum):
    """Where the upload of one event (issue, void, blank void) stands."""

    PENDING = "PENDING"
    SUBMITTED = "SUBMITTED"  # accepted for processing: it has a serial (受理序列号)
    IN_DOUBT = "IN_DOUBT"  # sent, the answer was lost: the authority is asked by submission id
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    SIGNATURE_REJECTED = "SIGNATURE_REJECTED"  # 验签失败


class UploadStep(StrEnum):
    """What may happen to it."""

    SUBMIT = "SUBMIT"  # the authority answered with a serial, at once or when asked again
    LOSE_ANSWER = "LOSE_ANSWER"
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    REJECT_SIGNATURE = "REJECT_SIGNATURE"
    RETRY = "RETRY"  # an operator has it sent once more


class IllegalStep(LookupError):
    """No such step from this state: our bug, never a caller's mistake."""


# A blue with a live red cannot be voided, so VOID leads from ISSUED alone; voiding the reds
# first restores it.
INVOICE_STEPS: Final = {
    (InvoiceState.RESERVED, InvoiceStep.SETTLE): InvoiceState.ISSUED,
    (InvoiceState.RESERVED, InvoiceStep.BLANK_VOID): InvoiceState.BLANK_VOIDED,
    (InvoiceState.ISSUED, InvoiceStep.VOID): InvoiceState.VOIDED,
    (InvoiceState.ISSUED, InvoiceStep.REVERSE_PART): InvoiceState.PARTLY_REVERSED,
    (InvoiceState.ISSUED, InvoiceStep.REVERSE_REST): InvoiceState.REVERSED,
    (InvoiceState.PARTLY_REVERSED, InvoiceStep.REVERSE_PART): InvoiceState.PARTLY_REVERSED,
    (InvoiceState.PARTLY_REVERSED, InvoiceStep.REVERSE_REST): InvoiceState.REVERSED,
    (InvoiceState.PARTLY_REVERSED, InvoiceStep.RESTORE_PART): InvoiceState.PARTLY_REVERSED,
    (InvoiceState.PARTLY_REVERSED, InvoiceStep.RESTORE_WHOLE): InvoiceState.ISSUED,
    (InvoiceState.REVERSED, InvoiceStep.RESTORE_PART): InvoiceState.PARTLY_REVERSED,
    (InvoiceState.REVERSED, InvoiceStep.RESTORE_WHOLE): InvoiceState.ISSUED,
}

# *Absent* is not final: an IN_DOUBT event the authority does not know stays IN_DOUBT and is sent
# again under the same submission id. An item may be refused at submission, without a serial.
UPLOAD_STEPS: Final = {
    (UploadState.PENDING, UploadStep.SUBMIT): UploadState.SUBMITTED,
    (UploadState.PENDING, UploadStep.LOSE_ANSWER): UploadState.IN_DOUBT,
    (UploadState.PENDING, UploadStep.REJECT): UploadState.REJECTED,
    (UploadState.PENDING, UploadStep.REJECT_SIGNATURE): UploadState.SIGNATURE_REJECTED,
    (UploadState.IN_DOUBT, UploadStep.SUBMIT): UploadState.SUBMITTED,
    (UploadState.IN_DOUBT, UploadStep.LOSE_ANSWER): UploadState.IN_DOUBT,
    (UploadState.IN_DOUBT, UploadStep.REJECT): UploadState.REJECTED,
    (UploadState.IN_DOUBT, UploadStep.REJECT_SIGNATURE): UploadState.SIGNATURE_REJECTED,
    (UploadState.SUBMITTED, UploadStep.ACCEPT): UploadState.ACCEPTED,
    (UploadState.SUBMITTED, UploadStep.REJECT): UploadState.REJECTED,
    (UploadState.SUBMITTED, UploadStep.REJECT_SIGNATURE): UploadState.SIGNATURE_REJECTED,
    (UploadState.REJECTED, UploadStep.RETRY): UploadState.PENDING,
    (UploadState.SIGNATURE_REJECTED, UploadStep.RETRY): UploadState.PENDING,
}


def advance(state: InvoiceState, step: InvoiceStep) -> InvoiceState:
    """Return the state after ``step``; raise :class:`IllegalStep` when there is none."""
    try:
        return INVOICE_STEPS[state, step]
    except KeyError:
        raise IllegalStep(f"{step} while {state}") from None


def advance_upload(state: UploadState, step: UploadStep) -> UploadState:
    """Return the upload state after ``step``; raise :class:`IllegalStep` when there is none."""
    try:
        return UPLOAD_STEPS[state, step]
    except KeyError:
        raise IllegalStep(f"{step} while {state}") from None
