"""What each number has been used for, and what that means for the next event of it."""

import json
from dataclasses import dataclass
from typing import Final

import apsw

from authority.simulator.content import Content, Original
from authority.simulator.grant_table import Grant
from authority.simulator.verdicts import Claim, Event, Known, Outcome

_USE: Final = """
SELECT content_digest, accepted, red, tax_number, net_fen, tax_fen FROM number_use
WHERE code = :code AND number = :number AND event = :event
"""
_BIND: Final = """
INSERT INTO number_use (code, number, event, tax_number, content_digest, red, accepted, net_fen,
                        tax_fen, original_code, original_number, machine_number, type, month,
                        rates)
VALUES (:code, :number, :event, :tax_number, :content_digest, :red, 0, :net_fen, :tax_fen,
        :original_code, :original_number, :machine_number, :type, :month, :rates)
ON CONFLICT (code, number, event) DO NOTHING
"""
_ACCEPT: Final = """
UPDATE number_use SET accepted = 1 WHERE code = :code AND number = :number AND event = :event
"""
_SPENT: Final = """
SELECT 1 FROM number_use WHERE code = :code AND number = :number AND accepted LIMIT 1
"""
_LAST_ISSUE: Final = """
SELECT outcome FROM item
WHERE tax_number = :tax_number AND code = :code AND number = :number AND event = 'ISSUE'
ORDER BY acceptance_serial DESC, ordinal DESC LIMIT 1
"""
_REDS: Final = """
SELECT count(*), coalesce(sum(red.net_fen), 0), coalesce(sum(red.tax_fen), 0)
FROM number_use AS red
WHERE red.original_code = :code AND red.original_number = :number AND red.original_number <> ''
  AND red.event = 'ISSUE' AND red.accepted
  AND NOT EXISTS (SELECT 1 FROM number_use AS void
                  WHERE void.code = red.code AND void.number = red.number
                    AND void.event = 'VOID' AND void.accepted)
"""


@dataclass(frozen=True, slots=True)
class _Use:
    """What a number is used for in one event. Amounts are None where they were not kept."""

    content_digest: bytes
    accepted: bool
    red: bool
    tax_number: str
    net_fen: int | None
    tax_fen: int | None


@dataclass(frozen=True, slots=True)
class _Reds:
    """The accepted reds of one blue that are not voided; amounts are negative."""

    count: int
    net_fen: int
    tax_fen: int


def known(
    connection: apsw.Connection, *, tax_number: str, claim: Claim, holder: Grant | None
) -> Known:
    """Return what the record knows about a claim. ``holder`` is the taxpayer's own grant."""
    present = _use(connection, claim.code, claim.number, claim.event)
    last_issue = _last_issue(connection, tax_number, claim)
    issue = _use(connection, claim.code, claim.number, Event.ISSUE)
    return Known(
        granted_type=None if holder is None else holder.type,
        bound_digest=None if present is None else present.content_digest,
        accepted=present is not None and present.accepted,
        used_otherwise=_used_otherwise(connection, claim, issue),
        original_had=_original_had(connection, tax_number, claim, last_issue),
        signature_rejected=last_issue is Outcome.SIGNATURE_REJECTED
        and not (issue is not None and issue.accepted),
        exceeds_blue=_exceeds_blue(connection, claim),
        red_exists=claim.event is Event.VOID
        and _reds(connection, Original(code=claim.code, number=claim.number)).count > 0,
    )


def bind(connection: apsw.Connection, *, tax_number: str, claim: Claim) -> None:
    """Bind the number to this content, unless it is bound."""
    _bind(connection, tax_number, claim.event, claim.content, claim.content_digest)


def accept(connection: apsw.Connection, *, tax_number: str, claim: Claim) -> bool:
    """Record that a bound content is accepted; say whether that uses the number up.

    A void binds its number to the invoice it carries as well: no other one is taken after it.
    """
    key = {"code": claim.code, "number": claim.number}
    first = connection.execute(_SPENT, key).fetchone() is None
    connection.execute(_ACCEPT, key | {"event": claim.event})
    if claim.original is not None:
        original = claim.original
        _bind(connection, tax_number, Event.ISSUE, original.content, original.content_digest)
    return first


def _bind(
    connection: apsw.Connection, tax_number: str, event: Event, content: Content, digest: bytes
) -> None:
    original = content.original or Original(code="", number="")
    connection.execute(
        _BIND,
        {
            "code": content.code,
            "number": content.number,
            "event": event,
            "tax_number": tax_number,
            "content_digest": digest,
            "red": content.red,
            "net_fen": content.net_fen,
            "tax_fen": content.tax_fen,
            "original_code": original.code,
            "original_number": original.number,
            "machine_number": content.device,
            "type": content.type,
            "month": content.month,
            "rates": json.dumps(content.rates),
        },
    )


def _last_issue(connection: apsw.Connection, tax_number: str, claim: Claim) -> Outcome | None:
    """Return how the last issue of the number ended; None when none was handed in."""
    key = {"tax_number": tax_number, "code": claim.code, "number": claim.number}
    row = connection.execute(_LAST_ISSUE, key).fetchone()
    return None if row is None else Outcome(row[0])


def _used_otherwise(connection: apsw.Connection, claim: Claim, issue: _Use | None) -> bool:
    """Say whether another event, or a void's other invoice, stands against the claim."""
    if claim.event is Event.BLANK_VOID:
        return issue is not None
    if _use(connection, claim.code, claim.number, Event.BLANK_VOID) is not None:
        return True
    carried = claim.original
    return (
        carried is not None and issue is not None and issue.content_digest != carried.content_digest
    )


def _original_had(
    connection: apsw.Connection, tax_number: str, claim: Claim, last_issue: Outcome | None
) -> bool:
    if claim.event is Event.VOID:
        # Whatever became of it: an invoice whose signature was rejected must be voidable.
        return last_issue is not None
    original = claim.content.original
    if claim.event is not Event.ISSUE or not claim.content.red or original is None:
        return True
    blue = _use(connection, original.code, original.number, Event.ISSUE)
    if blue is None or not blue.accepted or blue.red or blue.tax_number != tax_number:
        return False
    void = _use(connection, original.code, original.number, Event.VOID)
    return void is None or not void.accepted


def _exceeds_blue(connection: apsw.Connection, claim: Claim) -> bool:
    """Say whether a red, with those accepted before it, passes its blue in net or tax."""
    red, original = claim.content, claim.content.original
    if claim.event is not Event.ISSUE or original is None:
        return False
    blue = _use(connection, original.code, original.number, Event.ISSUE)
    if blue is None or blue.net_fen is None or blue.tax_fen is None:
        return False
    reds = _reds(connection, original)
    return abs(reds.net_fen + red.net_fen) > abs(blue.net_fen) or abs(
        reds.tax_fen + red.tax_fen
    ) > abs(blue.tax_fen)


def _reds(connection: apsw.Connection, blue: Original) -> _Reds:
    row = connection.execute(_REDS, {"code": blue.code, "number": blue.number}).get
    return _Reds(*row)


def _use(connection: apsw.Connection, code: str, number: str, event: Event) -> _Use | None:
    row = connection.execute(_USE, {"code": code, "number": number, "event": event}).fetchone()
    if row is None:
        return None
    return _Use(row[0], bool(row[1]), bool(row[2]), row[3], row[4], row[5])
