"""Holding the uploads of a taxpayer back, while it goes on issuing."""

from collections.abc import Sequence
from typing import Final

from sandbox.invoices import Counter
from sandbox.record import recorded_numbers
from sandbox.stage import Disagreement, Stage
from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    GetUploadStatusRequest,
    PauseUploadsRequest,
    ResumeUploadsRequest,
)
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxctl.connection import Connection

_HELD_COUNT: Final = 5


def pause(stage: Stage, place: Counter) -> list[IssuedInvoice]:
    """Pause the uploads of a taxpayer, and issue some more that have to wait."""
    request = PauseUploadsRequest(
        request_id=stage.request_id(), parent=place.taxpayer.name, reason="demo: the line is down"
    )
    stage.connection.call(_stub(stage).PauseUploads, request)
    return [stage.issue(stage.make(place)) for _ in range(_HELD_COUNT)]


def resume(
    stage: Stage, place: Counter, held: Sequence[IssuedInvoice], authority: Connection
) -> None:
    """See that the pause held and nothing went past it, then end it."""
    wanted = GetUploadStatusRequest(parent=place.taxpayer.name)
    status = stage.connection.call(_stub(stage).GetUploadStatus, wanted).status
    if not status.paused or status.pending_count < len(held):
        raise Disagreement(f"the uploads of {place.taxpayer.name} are not paused any more")
    recorded = recorded_numbers(authority)
    if any((one.code, one.number) in recorded for one in held):
        raise Disagreement(f"an invoice of {place.taxpayer.name} went past the pause")
    request = ResumeUploadsRequest(
        request_id=stage.request_id(), parent=place.taxpayer.name, reason="demo: it is up again"
    )
    stage.connection.call(_stub(stage).ResumeUploads, request)


def _stub(stage: Stage) -> UploadAdminServiceStub:
    return UploadAdminServiceStub(stage.connection.channel)
