"""The counter for summaries: reads and verifies one, and has the record judge its figures."""

from collections.abc import Callable
from datetime import UTC, datetime

import apsw

from authority.simulator import summary_table
from authority.simulator.departments import HOUSES, Department
from authority.simulator.identifiers import request_id_valid
from authority.simulator.refusal import Refusal, malformed
from authority.simulator.signatures import Verifier
from authority.simulator.store import Store
from authority.simulator.summaries import SCHEMA, Summary, Unreadable, period_valid, read
from authority.simulator.summary_table import Judged


class SummaryCounter:
    """Takes summaries. May raise :class:`Refusal`."""

    def __init__(
        self,
        *,
        store: Store,
        verifier: Verifier,
        department: Department,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._verifier = verifier
        self._series = f"{HOUSES[department].initial}PS"
        self._clock = clock

    async def take(self, summary: Summary) -> str:
        """Return the serial of a summary, idempotent by request id."""
        if not request_id_valid(summary.request_id):
            raise malformed("request_id", "is 1–120 of 0-9 A-Z a-z . _ : -")
        if not period_valid(summary.period):
            raise malformed("period", "is a month, YYYY-MM")
        now_ns = self._clock()

        def job(connection: apsw.Connection) -> str:
            return summary_table.take(
                connection, self._judged(summary, now_ns), now_ns=now_ns, series=self._series
            )

        return await self._store.run(job)

    def _judged(self, summary: Summary, now_ns: int) -> Judged:
        try:
            stated = read(summary)
        except Unreadable as error:
            return Judged(summary, {}, Refusal("CONTENT_INVALID", str(error)))
        # A verifier keeps what it has read and belongs to one thread: this one is the writer's own.
        authentic = self._verifier.verifies(
            certificate=summary.certificate,
            machine_number=summary.machine_number,
            tax_number=summary.tax_number,
            schema=SCHEMA,
            content=summary.content,
            signature=summary.signature,
            now=datetime.fromtimestamp(now_ns / 1e9, tz=UTC),
        )
        if not authentic:
            refusal = Refusal("SIGNATURE_INVALID", "no certificate of the device verifies it")
            return Judged(summary, stated, refusal)
        return Judged(summary, stated, None)
