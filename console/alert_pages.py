"""Alerts: those that stand, those that are over, each by itself, and taking one on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from console import names, sessions
from console.acting import read_act
from console.failure import CallFailed, Failure
from console.pages import Pages
from console.sessions import FieldWrong, read_form
from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import AcknowledgeAlertRequest, ListAlertsRequest
from taxcontrol.admin.v1.alert_service_pb2_grpc import AlertServiceStub

if TYPE_CHECKING:
    from taxcontrol.admin.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

_PAGE_SIZE = 50
# The contract has no call for one alert: so many pages of a thousand are searched for one that is over.
_SEARCHED_PAGES_MAX = 5
_SEARCHED_PAGE_SIZE = 1000


class AlertPages:
    """The alerts."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def list(self, request: Request) -> Response:
        """``GET /alerts``: those that stand, live, and a page of those that are over."""
        token = request.query_params.get("page", "")
        over: Iterable[Alert] = ()
        next_token, failure = "", None
        try:
            listed = await self._pages.connection.call(
                self._stub.ListAlerts,
                ListAlertsRequest(page_size=_PAGE_SIZE, page_token=token),
            )
        except CallFailed as error:
            failure = error.failure
        else:
            next_token = listed.next_page_token
            over = [one for one in listed.alerts if one.state == Alert.STATE_RESOLVED]
        return self._pages.show(
            request,
            "alerts.html",
            active="alerts",
            live="/live/alerts",
            status=200 if failure is None else failure.http_status,
            name="",
            over=over,
            first=not token,
            next_token=next_token,
            failure=failure,
        )

    async def show(self, request: Request) -> Response:
        """``GET /alerts/{alert_id}``."""
        alert = await self._find(_name(request))
        return self._page(request, alert, request_id=sessions.fresh_request_id())

    async def acknowledge(self, request: Request) -> Response:
        """``POST /alerts/{alert_id}/acknowledge``."""
        name = _name(request)
        form = await read_form(request)
        try:
            act = read_act(request, form, self._pages)
            answer = await self._pages.connection.call(
                self._stub.AcknowledgeAlert,
                AcknowledgeAlertRequest(request_id=act.request_id, name=name, reason=act.reason),
                operator=act.operator,
            )
        except FieldWrong as error:
            return self._page(
                request,
                await self._find(name),
                request_id=form.get("request_id"),
                reason=form.get("reason"),
                wrong=error.field,
                status=400,
            )
        except CallFailed as error:
            return await self._failed(
                request, name, form.get("request_id"), form.get("reason"), error.failure
            )
        say = self._pages.speech(request)
        notice = (
            say.language.text("That was done already; nothing was done twice.")
            if answer.replayed
            else say.language.text("Noted: you look after this alert.")
        )
        return self._pages.done(request, f"/{name}", notice)

    async def _failed(
        self, request: Request, name: str, request_id: str, reason: str, failure: Failure
    ) -> Response:
        """Show the form again with what went wrong; the failure alone where there is no alert."""
        try:
            alert = await self._find(name)
        except CallFailed:
            return self._pages.show_failure(request, failure, active="alerts")
        return self._page(
            request,
            alert,
            request_id=request_id,
            reason=reason,
            failure=failure,
            status=failure.http_status,
        )

    def _page(
        self,
        request: Request,
        alert: Alert,
        *,
        request_id: str,
        reason: str = "",
        wrong: str = "",
        failure: Failure | None = None,
        status: int = 200,
    ) -> Response:
        return self._pages.show(
            request,
            "alert.html",
            active="alerts",
            status=status,
            alert=alert,
            request_id=request_id,
            reason=reason,
            wrong=wrong,
            failure=failure,
        )

    async def _find(self, name: str) -> Alert:
        """The alert as the feed has it, or by looking through those that are over."""
        standing = self._pages.feed.alerts.get(name)
        if standing is not None and self._pages.feed.away_since is None:
            return standing
        token = ""
        for _ in range(_SEARCHED_PAGES_MAX):
            wanted = ListAlertsRequest(page_size=_SEARCHED_PAGE_SIZE, page_token=token)
            page = await self._pages.connection.call(self._stub.ListAlerts, wanted)
            for alert in page.alerts:
                if alert.name == name:
                    return alert
            token = page.next_page_token
            if not token:
                break
        raise CallFailed(
            Failure(
                reason="ALERT_NOT_FOUND",
                code="NOT_FOUND",
                message=name,
                answered=True,
                facts={"name": name},
            )
        )

    @property
    def _stub(self) -> "AlertServiceAsyncStub":
        return AlertServiceStub(self._pages.connection.channel)


def _name(request: Request) -> str:
    alert_id = names.part(request, "alert_id")
    return f"alerts/{alert_id}"
