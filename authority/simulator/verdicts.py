"""The verdict on one event, from what it claims and what the record knows.

Checks run in one order; the first that fails names the reason: CONTENT_INVALID,
SIGNATURE_INVALID, NUMBER_NOT_GRANTED, DUPLICATE_CONTENT, ORIGINAL_MISSING, RED_EXCEEDS_BLUE,
RED_EXISTS, then the refusals asked for as faults. A number is *bound* to the first content that
passed all up to DUPLICATE_CONTENT: whatever became of that content, another one for the same number
and event is refused. That a smaller number is missing is no reason.
"""

from dataclasses import dataclass
from enum import StrEnum

from authority.simulator import content as contents
from authority.simulator.content import Content


class Event(StrEnum):
    """What happened to a number."""

    ISSUE = "ISSUE"
    VOID = "VOID"
    BLANK_VOID = "BLANK_VOID"


SCHEMA_OF = {
    Event.ISSUE: contents.INVOICE,
    Event.VOID: contents.VOID,
    Event.BLANK_VOID: contents.BLANK_VOID,
}


class Outcome(StrEnum):
    """The verdict."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    SIGNATURE_REJECTED = "SIGNATURE_REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalClaim:
    """The invoice that a void carries, read, and whether its signature verifies."""

    content: Content
    content_digest: bytes
    authentic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One event as it came, its content read and its signature checked.

    ``original`` is None but on a void that agrees with what it carries.
    """

    event: Event
    code: str
    number: str
    content: Content
    content_digest: bytes
    signature_digest: bytes
    disagreement: str
    authentic: bool
    original: OriginalClaim | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the record knows about a claim.

    ``granted_type``: the type of the taxpayer's confirmed grant that holds the number, None if none
    does, or it was returned. ``bound_digest``: the content the number is bound to in this event.
    ``accepted``: that content was accepted. ``used_otherwise``: an issue or void of a number
    blank-voided, a blank void of one issued, or a void that carries another invoice than the number
    is bound to. ``original_had``: of a void, the invoice was handed in, whatever became of it; of a
    red, its blue is accepted and not voided; of anything else, true. ``signature_rejected``: of a
    void, the issue ended so. ``exceeds_blue``: a red passes what is left of its blue.
    ``red_exists``: a void of a blue with an accepted red that is not voided.
    """

    granted_type: str | None
    bound_digest: bytes | None
    accepted: bool
    used_otherwise: bool
    original_had: bool
    signature_rejected: bool
    exceeds_blue: bool
    red_exists: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome and why. ``binds``: from now on the number is bound to this content.

    ``repeated``: accepted before, with no further effect.
    """

    outcome: Outcome
    reason: str = ""
    binds: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Whim:
    """Refusals without cause, asked for as faults."""

    refuse: bool = False
    refuse_signature: bool = False


_SIGNATURE_REJECTED = Verdict(outcome=Outcome.SIGNATURE_REJECTED, reason="SIGNATURE_INVALID")


def judge(claim: Claim, known: Known, whim: Whim) -> Verdict:
    """Return the verdict on ``claim``."""
    if claim.disagreement:
        return _rejected("CONTENT_INVALID")
    if not (claim.authentic and _original_authentic(claim, known)):
        return _SIGNATURE_REJECTED
    if claim.content.type != known.granted_type:
        return _rejected("NUMBER_NOT_GRANTED")
    if known.used_otherwise or known.bound_digest not in (None, claim.content_digest):
        return _rejected("DUPLICATE_CONTENT")
    if known.accepted:
        return Verdict(outcome=Outcome.ACCEPTED, repeated=True)
    return _judge_bound(known, whim)


def _original_authentic(claim: Claim, known: Known) -> bool:
    """Say whether nothing is wrong with the signature of what a void carries.

    An invoice whose signature was rejected is voided for that: its signature is not looked at.
    """
    return claim.original is None or claim.original.authentic or known.signature_rejected


def _judge_bound(known: Known, whim: Whim) -> Verdict:
    """Judge a content that is right in itself and has the number to itself."""
    if not known.original_had:
        return _rejected("ORIGINAL_MISSING", binds=True)
    if known.exceeds_blue:
        return _rejected("RED_EXCEEDS_BLUE", binds=True)
    if known.red_exists:
        return _rejected("RED_EXISTS", binds=True)
    if whim.refuse_signature:
        return Verdict(outcome=Outcome.SIGNATURE_REJECTED, reason="SIGNATURE_INVALID", binds=True)
    if whim.refuse:
        return _rejected("REFUSED", binds=True)
    return Verdict(outcome=Outcome.ACCEPTED, binds=True)


def _rejected(reason: str, *, binds: bool = False) -> Verdict:
    return Verdict(outcome=Outcome.REJECTED, reason=reason, binds=binds)
