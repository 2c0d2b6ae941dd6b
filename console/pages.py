"""What every page is made with: the gateway's connection and feed, the templates in both languages."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import desk, figures, languages, sessions
from console.config import Config
from console.connection import Connection
from console.failure import Failure
from console.feed import Feed
from console.languages import Language
from console.speech import Speech
from taxcontrol.admin.v1.alert_pb2 import Alert

_TEMPLATES: Final = Path(__file__).parent / "templates"
# Of what no page shows more at once; the rest is behind a link.
ALERTS_SHOWN: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """One console: everything a page needs to know."""

    config: Config
    connection: Connection
    feed: Feed
    languages: Mapping[str, Language]
    environments: Mapping[str, Environment]
    now: Callable[[], float] = time.time

    def language(self, request: Request) -> Language:
        """The language of a request."""
        code = languages.choose(
            request.cookies.get(sessions.LANGUAGE_COOKIE, ""),
            self.config.language,
            request.headers.get("accept-language", ""),
        )
        return self.languages[code]

    def say(self, language: Language) -> Speech:
        """What to say things with now."""
        return Speech(language, figures.civil(self.now()))

    def speech(self, request: Request) -> Speech:
        """The same in the language of a request."""
        return self.say(self.language(request))

    def operator(self, request: Request) -> str:
        """Who acts; empty when nobody has said so."""
        return sessions.operator(request, self.config)

    def fragment(self, language: Language, template: str, **facts: Any) -> str:
        """Render a part of a page, which has nothing of any one session in it."""
        say = self.say(language)
        found = self.environments[language.code].get_template(template)
        return found.render(say=say, language=language, **self._state(), **facts)

    def show(
        self,
        request: Request,
        template: str,
        *,
        active: str = "",
        live: str = "/live/state",
        status: int = 200,
        **facts: Any,
    ) -> Response:
        """Render a page. ``active`` is its place in the navigation, ``live`` its stream."""
        language = self.language(request)
        body = self.fragment(
            language,
            template,
            languages=list(self.languages.values()),
            operator=self.operator(request),
            operator_fixed=bool(self.config.operator_header),
            csrf=sessions.csrf_token(request),
            notice=sessions.take_notice(request),
            here=_here(request),
            active=active,
            live=live,
            **facts,
        )
        return HTMLResponse(body, status)

    def show_failure(self, request: Request, failure: Failure, *, active: str = "") -> Response:
        """Render what the gateway refused, by its name."""
        return self.show(
            request, "failure.html", active=active, status=failure.http_status, failure=failure
        )

    def done(self, request: Request, where: str, notice: str) -> Response:
        """Go to ``where`` after a write, with a sentence of what was done."""
        sessions.leave_notice(request, notice)
        return RedirectResponse(where, 303)

    def _state(self) -> dict[str, Any]:
        standing = desk.by_weight(self.feed.alerts)
        return {
            "feed": self.feed,
            "view": self.feed.view,
            "standing": standing,
            "display_names": desk.display_names(self.feed.view),
            "open_count": sum(one.state == Alert.STATE_RAISED for one in standing),
            "alerts_shown": ALERTS_SHOWN,
        }


def environment(language: Language) -> Environment:
    """The templates in one language; what is missing in them is a fault, not an empty place."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        language.catalog.gettext, language.catalog.ngettext, newstyle=True
    )
    made.globals["last_part"] = desk.last_part
    made.globals["panels"] = desk.panels
    made.globals["panel"] = desk.panel
    made.globals["gauges"] = desk.gauges
    made.globals["on_desk"] = desk.find
    made.globals["of_taxpayer"] = desk.of_taxpayer
    return made


def local_path(given: str) -> str:
    """A path of this console, or its front page: nobody is sent elsewhere."""
    if given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable():
        return given
    return "/"


def _here(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query and request.method == "GET" else "")
