"""Who did what, when and why."""

from starlette.requests import Request
from starlette.responses import Response

from console import names
from console.config import OPERATOR
from console.failure import CallFailed
from console.pages import Pages
from taxcontrol.admin.v1.audit_service_pb2 import (
    ListAuditRecordsRequest,
    ListAuditRecordsResponse,
)
from taxcontrol.admin.v1.audit_service_pb2_grpc import AuditServiceStub

_PAGE_SIZE = 100


class AuditPage:
    """The audit records, newest first."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """``GET /audit``: all, or those of a taxpayer or an operator."""
        given = request.query_params
        actor, token = given.get("actor", "").strip(), given.get("page", "")
        typed = given.get("taxpayer", "").strip()
        parent = names.parent(typed)
        wrong = "taxpayer" if parent is None else ""
        if actor and OPERATOR.fullmatch(actor) is None:
            wrong = wrong or "actor"
        listed, failure = ListAuditRecordsResponse(), None
        if not wrong:
            try:
                listed = await self._pages.connection.call(
                    AuditServiceStub(self._pages.connection.channel).ListAuditRecords,
                    ListAuditRecordsRequest(
                        parent=parent or "", actor=actor, page_size=_PAGE_SIZE, page_token=token
                    ),
                )
            except CallFailed as error:
                failure = error.failure
        return self._pages.show(
            request,
            "audit.html",
            active="audit",
            status=failure.http_status if failure else 400 if wrong else 200,
            records=listed.records,
            next_token=listed.next_page_token,
            actor=actor,
            typed=typed,
            wrong=wrong,
            failure=failure,
        )
