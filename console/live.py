"""The streams that keep pages live: server-sent events with fragments, rendered once for all tabs.

A tab gets the parts of its page whole, so one that comes back after any interruption needs no memory of
where it was. A part is sent when it reads differently than before.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from console.languages import Language
from console.pages import Pages

# Browsers miss a connection that dies without a word; the page's script misses this beat.
BEAT_S: Final = 10.0
_TICK_S: Final = 15.0
_SEND_S_MAX: Final = 20.0


@dataclass(slots=True)
class Renderings:
    """Fragments by page and language, each rendered once a version of the feed."""

    pages: Pages
    _version: int = -1
    _made: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def get(self, template: str, language: Language, taxpayer: str = "") -> str:
        """One fragment as the feed stands now."""
        if self._version != self.pages.feed.version:
            self._version = self.pages.feed.version
            self._made.clear()
        key = (template, language.code, taxpayer)
        if key not in self._made:
            self._made[key] = self.pages.fragment(language, template, name=taxpayer)
        return self._made[key]

    def forget(self) -> None:
        """Let time pass: durations read differently though nothing has changed."""
        self._made.clear()


class Live:
    """The streams of a console."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._renderings = Renderings(pages)

    async def state(self, request: Request) -> Response:
        """The stream of pages without live figures: the connection, and new alerts."""
        return self._stream(request, "")

    async def overview(self, request: Request) -> Response:
        """The stream of the overview."""
        return self._stream(request, "live_overview.html")

    async def alerts(self, request: Request) -> Response:
        """The stream of the alerts that stand."""
        return self._stream(request, "live_alerts.html")

    async def taxpayer(self, request: Request) -> Response:
        """The stream of one taxpayer."""
        name = f"taxpayers/{request.path_params['tax_number']}"
        return self._stream(request, "live_taxpayer.html", name)

    def _stream(self, request: Request, template: str, taxpayer: str = "") -> Response:
        language = self._pages.language(request)
        return EventSourceResponse(
            self._events(language, template, taxpayer),
            ping=BEAT_S,
            ping_message_factory=lambda: ServerSentEvent(event="beat", data="1"),
            send_timeout=_SEND_S_MAX,
            sep="\n",
        )

    async def _events(
        self, language: Language, template: str, taxpayer: str
    ) -> AsyncIterator[ServerSentEvent]:
        feed = self._pages.feed
        heard = feed.news_serial
        sent: dict[str, str] = {}
        parts = {
            "state": "live_state.html",
            "banner": "live_banner.html",
            "badge": "live_badge.html",
        }
        if template:
            parts["main"] = template
        while True:
            seen = feed.version
            for name, source in parts.items():
                rendered = self._renderings.get(source, language, taxpayer)
                if sent.get(name) != rendered:
                    sent[name] = rendered
                    yield ServerSentEvent(event=name, data=rendered)
            if feed.news_serial > heard:
                news = [one.alert for one in feed.news if one.serial > heard]
                heard = feed.news_serial
                text = self._pages.fragment(language, "live_news.html", news=news)
                yield ServerSentEvent(event="news", data=text)
            if await feed.wait(seen, wait_s=_TICK_S) == seen:
                self._renderings.forget()
