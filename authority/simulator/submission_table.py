"""Submissions and the verdicts on their items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import apsw

from authority.simulator import grant_table, number_table
from authority.simulator.counter_table import count_up
from authority.simulator.refusal import Refusal
from authority.simulator.verdicts import Claim, Event, Outcome, Verdict, Whim, judge

_BY_ID: Final = """
SELECT acceptance_serial, digest, done_ns FROM submission
WHERE tax_number = :tax_number AND submission_id = :submission_id
"""
_BY_SERIAL: Final = """
SELECT done_ns FROM submission
WHERE acceptance_serial = :acceptance_serial AND tax_number = :tax_number
"""
_ADD: Final = """
INSERT INTO submission (acceptance_serial, tax_number, submission_id, digest, done_ns)
VALUES (:acceptance_serial, :tax_number, :submission_id, :digest, :done_ns)
"""
_ITEMS: Final = """
SELECT event, code, number, outcome, reason FROM item
WHERE acceptance_serial = :acceptance_serial ORDER BY ordinal
"""
_ADD_ITEM: Final = """
INSERT INTO item (acceptance_serial, ordinal, tax_number, event, code, number, content_digest,
                  signature_digest, outcome, reason, repeated)
VALUES (:acceptance_serial, :ordinal, :tax_number, :event, :code, :number, :content_digest,
        :signature_digest, :outcome, :reason, :repeated)
"""

EXPORT: Final = """
SELECT item.tax_number, event, code, number, outcome, reason, content_digest, signature_digest,
       submission_id
FROM item JOIN submission USING (acceptance_serial)
WHERE :tax_number IN ('', item.tax_number) AND NOT repeated
ORDER BY item.tax_number, code, number, event, item.acceptance_serial, ordinal
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A submission on record. Its results are there from ``done_ns`` on."""

    acceptance_serial: str
    digest: bytes
    done_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedItem:
    """One item of a submission with its verdict."""

    event: Event
    code: str
    number: str
    outcome: Outcome
    reason: str


def find(connection: apsw.Connection, *, tax_number: str, submission_id: str) -> Taken | None:
    """Return a submission, None when there is none."""
    row = connection.execute(
        _BY_ID, {"tax_number": tax_number, "submission_id": submission_id}
    ).fetchone()
    if row is None:
        return None
    return Taken(acceptance_serial=row[0], digest=row[1], done_ns=row[2])


def find_same(
    connection: apsw.Connection, *, tax_number: str, submission_id: str, digest: bytes
) -> Taken | None:
    """Return the submission that came before with the same items, None when none came.

    Refused: SUBMISSION_ID_REUSED when it came with others.
    """
    taken = find(connection, tax_number=tax_number, submission_id=submission_id)
    if taken is not None and taken.digest != digest:
        raise Refusal("SUBMISSION_ID_REUSED", f"{submission_id!r} came with other items")
    return taken


def take(
    connection: apsw.Connection,
    *,
    tax_number: str,
    submission_id: str,
    digest: bytes,
    claims: Sequence[Claim],
    whims: Sequence[Whim],
    done_ns: int,
) -> Taken:
    """Take a new submission and judge its items in the order they came."""
    serial = f"SL{count_up(connection, 'serial'):016d}"
    connection.execute(
        _ADD,
        {
            "acceptance_serial": serial,
            "tax_number": tax_number,
            "submission_id": submission_id,
            "digest": digest,
            "done_ns": done_ns,
        },
    )
    for ordinal, (claim, whim) in enumerate(zip(claims, whims, strict=True)):
        verdict = _settle(connection, tax_number, claim, whim)
        _add_item(connection, claim, verdict, serial=serial, ordinal=ordinal, tax_number=tax_number)
    return Taken(acceptance_serial=serial, digest=digest, done_ns=done_ns)


def results(
    connection: apsw.Connection, *, tax_number: str, acceptance_serial: str, now_ns: int
) -> tuple[JudgedItem, ...] | None:
    """Return the verdicts of a submission, empty while it is being checked, None when unknown."""
    key = {"acceptance_serial": acceptance_serial, "tax_number": tax_number}
    row = connection.execute(_BY_SERIAL, key).fetchone()
    if row is None:
        return None
    if now_ns < row[0]:
        return ()
    return tuple(
        JudgedItem(
            event=Event(event), code=code, number=number, outcome=Outcome(outcome), reason=reason
        )
        for event, code, number, outcome, reason in connection.execute(
            _ITEMS, {"acceptance_serial": acceptance_serial}
        )
    )


def _settle(connection: apsw.Connection, tax_number: str, claim: Claim, whim: Whim) -> Verdict:
    """Judge one item and store what follows from the verdict."""
    holder = grant_table.find_holder(connection, code=claim.code, number=claim.number)
    if holder is not None and holder.tax_number != tax_number:
        holder = None
    known = number_table.known(connection, tax_number=tax_number, claim=claim, holder=holder)
    verdict = judge(claim, known, whim)
    if verdict.binds:
        number_table.bind(connection, tax_number=tax_number, claim=claim)
    if verdict.outcome is Outcome.ACCEPTED and not verdict.repeated:
        first = number_table.accept(connection, tax_number=tax_number, claim=claim)
        if first and holder is not None:
            grant_table.use(connection, tax_number=tax_number, type_=holder.type)
    return verdict


def _add_item(
    connection: apsw.Connection,
    claim: Claim,
    verdict: Verdict,
    *,
    serial: str,
    ordinal: int,
    tax_number: str,
) -> None:
    connection.execute(
        _ADD_ITEM,
        {
            "acceptance_serial": serial,
            "ordinal": ordinal,
            "tax_number": tax_number,
            "event": claim.event,
            "code": claim.code,
            "number": claim.number,
            "content_digest": claim.content_digest,
            "signature_digest": claim.signature_digest,
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "repeated": verdict.repeated,
        },
    )
