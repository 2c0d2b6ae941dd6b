"""The servicer of ``AuditService``."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc

from gateway import convert, requests
from ledger.port import Ledger
from ledger.records import BooksProgress
from ledger.survey_records import AuditRecord
from taxcontrol.admin.v1 import audit_service_pb2 as pb2
from taxcontrol.admin.v1 import audit_service_pb2_grpc

# No record has a higher id.
_NEWEST = 2**63 - 1

Context = grpc.aio.ServicerContext[Any, Any]


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    """Proves that nothing is missing, doubled or changed."""

    def __init__(self, *, ledger: Ledger, tenant: str) -> None:
        self._ledger = ledger
        self._tenant = tenant
        self._endings: set[asyncio.Task[None]] = set()

    async def ListAuditRecords(
        self, request: pb2.ListAuditRecordsRequest, context: Context
    ) -> pb2.ListAuditRecordsResponse:
        """Answer one page of what operators did."""
        del context
        size = requests.page_size(request.page_size, default=100, most=1000)
        found = await self._ledger.audit_records(
            self._tenant,
            parent=request.parent,
            actor=request.actor,
            before=requests.page_number(request.page_token) or _NEWEST,
            count_max=size + 1,
        )
        page = found[:size]
        return pb2.ListAuditRecordsResponse(
            records=map(_record, page),
            next_page_token=str(page[-1].audit_id) if len(found) > size else "",
        )

    async def CheckBooks(
        self, request: pb2.CheckBooksRequest, context: Context
    ) -> AsyncIterator[pb2.CheckBooksResponse]:
        """Check the books off the loop; a caller that hangs up ends it."""
        del request, context
        progress = self._ledger.check_books()
        pending: asyncio.Future[BooksProgress | None] | None = None
        try:
            while True:
                pending = asyncio.ensure_future(asyncio.to_thread(next, progress, None))
                # Shielded: a thread cannot be cancelled, so who is hung up on waits it out below.
                step = await asyncio.shield(pending)
                if step is None:
                    return
                yield _wire(step)
        finally:
            ending = asyncio.create_task(_end(pending, progress))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)


async def _end(
    pending: "asyncio.Future[BooksProgress | None] | None", progress: Iterator[BooksProgress]
) -> None:
    """Close the check once its running step, whose outcome nobody wants any more, has ended."""
    if pending is not None:
        await asyncio.wait([pending])
        pending.exception()
    await asyncio.to_thread(_close, progress)


def _close(progress: Iterator[BooksProgress]) -> None:
    close = getattr(progress, "close", None)
    if close is not None:
        close()


def _wire(step: BooksProgress) -> pb2.CheckBooksResponse:
    return pb2.CheckBooksResponse(
        checked_count=step.checked_count,
        total_count=step.total_count,
        findings=[
            pb2.Finding(check=found.check, subject=found.subject, message=found.message)
            for found in step.findings
        ],
        issued_count=step.issued_count,
        reserved_count=step.reserved_count,
        uploaded_count=step.uploaded_count,
        rejected_count=step.rejected_count,
        pending_count=step.pending_count,
        signature_count=step.signature_count,
        done=step.done,
        balanced=step.balanced,
    )


def _record(record: AuditRecord) -> pb2.AuditRecord:
    return pb2.AuditRecord(
        audit_id=record.audit_id,
        act_time=convert.timestamp(record.at),
        actor=record.actor,
        action=record.action,
        target=record.target,
        reason=record.reason,
        request_id=record.request_id,
        detail=record.detail,
    )
