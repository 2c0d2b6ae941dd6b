"""Only the steps in the tables exist; final states are final; nothing is stuck."""

from itertools import product

import pytest

from invoice.lifecycle import (
    INVOICE_STEPS,
    UPLOAD_STEPS,
    IllegalStep,
    InvoiceState,
    InvoiceStep,
    UploadState,
    UploadStep,
    advance,
    advance_upload,
)


@pytest.mark.parametrize(("state", "step"), list(product(InvoiceState, InvoiceStep)))
def test_an_invoice_moves_only_by_the_table(state: InvoiceState, step: InvoiceStep) -> None:
    if (state, step) in INVOICE_STEPS:
        assert advance(state, step) is INVOICE_STEPS[state, step]
    else:
        with pytest.raises(IllegalStep, match=f"{step} while {state}"):
            advance(state, step)


@pytest.mark.parametrize(("state", "step"), list(product(UploadState, UploadStep)))
def test_an_upload_moves_only_by_the_table(state: UploadState, step: UploadStep) -> None:
    if (state, step) in UPLOAD_STEPS:
        assert advance_upload(state, step) is UPLOAD_STEPS[state, step]
    else:
        with pytest.raises(IllegalStep, match=f"{step} while {state}"):
            advance_upload(state, step)


def test_a_reserved_number_ends_as_an_invoice_or_a_blank_void() -> None:
    ends = {after for (state, _), after in INVOICE_STEPS.items() if state is InvoiceState.RESERVED}

    assert ends == {InvoiceState.ISSUED, InvoiceState.BLANK_VOIDED}


@pytest.mark.parametrize("state", [InvoiceState.PARTLY_REVERSED, InvoiceState.REVERSED])
def test_a_blue_with_a_live_red_cannot_be_voided(state: InvoiceState) -> None:
    with pytest.raises(IllegalStep):
        advance(state, InvoiceStep.VOID)


def test_an_exhausted_blue_takes_no_further_red_until_one_is_voided() -> None:
    state = advance(InvoiceState.ISSUED, InvoiceStep.REVERSE_REST)

    with pytest.raises(IllegalStep):
        advance(state, InvoiceStep.REVERSE_PART)

    restored = advance(state, InvoiceStep.RESTORE_WHOLE)
    assert advance(restored, InvoiceStep.REVERSE_PART) is InvoiceState.PARTLY_REVERSED


@pytest.mark.parametrize("state", [InvoiceState.VOIDED, InvoiceState.BLANK_VOIDED])
def test_what_is_voided_stays_voided(state: InvoiceState) -> None:
    assert not [key for key in INVOICE_STEPS if key[0] is state]


def test_a_lost_answer_is_in_doubt_until_the_authority_tells() -> None:
    state = advance_upload(UploadState.PENDING, UploadStep.LOSE_ANSWER)
    state = advance_upload(state, UploadStep.LOSE_ANSWER)

    assert state is UploadState.IN_DOUBT
    assert advance_upload(state, UploadStep.SUBMIT) is UploadState.SUBMITTED
    with pytest.raises(IllegalStep):
        advance_upload(state, UploadStep.ACCEPT)


def test_an_acceptance_is_final() -> None:
    assert not [key for key in UPLOAD_STEPS if key[0] is UploadState.ACCEPTED]


@pytest.mark.parametrize("state", [UploadState.REJECTED, UploadState.SIGNATURE_REJECTED])
def test_a_refusal_ends_only_by_a_retry_and_begins_anew(state: UploadState) -> None:
    assert [key[1] for key in UPLOAD_STEPS if key[0] is state] == [UploadStep.RETRY]
    assert advance_upload(state, UploadStep.RETRY) is UploadState.PENDING
