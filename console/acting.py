"""What every write of the console has in common: who acts, why, and under which request id."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from console import sessions
from console.pages import Pages
from console.sessions import REASON_LENGTH_MAX, FieldWrong, Form, FormRefused

_REQUEST_ID: Final = re.compile(r"console-[0-9a-f-]{36}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who does it, why, and under which id: sent twice it is done once."""

    operator: str
    reason: str
    request_id: str


def read_act(request: Request, form: Form, pages: Pages, *, reason_required: bool = True) -> Act:
    """Read who acts and why from a form.

    Raises:
        FieldWrong: ``operator`` or ``reason`` is missing or cannot be sent.
        FormRefused: The form has no request id of ours.
    """
    request_id = form.get("request_id")
    if _REQUEST_ID.fullmatch(request_id) is None:
        raise FormRefused
    who = pages.operator(request)
    if not who:
        if pages.config.operator_header:
            raise FieldWrong("operator", "OPERATOR_UNKNOWN")
        who = form.get("operator")
        sessions.set_operator(request, who)
    # Browsers send line ends as CR LF; the record has them as one.
    reason = form.get("reason").replace("\r\n", "\n")
    if (reason_required and not reason) or len(reason) > REASON_LENGTH_MAX:
        raise FieldWrong("reason", "REASON_LENGTH")
    return Act(operator=who, reason=reason, request_id=request_id)
