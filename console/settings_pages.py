"""What a browser chooses for itself: the operator's name, and the language."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console import sessions
from console.config import LANGUAGES
from console.pages import Pages, local_path
from console.sessions import FieldWrong, read_form

_YEAR_S = 365 * 86_400


class SettingsPages:
    """The operator's name and the language."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """``GET /operator``."""
        return self._pages.show(request, "operator.html", wrong="", given="")

    async def name(self, request: Request) -> Response:
        """``POST /operator``: keep who sits here, for this session."""
        form = await read_form(request)
        try:
            sessions.set_operator(request, form.get("operator"))
        except FieldWrong as error:
            return self._pages.show(
                request,
                "operator.html",
                status=400,
                wrong=error.field,
                given=form.get("operator"),
            )
        say = self._pages.speech(request)
        return self._pages.done(request, "/", say.language.text("Your name is set."))

    async def language(self, request: Request) -> Response:
        """``POST /language``: keep the language in a cookie, and go back to the page."""
        form = await read_form(request)
        answer = RedirectResponse(local_path(form.get("next")), 303)
        code = form.get("language")
        if code in LANGUAGES:
            answer.set_cookie(
                sessions.LANGUAGE_COOKIE,
                code,
                max_age=_YEAR_S,
                httponly=True,
                samesite="lax",
                secure=self._pages.config.secure_cookie,
            )
        return answer
