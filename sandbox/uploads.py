"""Waiting until everything has reached the authority."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxcontrol.admin.v1.upload_admin_service_pb2 import GetUploadStatusRequest
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxctl.connection import Connection

_POLL_S: Final = 0.25


class NotUploaded(Exception):
    """Not everything has reached the authority: it refused some, or time is over."""


class UploadsLate(NotUploaded):
    """Events are still waiting after the time allowed."""


def wait_for_uploads(
    connection: Connection,
    taxpayers: Sequence[Taxpayer],
    *,
    wait_s: float,
    progress: Callable[[int], None],
) -> None:
    """Return once no event waits any more; ``progress`` hears how many still do.

    Raises:
        NotUploaded: The authority refused some.
        UploadsLate: ``wait_s`` is over.
        CallFailed: The gateway does not answer.
    """
    until = time.monotonic() + wait_s
    while True:
        waiting, rejected, trouble = _backlog(connection, taxpayers)
        progress(waiting)
        if rejected:
            raise NotUploaded(f"the authority refused {rejected} events")
        if not waiting:
            return
        if time.monotonic() > until:
            raise UploadsLate(f"{waiting} events are not uploaded after {wait_s:g} s; {trouble}")
        time.sleep(_POLL_S)


def _backlog(connection: Connection, taxpayers: Sequence[Taxpayer]) -> tuple[int, int, str]:
    stub = UploadAdminServiceStub(connection.channel)
    waiting = rejected = 0
    trouble = "no error was reported"
    for taxpayer in taxpayers:
        request = GetUploadStatusRequest(parent=taxpayer.name)
        status = connection.call(stub.GetUploadStatus, request).status
        waiting += status.pending_count + status.submitted_count + status.in_doubt_count
        rejected += status.rejected_count
        trouble = status.last_error or trouble
    return waiting, rejected, trouble
