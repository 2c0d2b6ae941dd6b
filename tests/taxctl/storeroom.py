"""The fake gateway's stock and uploads: recalled, returned, voided blank, paused, slowed, retried."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
from google.rpc import code_pb2

from taxcontrol.admin.v1.audit_service_pb2 import (
    CheckBooksRequest,
    CheckBooksResponse,
    ListAuditRecordsRequest,
    ListAuditRecordsResponse,
)
from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    ListSegmentsRequest,
    ListSegmentsResponse,
    ListStockThresholdsRequest,
    ListStockThresholdsResponse,
    RecallStockRequest,
    RecallStockResponse,
    ReturnStockRequest,
    ReturnStockResponse,
    SetStockThresholdRequest,
    SetStockThresholdResponse,
    VoidBlankNumberRequest,
    VoidBlankNumberResponse,
)
from taxcontrol.admin.v1.stock_threshold_pb2 import StockThreshold
from taxcontrol.admin.v1.taxpayer_pb2 import RateWindow
from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    GetUploadStatusRequest,
    GetUploadStatusResponse,
    ListUnuploadedRequest,
    ListUnuploadedResponse,
    PauseUploadsRequest,
    PauseUploadsResponse,
    ResumeUploadsRequest,
    ResumeUploadsResponse,
    RetryUploadsRequest,
    RetryUploadsResponse,
    SetUploadRateRequest,
    SetUploadRateResponse,
)
from taxcontrol.admin.v1.upload_pb2 import Meter, UnuploadedEvent, UploadStatus, WindowUse
from taxcontrol.v1.invoice_pb2 import Invoice, VoidStatement
from taxcontrol.v1.stock_pb2 import StockLevel
from taxcontrol.v1.stock_service_pb2 import GetStockRequest, GetStockResponse
from tests.taxctl.books import CODE, TAXPAYER, Books, refuse

AUTHORITY_WINDOWS = (RateWindow(period_ms=1000, call_count_max=10),)
_REFUSED = frozenset({Invoice.UPLOAD_STATE_REJECTED, Invoice.UPLOAD_STATE_SIGNATURE_REJECTED})


@dataclass
class Storeroom:
    """One segment of 026: ``next`` to ``last`` lie at point 0, the rest in the pool."""

    books: Books
    next: int = 31
    last: int = 50
    pool: list[int] = field(default_factory=lambda: list(range(51, 61)))
    returned: list[int] = field(default_factory=list)
    voided: list[int] = field(default_factory=list)
    thresholds: dict[tuple[str, str], StockThreshold] = field(default_factory=dict)

    def GetStock(  # noqa: N802 - the contract's name
        self, request: GetStockRequest, _: grpc.ServicerContext
    ) -> GetStockResponse:
        self.books.seen.append(request)
        return GetStockResponse(
            levels=[
                StockLevel(
                    type="026",
                    available_count=len(self.pool),
                    next_code=CODE,
                    next_number=f"{self.pool[0]:08}",
                    issue_deadline="2027-01-31",
                ),
                StockLevel(
                    point=f"{TAXPAYER}/points/0",
                    type="026",
                    available_count=self.last - self.next + 1,
                    next_code=CODE,
                    next_number=f"{self.next:08}",
                ),
            ]
        )

    def ListSegments(  # noqa: N802 - the contract's name
        self, _request: ListSegmentsRequest, _: grpc.ServicerContext
    ) -> ListSegmentsResponse:
        digital = _segment(26_000_000, 26_000_099)
        digital.type, digital.code = "081", ""
        for name in ("first_number", "last_number", "next_number"):
            setattr(digital, name, getattr(digital, name).rjust(20, "2"))
        digital.issue_deadline = "2027-01-31"
        return ListSegmentsResponse(segments=[digital])

    def RecallStock(  # noqa: N802 - the contract's name
        self, request: RecallStockRequest, context: grpc.ServicerContext
    ) -> RecallStockResponse:
        def act(dry: bool) -> RecallStockResponse:
            if request.count > self.last - self.next + 1:
                refuse(context, code_pb2.RESOURCE_EXHAUSTED, "STOCK_EXHAUSTED")
            first = self.last - request.count + 1
            segment = _segment(first, self.last)
            if not dry:
                self.pool += range(first, self.last + 1)
                self.last = first - 1
            return RecallStockResponse(segments=[segment])

        return self.books.once(request, context, act)

    def ReturnStock(  # noqa: N802 - the contract's name
        self, request: ReturnStockRequest, context: grpc.ServicerContext
    ) -> ReturnStockResponse:
        def act(dry: bool) -> ReturnStockResponse:
            if request.segment_id != 7:
                refuse(context, code_pb2.NOT_FOUND, "SEGMENT_NOT_FOUND")
            given = sorted(self.pool)[-request.count :]
            segment = _segment(given[0], given[-1])
            if dry:
                return ReturnStockResponse(segment=segment)
            self.pool = [number for number in self.pool if number not in given]
            self.returned += given
            return ReturnStockResponse(segment=segment, return_serial="TH0001")

        return self.books.once(request, context, act)

    def VoidBlankNumber(  # noqa: N802 - the contract's name
        self, request: VoidBlankNumberRequest, context: grpc.ServicerContext
    ) -> VoidBlankNumberResponse:
        def act(dry: bool) -> VoidBlankNumberResponse:
            if (request.code, request.number) != (CODE, f"{self.next:08}"):
                refuse(context, code_pb2.FAILED_PRECONDITION, "NUMBER_NOT_BLANK")
            statement = VoidStatement(
                invoice=f"{TAXPAYER}/invoices/{CODE}-{request.number}",
                request_id=request.request_id,
                content=f'{{"reason": "{request.reason}"}}'.encode(),
            )
            statement.void_time.seconds = self.books.now
            if not dry:
                statement.signature = b"\xa5" * 64
                self.voided.append(self.next)
                self.next += 1
            return VoidBlankNumberResponse(void_statement=statement)

        return self.books.once(request, context, act)

    def SetStockThreshold(  # noqa: N802 - the contract's name
        self, request: SetStockThresholdRequest, context: grpc.ServicerContext
    ) -> SetStockThresholdResponse:
        def act(dry: bool) -> SetStockThresholdResponse:
            wanted = request.threshold
            if not request.reason or 0 < wanted.target_count <= wanted.low_count:
                refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
            if not dry:
                self.thresholds.pop((wanted.parent, wanted.type), None)
                if wanted.low_count:
                    self.thresholds[wanted.parent, wanted.type] = wanted
            return SetStockThresholdResponse()

        return self.books.once(request, context, act)

    def ListStockThresholds(  # noqa: N802 - the contract's name
        self, _request: ListStockThresholdsRequest, _: grpc.ServicerContext
    ) -> ListStockThresholdsResponse:
        found = [self.thresholds[key] for key in sorted(self.thresholds)]
        return ListStockThresholdsResponse(thresholds=found)


@dataclass
class Auditor:
    """The books of the one taxpayer, which always balance."""

    books: Books

    def CheckBooks(  # noqa: N802 - the contract's name
        self, _request: CheckBooksRequest, _: grpc.ServicerContext
    ) -> Iterator[CheckBooksResponse]:
        states = [one.upload_state for one in self.books.invoices.values()]
        yield CheckBooksResponse(total_count=len(states))
        yield CheckBooksResponse(
            checked_count=len(states),
            total_count=len(states),
            issued_count=len(states),
            rejected_count=sum(state in _REFUSED for state in states),
            pending_count=states.count(Invoice.UPLOAD_STATE_PENDING),
            done=True,
            balanced=True,
        )

    def ListAuditRecords(  # noqa: N802 - the contract's name
        self, request: ListAuditRecordsRequest, _: grpc.ServicerContext
    ) -> ListAuditRecordsResponse:
        found = [
            one
            for one in reversed(self.books.audit)
            if one.target.startswith(request.parent) and request.actor in ("", one.actor)
        ]
        start = int(request.page_token or 0)
        end = start + min(request.page_size or 100, 2)
        token = str(end) if end < len(found) else ""
        return ListAuditRecordsResponse(records=found[start:end], next_page_token=token)


@dataclass
class Mailroom:
    """The uploads of the one taxpayer."""

    books: Books
    paused: PauseUploadsRequest | None = None
    windows: list[RateWindow] = field(default_factory=list)
    meters: list[Meter] = field(default_factory=list)

    def GetUploadStatus(  # noqa: N802 - the contract's name
        self, _request: GetUploadStatusRequest, _: grpc.ServicerContext
    ) -> GetUploadStatusResponse:
        states = [one.upload_state for one in self.books.invoices.values()]
        status = UploadStatus(
            taxpayer=TAXPAYER,
            pending_count=states.count(Invoice.UPLOAD_STATE_PENDING),
            rejected_count=sum(state in _REFUSED for state in states),
            rate_share_ppm=1_000_000,
            windows=[
                WindowUse(period_ms=one.period_ms, call_count_max=one.call_count_max)
                for one in AUTHORITY_WINDOWS
            ],
            set_windows=self.windows,
            meters=self.meters,
        )
        if self.paused is not None:
            status.paused, status.pause_reason = True, self.paused.reason
            if self.paused.HasField("pause_until"):
                status.paused_until.CopyFrom(self.paused.pause_until)
        return GetUploadStatusResponse(status=status)

    def ListUnuploaded(  # noqa: N802 - the contract's name
        self, _request: ListUnuploadedRequest, _: grpc.ServicerContext
    ) -> ListUnuploadedResponse:
        events = [
            UnuploadedEvent(invoice=name, event=UnuploadedEvent.EVENT_ISSUE, state=one.upload_state)
            for name, one in self.books.invoices.items()
            if one.upload_state != Invoice.UPLOAD_STATE_ACCEPTED
        ]
        return ListUnuploadedResponse(events=events)

    def RetryUploads(  # noqa: N802 - the contract's name
        self, request: RetryUploadsRequest, context: grpc.ServicerContext
    ) -> RetryUploadsResponse:
        def act(dry: bool) -> RetryUploadsResponse:
            known = self.books.invoices
            refused = {name for name, one in known.items() if one.upload_state in _REFUSED}
            wanted = set(request.invoices) or refused
            if wanted - refused:
                refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", "NOT_REJECTED")
            for name in () if dry else wanted:
                known[name].upload_state = Invoice.UPLOAD_STATE_PENDING
            return RetryUploadsResponse(retried_count=len(wanted))

        return self.books.once(request, context, act)

    def PauseUploads(  # noqa: N802 - the contract's name
        self, request: PauseUploadsRequest, context: grpc.ServicerContext
    ) -> PauseUploadsResponse:
        def act(dry: bool) -> PauseUploadsResponse:
            self.paused = self.paused if dry else request
            return PauseUploadsResponse()

        return self.books.once(request, context, act)

    def ResumeUploads(  # noqa: N802 - the contract's name
        self, request: ResumeUploadsRequest, context: grpc.ServicerContext
    ) -> ResumeUploadsResponse:
        def act(dry: bool) -> ResumeUploadsResponse:
            self.paused = self.paused if dry else None
            return ResumeUploadsResponse()

        return self.books.once(request, context, act)

    def SetUploadRate(  # noqa: N802 - the contract's name
        self, request: SetUploadRateRequest, context: grpc.ServicerContext
    ) -> SetUploadRateResponse:
        def act(dry: bool) -> SetUploadRateResponse:
            most = {one.period_ms: one.call_count_max for one in AUTHORITY_WINDOWS}
            for one in request.windows:
                if one.call_count_max > most.get(one.period_ms, one.call_count_max):
                    refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
            if not dry:
                self.windows = list(request.windows)
            return SetUploadRateResponse(windows=[*AUTHORITY_WINDOWS, *request.windows])

        return self.books.once(request, context, act)


def _segment(first: int, last: int) -> Segment:
    return Segment(
        segment_id=8,
        grant_id="G1",
        type="026",
        code=CODE,
        first_number=f"{first:08}",
        last_number=f"{last:08}",
        total_count=last - first + 1,
        available_count=last - first + 1,
        next_number=f"{first:08}",
    )
