"""Turns what was handed in into claims: contents read, originals compared, signatures checked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from authority.simulator import content
from authority.simulator.content import Content
from authority.simulator.signatures import Verifier
from authority.simulator.verdicts import SCHEMA_OF, Claim, Event, OriginalClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Bytes, the signature over them, and which certificate of the submission it names."""

    content: bytes
    signature: bytes
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One event as it came.

    ``event`` is None when it is none we know; ``original`` is None when nothing of one came.
    """

    event: Event | None
    code: str
    number: str
    signed: Signed
    original: Signed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Events as they came, with the certificates (DER) they name."""

    submission_id: str
    tax_number: str
    items: Sequence[Item]
    certificates: Mapping[str, bytes]


class Reader:
    """Reads the items of one submission as of ``now_s`` (s since 1970)."""

    def __init__(self, submission: Submission, verifier: Verifier, now_s: float) -> None:
        self._submission = submission
        self._verifier = verifier
        self._now_s = now_s

    def claims(self) -> list[Claim] | None:
        """Return the claim of every item; None when one cannot be read."""
        try:
            return [self._claim(item) for item in self._submission.items]
        except content.Unreadable:
            return None

    def _claim(self, item: Item) -> Claim:
        if item.event is None:
            raise content.Unreadable("an unknown event")
        read = content.read(item.signed.content)
        disagreement = content.disagreement(
            read,
            schema=SCHEMA_OF[item.event],
            tax_number=self._submission.tax_number,
            code=item.code,
            number=item.number,
            now_s=self._now_s,
        )
        original = None
        if item.event is Event.VOID and not disagreement:
            original, disagreement = self._original(read, item.original)
        elif item.original is not None:
            disagreement = disagreement or "only a void carries an original"
        return Claim(
            event=item.event,
            code=item.code,
            number=item.number,
            content=read,
            content_digest=hashlib.sha256(item.signed.content).digest(),
            signature_digest=hashlib.sha256(item.signed.signature).digest(),
            disagreement=disagreement,
            authentic=not disagreement and self._verifies(read, item.signed),
            original=original,
        )

    def _original(self, void: Content, carried: Signed | None) -> tuple[OriginalClaim | None, str]:
        """Read what a void carries; return it, or in what the two disagree."""
        if carried is None:
            return None, "a void carries its original"
        read = content.read_original(carried.content)
        digest = hashlib.sha256(carried.content).digest()
        disagreement = content.original_disagreement(void, read, digest)
        if read is None or disagreement:
            return None, disagreement
        authentic = self._verifies(read, carried)
        return OriginalClaim(content=read, content_digest=digest, authentic=authentic), ""

    def _verifies(self, read: Content, signed: Signed) -> bool:
        return self._verifier.verifies(
            certificate=self._submission.certificates.get(signed.key_id, b""),
            machine_number=read.device,
            tax_number=self._submission.tax_number,
            schema=read.schema,
            content=signed.content,
            signature=signed.signature,
            now=datetime.fromtimestamp(self._now_s, tz=UTC),
        )
