"""The order of the checks on one event, and what each outcome binds."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from authority.simulator.content import Content
from authority.simulator.verdicts import (
    Claim,
    Event,
    Known,
    OriginalClaim,
    Outcome,
    Whim,
    judge,
)

CONTENT = Content(
    schema="taxcontrol.invoice.v1",
    device="661000000001",
    code="031012600111",
    number="00000001",
    taxpayer="t",
    type="026",
    red=False,
    original=None,
    time_s=1.0,
    month="1970-01",
    net_fen=100,
    tax_fen=13,
    rates=(),
    invoice_digest=None,
    fault="",
)
CLAIM = Claim(
    event=Event.ISSUE,
    code=CONTENT.code,
    number=CONTENT.number,
    content=CONTENT,
    content_digest=b"content",
    signature_digest=b"signature",
    disagreement="",
    authentic=True,
    original=None,
)
KNOWN = Known(
    granted_type="026",
    bound_digest=None,
    accepted=False,
    used_otherwise=False,
    original_had=True,
    signature_rejected=False,
    exceeds_blue=False,
    red_exists=False,
)
CARRIED = OriginalClaim(content=CONTENT, content_digest=b"original", authentic=True)

# In descending precedence: (changes to the claim, to the record, to the whim), reason, binds.
FAULTS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str, bool]] = [
    ({"disagreement": "code differs"}, {}, {}, "CONTENT_INVALID", False),
    ({"authentic": False}, {}, {}, "SIGNATURE_INVALID", False),
    ({}, {"granted_type": None}, {}, "NUMBER_NOT_GRANTED", False),
    ({}, {"bound_digest": b"other"}, {}, "DUPLICATE_CONTENT", False),
    ({}, {"original_had": False}, {}, "ORIGINAL_MISSING", True),
    ({}, {"exceeds_blue": True}, {}, "RED_EXCEEDS_BLUE", True),
    ({}, {"red_exists": True}, {}, "RED_EXISTS", True),
    ({}, {}, {"refuse_signature": True}, "SIGNATURE_INVALID", True),
    ({}, {}, {"refuse": True}, "REFUSED", True),
]


def test_an_event_with_nothing_against_it_is_accepted_and_bound() -> None:
    verdict = judge(CLAIM, KNOWN, Whim())

    assert verdict.outcome is Outcome.ACCEPTED
    assert (verdict.reason, verdict.binds, verdict.repeated) == ("", True, False)


@pytest.mark.parametrize("worse", range(len(FAULTS)))
def test_the_first_fault_in_order_names_the_reason(worse: int) -> None:
    for lesser in range(worse, len(FAULTS)):
        claim, known, whim = CLAIM, KNOWN, Whim()
        for in_claim, in_known, in_whim, _, _ in (FAULTS[worse], FAULTS[lesser]):
            claim = replace(claim, **in_claim)
            known = replace(known, **in_known)
            whim = replace(whim, **in_whim)

        verdict = judge(claim, known, whim)

        *_, reason, binds = FAULTS[worse]
        assert (verdict.reason, verdict.binds) == (reason, binds)
        rejected = Outcome.SIGNATURE_REJECTED if reason[:4] == "SIGN" else Outcome.REJECTED
        assert verdict.outcome is rejected


def test_the_same_content_again_is_accepted_whatever_is_asked_for_as_fault() -> None:
    known = replace(KNOWN, bound_digest=CLAIM.content_digest, accepted=True, original_had=False)

    for refuse, refuse_signature in itertools.product([False, True], repeat=2):
        whim = Whim(refuse=refuse, refuse_signature=refuse_signature)
        verdict = judge(CLAIM, known, whim)
        assert (verdict.outcome, verdict.repeated) == (Outcome.ACCEPTED, True)


def test_a_content_refused_before_may_be_accepted_later() -> None:
    known = replace(KNOWN, bound_digest=CLAIM.content_digest, accepted=False)

    verdict = judge(CLAIM, known, Whim())

    assert (verdict.outcome, verdict.repeated) == (Outcome.ACCEPTED, False)


@pytest.mark.parametrize(
    ("authentic", "signature_rejected", "reason"),
    [
        (True, False, ""),
        (True, True, ""),
        (False, True, ""),
        (False, False, "SIGNATURE_INVALID"),
    ],
)
def test_the_signature_a_void_carries_counts_unless_it_is_what_the_void_cures(
    authentic: bool,
    signature_rejected: bool,
    reason: str,
) -> None:
    claim = replace(CLAIM, event=Event.VOID, original=replace(CARRIED, authentic=authentic))

    verdict = judge(claim, replace(KNOWN, signature_rejected=signature_rejected), Whim())

    assert verdict.reason == reason


@pytest.mark.parametrize(("type_", "reason"), [("026", ""), ("028", "NUMBER_NOT_GRANTED")])
def test_the_type_must_be_that_of_the_grant(type_: str, reason: str) -> None:
    claim = replace(CLAIM, content=replace(CONTENT, type=type_))

    assert judge(claim, KNOWN, Whim()).reason == reason


def test_a_number_used_up_by_another_event_is_refused() -> None:
    verdict = judge(CLAIM, replace(KNOWN, used_otherwise=True), Whim())

    assert (verdict.outcome, verdict.reason) == (Outcome.REJECTED, "DUPLICATE_CONTENT")
