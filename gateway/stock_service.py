"""The servicer of ``StockService``."""

from typing import Any

import grpc

from gateway import requests
from gateway.clock import Clock
from gateway.registry import Registry
from invoice.identifiers import parse_point_name, parse_taxpayer_name, point_name
from ledger.port import Ledger
from quota.period import day_of
from taxcontrol.v1 import stock_pb2, stock_service_pb2_grpc
from taxcontrol.v1 import stock_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]


class StockServicer(stock_service_pb2_grpc.StockServiceServicer):
    """Answers what is left to issue from."""

    def __init__(self, *, ledger: Ledger, registry: Registry, clock: Clock, tenant: str) -> None:
        self._ledger = ledger
        self._registry = registry
        self._clock = clock
        self._tenant = tenant

    async def GetStock(
        self, request: pb2.GetStockRequest, context: Context
    ) -> pb2.GetStockResponse:
        """Answer the levels of a taxpayer or of one point."""
        del context
        if request.type:
            requests.check_type(request.type)
        point: int | None = None
        if "/points/" in request.parent:
            tax_number, point = parse_point_name(request.parent, field="parent")
            await self._registry.seat(self._tenant, tax_number, point)
        else:
            tax_number = parse_taxpayer_name(request.parent, field="parent")
            await self._registry.record(self._tenant, tax_number)
        levels = await self._ledger.stock(
            self._tenant,
            tax_number,
            point=point,
            type=request.type,
            day=day_of(self._clock.now()),
        )
        return pb2.GetStockResponse(
            levels=[
                stock_pb2.StockLevel(
                    point="" if level.point is None else point_name(tax_number, level.point),
                    type=level.type,
                    available_count=level.available_count,
                    next_code=level.next_code,
                    next_number=level.next_number,
                    issue_deadline=level.issue_deadline,
                    expired_count=level.expired_count,
                )
                for level in levels
            ]
        )
