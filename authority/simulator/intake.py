"""The counter for uploads: counts the call, reads and verifies, takes and answers.

Reading and verifying a submission takes milliseconds and runs on a thread of its own, so that the
event loop stays free; judging needs the record and runs in the store's transaction.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import apsw

from authority.simulator import call_table, registry_table, submission_table
from authority.simulator.claims import Item, Reader, Submission
from authority.simulator.faults import Mischief
from authority.simulator.identifiers import request_id_valid
from authority.simulator.office import Clock, PolicyInForce
from authority.simulator.refusal import Refusal, malformed
from authority.simulator.signatures import Verifier
from authority.simulator.store import Store
from authority.simulator.submission_table import JudgedItem, Taken

COUNT_MAX: Final = 100


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
        reader = Reader(submission, self._verifier, now_s)
        claims = await loop.run_in_executor(self._thread, reader.claims)
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
                done_ns=time.time_ns() + self._in_force.policy.result_delay_ms * 1_000_000,
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
        now_ns = time.time_ns()

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
        for part in _parts(item):
            digest.update(len(part).to_bytes(8))
            digest.update(part)
    return digest.digest()


def _parts(item: Item) -> Iterator[bytes]:
    """Yield what an item consists of. The first part tells how many follow.

    Without an original they are what they were before voids carried one: a submission that an older
    simulator took must be known again.
    """
    event = item.event or ""
    texts = (
        f"{event}+" if item.original else event,
        *(item.code, item.number, item.signed.key_id),
    )
    yield from (text.encode() for text in texts)
    yield from (item.signed.content, item.signed.signature)
    if item.original is not None:
        yield from (item.original.key_id.encode(), item.original.content, item.original.signature)
