"""What tests call: faults, policy, and the record. No fault ever befalls these calls."""

# ruff: noqa: N802 - the RPCs' own names

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc

from authority.simulator import (
    call_table,
    grant_table,
    messages,
    return_table,
    submission_table,
    summary_table,
)
from authority.simulator.desk import Context, Desk
from authority.simulator.faults import Mischief
from authority.simulator.office import Office
from authority.simulator.store import Store
from taxcontrol.authority.v1 import simulator_service_pb2 as wire
from taxcontrol.authority.v1.simulator_service_pb2_grpc import SimulatorServiceServicer


class SimulatorServicer(SimulatorServiceServicer):
    """Serves ``taxcontrol.authority.v1.SimulatorService``."""

    def __init__(self, *, desk: Desk, office: Office, store: Store) -> None:
        self._desk = desk
        self._office = office
        self._store = store

    async def SetFaults(
        self, request: wire.SetFaultsRequest, context: Context
    ) -> wire.SetFaultsResponse:
        """See the proto."""
        try:
            plan = messages.fault_plan(request.plan)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        self._desk.mischief = Mischief(plan)
        return wire.SetFaultsResponse()

    async def SetPolicy(
        self, request: wire.SetPolicyRequest, context: Context
    ) -> wire.SetPolicyResponse:
        """See the proto."""
        try:
            policy = messages.policy(request, self._office.policy)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        await self._office.set_policy(policy)
        return wire.SetPolicyResponse()

    async def ExportRecord(
        self,
        request: wire.ExportRecordRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[wire.ExportRecordResponse]:
        """See the proto."""
        whose = {"tax_number": request.tax_number}
        pieces = _PIECES if request.calls else _PIECES[:-1]
        async with self._store.snapshot() as snapshot:
            for query, written in pieces:
                async for page in snapshot.pages(query, whose):
                    for row in page:
                        yield written(row)


_PIECES: Final[tuple[tuple[str, Callable[[tuple[Any, ...]], wire.ExportRecordResponse]], ...]] = (
    (
        grant_table.EXPORT,
        lambda row: wire.ExportRecordResponse(grant=messages.grant(grant_table.grant_of(row))),
    ),
    (
        return_table.EXPORT,
        lambda row: wire.ExportRecordResponse(
            stock_return=messages.stock_return(return_table.return_of(row))
        ),
    ),
    (
        submission_table.EXPORT,
        lambda row: wire.ExportRecordResponse(event=messages.recorded_event(row)),
    ),
    (
        summary_table.EXPORT,
        lambda row: wire.ExportRecordResponse(summary=messages.recorded_summary(row)),
    ),
    (
        call_table.EXPORT,
        lambda row: wire.ExportRecordResponse(call=messages.counted_call(row)),
    ),
)
"""What the record consists of, in the order exported; calls come last."""
