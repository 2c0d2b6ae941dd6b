"""The servicer of ``StockAdminService``."""

from typing import Any

import grpc

from gateway import convert, requests
from gateway.clock import Clock
from gateway.deadline import deadline_of
from gateway.draw import Drawer
from gateway.registry import Registry
from gateway.return_stock import Returner
from gateway.voids import Voids
from invoice.errors import InvalidRequest
from invoice.identifiers import (
    number_text,
    parse_point_name,
    parse_taxpayer_name,
    point_name,
    taxpayer_name,
)
from ledger.port import Ledger
from ledger.records import GrantRecord, SegmentRecord
from ledger.survey_records import ThresholdRecord
from taxcontrol.admin.v1 import (
    segment_pb2,
    stock_admin_service_pb2_grpc,
    stock_threshold_pb2,
)
from taxcontrol.admin.v1 import stock_admin_service_pb2 as pb2

_THRESHOLD_MAX = 1_000_000

Context = grpc.aio.ServicerContext[Any, Any]


class StockAdminServicer(stock_admin_service_pb2_grpc.StockAdminServiceServicer):
    """Draws numbers, distributes them, and gives them back."""

    def __init__(
        self,
        *,
        drawer: Drawer,
        returner: Returner,
        voids: Voids,
        ledger: Ledger,
        registry: Registry,
        clock: Clock,
        tenant: str,
    ) -> None:
        self._drawer = drawer
        self._returner = returner
        self._voids = voids
        self._ledger = ledger
        self._registry = registry
        self._clock = clock
        self._tenant = tenant

    async def DrawStock(
        self, request: pb2.DrawStockRequest, context: Context
    ) -> pb2.DrawStockResponse:
        """Draw numbers into the pool."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        requests.check_type(request.type)
        requests.check_count(request.count)
        grant, replayed = await self._drawer.draw(
            tax_number=tax_number,
            type=request.type,
            count=request.count,
            binding=requests.binding(self._tenant, "draw_stock", request, request.request_id),
            act=requests.act(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        return pb2.DrawStockResponse(grant=_grant(grant), replayed=replayed)

    async def AssignStock(
        self, request: pb2.AssignStockRequest, context: Context
    ) -> pb2.AssignStockResponse:
        """Move numbers from the pool to a point."""
        del context
        tax_number, point = parse_point_name(request.point)
        requests.check_type(request.type)
        requests.check_count(request.count)
        segments, replayed = await self._ledger.assign(
            tax_number=tax_number,
            point=point,
            type=request.type,
            count=request.count,
            binding=requests.binding(self._tenant, "assign_stock", request, request.request_id),
            act=requests.act(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        return pb2.AssignStockResponse(segments=map(_segment, segments), replayed=replayed)

    async def RecallStock(
        self, request: pb2.RecallStockRequest, context: Context
    ) -> pb2.RecallStockResponse:
        """Move numbers from a point back to the pool."""
        del context
        tax_number, point = parse_point_name(request.point)
        requests.check_type(request.type)
        requests.check_count(request.count)
        segments, replayed = await self._ledger.recall(
            tax_number=tax_number,
            point=point,
            type=request.type,
            count=request.count,
            binding=requests.binding(self._tenant, "recall_stock", request, request.request_id),
            act=requests.act(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        return pb2.RecallStockResponse(segments=map(_segment, segments), replayed=replayed)

    async def ReturnStock(
        self, request: pb2.ReturnStockRequest, context: Context
    ) -> pb2.ReturnStockResponse:
        """Return numbers to the authority."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        if request.segment_id < 1:
            raise InvalidRequest("segment_id", "FIELD_RANGE", "must be the id of a segment")
        requests.check_count(request.count)
        record, replayed = await self._returner.give_back(
            tax_number=tax_number,
            segment_id=request.segment_id,
            count=request.count,
            binding=requests.binding(self._tenant, "return_stock", request, request.request_id),
            act=requests.act(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        assert record.segment is not None, "only a refused return has none"
        return pb2.ReturnStockResponse(
            segment=_segment(record.segment),
            return_serial=record.return_serial,
            replayed=replayed,
        )

    async def VoidBlankNumber(
        self, request: pb2.VoidBlankNumberRequest, context: Context
    ) -> pb2.VoidBlankNumberResponse:
        """Void a number that is no invoice."""
        stated = await self._voids.blank_number(request, deadline_of(context))
        return pb2.VoidBlankNumberResponse(
            void_statement=convert.void_statement(stated.record, stated.algorithm),
            replayed=stated.replayed,
        )

    async def SetStockThreshold(
        self, request: pb2.SetStockThresholdRequest, context: Context
    ) -> pb2.SetStockThresholdResponse:
        """Set when stock is low."""
        del context
        binding = requests.binding(self._tenant, "set_stock_threshold", request, request.request_id)
        replayed = await self._ledger.set_stock_threshold(
            _threshold(request.threshold),
            binding=binding,
            act=requests.act_for_reason(request.reason, self._clock.now()),
            dry_run=request.validate_only,
        )
        return pb2.SetStockThresholdResponse(replayed=replayed)

    async def ListStockThresholds(
        self, request: pb2.ListStockThresholdsRequest, context: Context
    ) -> pb2.ListStockThresholdsResponse:
        """Answer what was set."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        found = await self._ledger.stock_thresholds(self._tenant, tax_number)
        return pb2.ListStockThresholdsResponse(thresholds=map(_wire_threshold, found))

    async def ListSegments(
        self, request: pb2.ListSegmentsRequest, context: Context
    ) -> pb2.ListSegmentsResponse:
        """Answer one page of segments."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        size = requests.page_size(request.page_size, default=100, most=1000)
        after = requests.page_number(request.page_token)
        await self._registry.record(self._tenant, tax_number)
        found = await self._ledger.segments(
            self._tenant, tax_number, after=after, count_max=size + 1
        )
        page = found[:size]
        return pb2.ListSegmentsResponse(
            segments=map(_segment, page),
            next_page_token=str(page[-1].segment_id) if len(found) > size else "",
        )


def _grant(grant: GrantRecord) -> pb2.Grant:
    wire = pb2.Grant(
        grant_id=grant.grant_id,
        type=grant.type,
        code=grant.code,
        total_count=grant.count,
        state=pb2.Grant.State.Value(f"STATE_{grant.state}"),
    )
    if grant.width:  # the authority has said which numbers
        last = grant.first + grant.count - 1
        wire.first_number = number_text(grant.prefix, grant.width, grant.first)
        wire.last_number = number_text(grant.prefix, grant.width, last)
    return wire


def _segment(segment: SegmentRecord) -> segment_pb2.Segment:
    end = segment.first + segment.count
    wire = segment_pb2.Segment(
        segment_id=segment.segment_id,
        grant_id=segment.grant_id,
        type=segment.type,
        point="" if segment.point is None else point_name(segment.tax_number, segment.point),
        code=segment.code,
        first_number=number_text(segment.prefix, segment.width, segment.first),
        last_number=number_text(segment.prefix, segment.width, end - 1),
        total_count=segment.count,
        available_count=segment.available_count,
        returning_count=segment.returning_count,
        returned_count=segment.returned_count,
        issue_deadline=segment.issue_deadline,
    )
    if segment.available_count:
        wire.next_number = number_text(segment.prefix, segment.width, segment.next)
    return wire


def _threshold(wire: stock_threshold_pb2.StockThreshold) -> ThresholdRecord:
    """The threshold asked for; raise ``InvalidRequest`` naming the field."""
    if "/points/" in wire.parent:
        tax_number, point = parse_point_name(wire.parent, field="threshold.parent")
    else:
        tax_number, point = parse_taxpayer_name(wire.parent, field="threshold.parent"), None
    requests.check_type(wire.type, field="threshold.type")
    if not 0 <= wire.low_count <= _THRESHOLD_MAX:
        message = f"must be 0 to {_THRESHOLD_MAX}"
        raise InvalidRequest("threshold.low_count", "FIELD_RANGE", message)
    if wire.low_count and not wire.low_count < wire.target_count <= _THRESHOLD_MAX:
        message = f"must be above low_count, at most {_THRESHOLD_MAX}"
        raise InvalidRequest("threshold.target_count", "FIELD_RANGE", message)
    return ThresholdRecord(
        tax_number=tax_number,
        point=point,
        type=wire.type,
        low_count=wire.low_count,
        target_count=wire.target_count,
        auto_draw=wire.auto_draw,
    )


def _wire_threshold(record: ThresholdRecord) -> stock_threshold_pb2.StockThreshold:
    parent = (
        taxpayer_name(record.tax_number)
        if record.point is None
        else point_name(record.tax_number, record.point)
    )
    return stock_threshold_pb2.StockThreshold(
        parent=parent,
        type=record.type,
        low_count=record.low_count,
        target_count=record.target_count,
        auto_draw=record.auto_draw,
    )
