"""The servicer of ``StockAdminService``."""

from typing import Any

import grpc

from gateway import requests
from gateway.clock import Clock
from gateway.draw import Drawer
from gateway.registry import Registry
from invoice.identifiers import number_text, parse_point_name, parse_taxpayer_name, point_name
from ledger.port import Ledger
from ledger.records import GrantRecord, SegmentRecord
from taxcontrol.admin.v1 import segment_pb2, stock_admin_service_pb2_grpc
from taxcontrol.admin.v1 import stock_admin_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]


class StockAdminServicer(stock_admin_service_pb2_grpc.StockAdminServiceServicer):
    """Draws numbers and distributes them."""

    def __init__(
        self, *, drawer: Drawer, ledger: Ledger, registry: Registry, clock: Clock, tenant: str
    ) -> None:
        self._drawer = drawer
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
        available_count=end - segment.next,
    )
    if segment.next < end:
        wire.next_number = number_text(segment.prefix, segment.width, segment.next)
    return wire
