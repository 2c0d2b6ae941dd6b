"""Pausing, resuming and slowing down uploads: asked, tried dry, shown with its effect, then done.

A form is sent twice: the first time the gateway says whether it would do it (``validate_only``) and the
page states what that means; the second time, from there, it is done. Both carry one request id.
"""

from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import Response

from console import desk, names, sessions
from console.acting import Act, read_act
from console.effects import Situation, Step, beyond, effect
from console.failure import CallFailed, Failure
from console.names import NoSuchPage
from console.pages import Pages
from console.sessions import FieldWrong, Form, FormRefused, read_form
from taxcontrol.admin.v1.taxpayer_pb2 import RateWindow
from taxcontrol.admin.v1.taxpayer_service_pb2 import GetTaxpayerRequest
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub
from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    GetUploadStatusRequest,
    PauseUploadsRequest,
    ResumeUploadsRequest,
    SetUploadRateRequest,
)
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub

STEPS: Final = ("pause", "resume", "rate")
PAUSES_MIN: Final = (15, 60, 240, 1440)
OPEN: Final = "open"


class Steering:
    """The three steps of one taxpayer's uploads."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def form(self, request: Request) -> Response:
        """``GET /taxpayers/{tax_number}/uploads/{what}``."""
        situation = await self._situation(names.taxpayer(request))
        return self._ask(request, situation, _what(request))

    async def send(self, request: Request) -> Response:
        """``POST`` of the same: ``step`` is ``look`` the first time, ``do`` the second."""
        name, what = names.taxpayer(request), _what(request)
        form = await read_form(request)
        situation = await self._situation(name)
        try:
            act = read_act(request, form, self._pages, reason_required=what != "resume")
            step = self._step(what, form, situation)
            if form.get("step") == "do":
                return await self._do(request, situation, step, act)
            await self._send(situation, step, act, validate_only=True)
        except FieldWrong as error:
            return self._ask(request, situation, what, form=form, wrong=error.field)
        except CallFailed as error:
            return self._ask(request, situation, what, form=form, failure=error.failure)
        return self._pages.show(
            request,
            "confirm.html",
            situation=situation,
            step=step,
            act=act,
            until=Timestamp(seconds=step.until_s),
            effect=effect(situation, step, self._pages.speech(request)),
            beyond=beyond(situation, step),
        )

    async def _do(self, request: Request, situation: Situation, step: Step, act: Act) -> Response:
        replayed = await self._send(situation, step, act, validate_only=False)
        say = self._pages.speech(request)
        notices = {
            "pause": say.language.text("Uploads are paused."),
            "resume": say.language.text("Uploads go on."),
            "rate": say.language.text("The upload rate is set."),
        }
        notice = (
            say.language.text("That was done already; nothing was done twice.")
            if replayed
            else notices[step.what]
        )
        return self._pages.done(request, f"/{situation.name}", notice)

    async def _send(
        self, situation: Situation, step: Step, act: Act, *, validate_only: bool
    ) -> bool:
        """Whether an earlier call with the same request id did it."""
        stub = UploadAdminServiceStub(self._pages.connection.channel)
        facts: dict[str, Any] = {
            "request_id": act.request_id,
            "parent": situation.name,
            "reason": act.reason,
            "validate_only": validate_only,
        }
        call = self._pages.connection.call
        if step.what == "pause":
            pause = PauseUploadsRequest(**facts)
            if step.until_s:
                pause.pause_until.seconds = step.until_s
            return (await call(stub.PauseUploads, pause, operator=act.operator)).replayed
        if step.what == "resume":
            resume = ResumeUploadsRequest(**facts)
            return (await call(stub.ResumeUploads, resume, operator=act.operator)).replayed
        rate = SetUploadRateRequest(windows=step.windows, **facts)
        return (await call(stub.SetUploadRate, rate, operator=act.operator)).replayed

    def _step(self, what: str, form: Form, situation: Situation) -> Step:
        if what == "pause":
            return Step(what=what, until_s=self._until_s(form))
        if what == "rate":
            return Step(what=what, windows=_windows(form, situation))
        return Step(what=what)

    def _until_s(self, form: Form) -> int:
        """The end of a pause: as it was worked out before, or from the minutes that were chosen."""
        fixed = form.get("until_s")
        if fixed:
            if not (fixed.isascii() and fixed.isdecimal() and len(fixed) <= 11):
                raise FormRefused
            return int(fixed)
        chosen = form.get("minutes")
        if chosen == OPEN:
            return 0
        if chosen not in {str(minutes) for minutes in PAUSES_MIN}:
            raise FieldWrong("minutes", "MINUTES_UNKNOWN")
        return int(self._pages.now()) + int(chosen) * 60

    def _ask(
        self,
        request: Request,
        situation: Situation,
        what: str,
        *,
        form: Form | None = None,
        wrong: str = "",
        failure: Failure | None = None,
    ) -> Response:
        given = form or Form({})
        status = failure.http_status if failure else 400 if wrong else 200
        return self._pages.show(
            request,
            "steer.html",
            status=status,
            situation=situation,
            what=what,
            pauses=PAUSES_MIN,
            open=OPEN,
            given=given,
            request_id=given.get("request_id") or sessions.fresh_request_id(),
            wrong=wrong,
            failure=failure,
            in_force={one.period_ms: one.call_count_max for one in situation.status.windows},
        )

    async def _situation(self, name: str) -> Situation:
        connection = self._pages.connection
        status = await connection.call(
            UploadAdminServiceStub(connection.channel).GetUploadStatus,
            GetUploadStatusRequest(parent=name),
        )
        taxpayer = await connection.call(
            TaxpayerServiceStub(connection.channel).GetTaxpayer, GetTaxpayerRequest(name=name)
        )
        return Situation(
            name=name,
            display_name=taxpayer.taxpayer.display_name or desk.last_part(name),
            status=status.status,
            authority_windows=taxpayer.taxpayer.windows,
        )


def _what(request: Request) -> str:
    what = names.part(request, "what")
    if what not in STEPS:
        raise NoSuchPage
    return what


def _windows(form: Form, situation: Situation) -> tuple[RateWindow, ...]:
    """The windows that were lowered; none at all brings the authority's own back."""
    lowered = []
    for window in situation.authority_windows:
        field = f"calls_{window.period_ms}"
        given = form.get(field)
        if not given:
            continue
        if not (given.isascii() and given.isdecimal() and 1 <= int(given) <= window.call_count_max):
            raise FieldWrong(field, "CALLS_RANGE")
        if int(given) < window.call_count_max:
            lowered.append(RateWindow(period_ms=window.period_ms, call_count_max=int(given)))
    return tuple(lowered)
