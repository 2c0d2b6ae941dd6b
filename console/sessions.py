"""Who sits at the browser, and proof that a form is the console's own.

The session is one signed cookie, SameSite=Strict and HttpOnly: it holds the operator's name and the
token that every form carries. The language has a cookie of its own, which is no secret.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from starlette.requests import Request

from console.config import OPERATOR, Config

SESSION_COOKIE: Final = "console"
LANGUAGE_COOKIE: Final = "console_language"
SESSION_S_MAX: Final = 7 * 86_400
REASON_LENGTH_MAX: Final = 500
_CSRF: Final = "csrf"
_OPERATOR: Final = "operator"
_NOTICE: Final = "notice"


class FormRefused(Exception):
    """The form is not one of ours, or of a session that is over. Nothing was done."""


class FieldWrong(Exception):
    """A field of a form cannot be taken; ``field`` names it, the sentence says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form that proved to be ours."""

    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        """A field without blanks around it; empty when it is absent."""
        return self.fields.get(name, "").strip()


async def read_form(request: Request) -> Form:
    """Read a form; raise :class:`FormRefused` unless it carries the session's token."""
    given = await request.form(max_files=0, max_fields=50)
    fields = {name: value for name, value in given.items() if isinstance(value, str)}
    expected = request.session.get(_CSRF, "")
    if not expected or not secrets.compare_digest(
        fields.get(_CSRF, "").encode(), str(expected).encode()
    ):
        raise FormRefused
    return Form(fields)


def csrf_token(request: Request) -> str:
    """The token for the forms of a page; made with the session's first form."""
    token = request.session.get(_CSRF)
    if not isinstance(token, str):
        token = secrets.token_urlsafe(24)
        request.session[_CSRF] = token
    return token


def operator(request: Request, config: Config) -> str:
    """Who acts: whom the proxy let in, who said so in this session, or the configured name."""
    if config.operator_header:
        name = request.headers.get(config.operator_header, "")
        return name if OPERATOR.fullmatch(name) else ""
    name = request.session.get(_OPERATOR, "")
    return str(name) or config.operator


def set_operator(request: Request, name: str) -> None:
    """Keep the operator's name in the session; a name that cannot be sent is refused."""
    if OPERATOR.fullmatch(name) is None:
        raise FieldWrong("operator", "OPERATOR_FORMAT")
    request.session[_OPERATOR] = name


def leave_notice(request: Request, text: str) -> None:
    """Leave a sentence for the next page that is shown."""
    request.session[_NOTICE] = text


def take_notice(request: Request) -> str:
    """Take the sentence that was left; empty when there is none."""
    if _NOTICE not in request.session:
        return ""
    return str(request.session.pop(_NOTICE))


def fresh_request_id() -> str:
    """The id a form carries, so that sending it twice does it once."""
    return f"console-{uuid4()}"
