"""The verdict on one event, from what it claims and what the record knows.

Checks run in one order; the first that fails names the reason: CONTENT_INVALID,
SIGNATURE_INVALID, NUMBER_NOT_GRANTED, DUPLICATE_CONTENT, ORIGINAL_MISSING, then the refusals asked
for as faults. A number is *bound* to the first content that passed all of these but the last two:
whatever became of that content, another one for the same number is refused. That a smaller number
is missing is no reason.
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
class Claim:
    """One event as it came, its content read and its signature checked."""

    event: Event
    code: str
    number: str
    content: Content
    content_digest: bytes
    signature_digest: bytes
    disagreement: str
    authentic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the record knows about a claim.

    ``granted_type``: the type of the taxpayer's confirmed grant that holds the number, None if none
    does. ``bound_digest``: the content the number is bound to in this event. ``accepted``: that
    content was accepted. ``used_otherwise``: an issue of a number blank-voided, or the reverse.
    ``original_had``: of a void, the invoice was handed in, whatever became of it; of a red, its
    blue is accepted and not voided; of anything else, true.
    """

    granted_type: str | None
    bound_digest: bytes | None
    accepted: bool
    used_otherwise: bool
    original_had: bool


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
    if not claim.authentic:
        return _SIGNATURE_REJECTED
    if known.granted_type is None or claim.content.type not in ("", known.granted_type):
        return _rejected("NUMBER_NOT_GRANTED")
    if known.used_otherwise or known.bound_digest not in (None, claim.content_digest):
        return _rejected("DUPLICATE_CONTENT")
    if known.accepted:
        return Verdict(outcome=Outcome.ACCEPTED, repeated=True)
    return _judge_bound(known, whim)


def _judge_bound(known: Known, whim: Whim) -> Verdict:
    """Judge a content that is right in itself and has the number to itself."""
    if not known.original_had:
        return _rejected("ORIGINAL_MISSING", binds=True)
    if whim.refuse_signature:
        return Verdict(outcome=Outcome.SIGNATURE_REJECTED, reason="SIGNATURE_INVALID", binds=True)
    if whim.refuse:
        return _rejected("REFUSED", binds=True)
    return Verdict(outcome=Outcome.ACCEPTED, binds=True)


def _rejected(reason: str, *, binds: bool = False) -> Verdict:
    return Verdict(outcome=Outcome.REJECTED, reason=reason, binds=binds)
