"""The counter for uploads: counts the call, reads and verifies, takes and answers.

Reading and verifying a submission takes milliseconds and runs on a thread of its own, so that the
event loop stays free; judging needs the record and runs in the store's transaction.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import apsw

from authority.simulator import call_table, content, registry_table, submission_table
from authority.simulator.faults import Mischief
from authority.simulator.identifiers import request_id_valid
from authority.simulator.office import Clock, PolicyInForce
from authority.simulator.refusal import Refusal, malformed
from authority.simulator.signatures import Verifier
from authority.simulator.store import Store
from authority.simulator.submission_table import JudgedItem, Taken
from authority.simulator.verdicts import SCHEMA_OF, Claim, Event

COUNT_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One event as it came; ``event`` is None when it is none we know."""

    event: Event | None
    code: str
    number: str
    content: bytes
    signature: bytes
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Events as they came, with the certificates (DER) they name."""

    submission_id: str
    tax_number: str
    items: Sequence[Item]
    certificates: Mapping[str, bytes]


class Intake:
    """Takes uploads. Every method may raise :class:`Refusal`."""

    def __init__(
        self, *, store: Store, in_force: PolicyInForce, verifier: Verifier, clock: Clock
    ) -> None:
        self._store = store
        self._in_force = in_force
        self._verifier = verifier
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verify")

    def close(self) -> None:
        """End the verifying thread."""
        self._thread.shutdown(cancel_futures=True)

    async def count(self, *, tax_number: str, method: str, arrival_ns: int) -> None:
        """Put a call on record. Refused: TAXPAYER_UNKNOWN, THROTTLED; the latter is on record too."""

        def job(connection: apsw.Connection) -> int:
            registry_table.require_taxpayer(connection, tax_number)
            return call_table.count_call(
                connection,
                tax_number=tax_number,
                method=method,
                arrival_ns=arrival_ns,
                policy=self._in_force.policy,
                since_ns=self._in_force.since_ns,
            )

        waiting_ns = await self._store.run(job)
        if waiting_ns:
            raise call_table.throttled(waiting_ns)

    async def submit(self, submission: Submission, mischief: Mischief) -> Taken:
        """Take a submission, or answer the one that came before under its id."""
        _check_shape(submission)
        now_s = self._clock() / 1e9
        loop = asyncio.get_running_loop()
        claims = await loop.run_in_executor(self._thread, self._read, submission, now_s)
        whims = [mischief.item() for _ in submission.items]
        poisoned = any(
            mischief.poisoned(code=item.code, number=item.number) for item in submission.items
        )
        digest = _digest(submission.items)

        def job(connection: apsw.Connection) -> Taken:
            same = submission_table.find_same(
                connection,
                tax_number=submission.tax_number,
                submission_id=submission.submission_id,
                digest=digest,
            )
            if same is not None:
                return same
            if claims is None or poisoned:
                # Which one is not told: a real authority does not know either.
                raise Refusal("SUBMISSION_INVALID", "an item cannot be read; nothing was taken")
            return submission_table.take(
                connection,
                tax_number=submission.tax_number,
                submission_id=submission.submission_id,
                digest=digest,
                claims=claims,
                whims=whims,
                done_ns=self._clock() + self._in_force.policy.result_delay_ms * 1_000_000,
            )

        return await self._store.run(job)

    async def find(self, *, tax_number: str, submission_id: str) -> Taken:
        """Find a submission. Refused: SUBMISSION_UNKNOWN."""
        taken = await self._store.run(
            lambda connection: submission_table.find(
                connection, tax_number=tax_number, submission_id=submission_id
            )
        )
        if taken is None:
            raise Refusal("SUBMISSION_UNKNOWN", f"no submission {submission_id!r}")
        return taken

    async def results(
        self, *, tax_number: str, serials: Sequence[str]
    ) -> list[tuple[str, tuple[JudgedItem, ...]]]:
        """Return the verdicts of each known serial, empty while it is being checked."""
        if len(serials) > COUNT_MAX:
            raise Refusal("BATCH_TOO_LARGE", f"{len(serials)} serials, at most {COUNT_MAX}")
        if not serials:
            raise malformed("acceptance_serials", "has 1 or more")
        now_ns = self._clock()

        def job(connection: apsw.Connection) -> list[tuple[str, tuple[JudgedItem, ...]]]:
            found = []
            for serial in serials:
                judged = submission_table.results(
                    connection, tax_number=tax_number, acceptance_serial=serial, now_ns=now_ns
                )
                if judged is not None:
                    found.append((serial, judged))
            return found

        return await self._store.run(job)

    def _read(self, submission: Submission, now_s: float) -> list[Claim] | None:
        """Read and verify every item; None when one cannot be read."""
        try:
            return [self._claim(item, submission, now_s) for item in submission.items]
        except content.Unreadable:
            return None

    def _claim(self, item: Item, submission: Submission, now_s: float) -> Claim:
        if item.event is None:
            raise content.Unreadable("an unknown event")
        read = content.read(item.content)
        disagreement = content.disagreement(
            read,
            schema=SCHEMA_OF[item.event],
            tax_number=submission.tax_number,
            code=item.code,
            number=item.number,
            now_s=now_s,
        )
        authentic = not disagreement and self._verifier.verifies(
            certificate=submission.certificates.get(item.key_id, b""),
            machine_number=read.device,
            tax_number=submission.tax_number,
            schema=read.schema,
            content=item.content,
            signature=item.signature,
            now=datetime.fromtimestamp(now_s, tz=UTC),
        )
        return Claim(
            event=item.event,
            code=item.code,
            number=item.number,
            content=read,
            content_digest=hashlib.sha256(item.content).digest(),
            signature_digest=hashlib.sha256(item.signature).digest(),
            disagreement=disagreement,
            authentic=authentic,
        )


def _check_shape(submission: Submission) -> None:
    if not request_id_valid(submission.submission_id):
        raise malformed("submission_id", "is 1–120 of 0-9 A-Z a-z . _ : -")
    if len(submission.items) > COUNT_MAX:
        raise Refusal("BATCH_TOO_LARGE", f"{len(submission.items)} items, at most {COUNT_MAX}")
    if not submission.items:
        raise malformed("items", "has 1 or more")


def _digest(items: Sequence[Item]) -> bytes:
    """Return what tells one list of items from another; each part with its length before it."""
    digest = hashlib.sha256()
    for item in items:
        texts = ((item.event or ""), item.code, item.number, item.key_id)
        for part in (*(text.encode() for text in texts), item.content, item.signature):
            digest.update(len(part).to_bytes(8))
            digest.update(part)
    return digest.digest()
