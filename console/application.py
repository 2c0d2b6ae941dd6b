"""The console put together: routes, what stands before them, and what is answered when one fails."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from console import languages
from console.alert_pages import AlertPages
from console.audit_page import AuditPage
from console.config import Config, read_secret
from console.connection import connect
from console.device_pages import DevicePages
from console.failure import CallFailed
from console.feed import Feed
from console.guard import Guard, allowed_hosts
from console.invoice_pages import InvoicePages
from console.live import Live
from console.names import NoSuchPage
from console.overview_page import OverviewPage
from console.pages import Pages, environment
from console.sessions import SESSION_COOKIE, SESSION_S_MAX, FormRefused
from console.settings_pages import SettingsPages
from console.steering import Steering
from console.taxpayer_pages import TaxpayerPages

_STATIC: Final = Path(__file__).parent / "static"
# A page that a link of another site leads to comes without the strict session cookie. Loaded once more
# from here it comes with it; else the session would be begun anew and the old one forgotten.
_AGAIN: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>…</title>'
    '<meta http-equiv="refresh" content="0"></head><body></body></html>'
)


class Arrivals:
    """Sends who comes by a link of another site once more through the door, see ``_AGAIN``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = HTMLResponse(_AGAIN) if _from_elsewhere(scope) else self._app
        await answer(scope, receive, send)


def _from_elsewhere(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    headers = Headers(scope=scope)
    return (
        headers.get("sec-fetch-site") == "cross-site"
        and headers.get("sec-fetch-mode") == "navigate"
    )


def make(config: Config) -> Starlette:
    """Put a console together; the gateway is called once it runs. Raises :class:`ConfigError`."""
    secret = (
        read_secret(config.secret_file).decode("latin-1")
        if config.secret_file
        else secrets.token_urlsafe(48)
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        pages = _pages(config)
        app.state.pages = pages
        app.router.routes.extend(_routes(pages))
        watching = asyncio.create_task(pages.feed.run())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await pages.connection.channel.close()

    return Starlette(
        lifespan=lifespan,
        middleware=[
            Middleware(Guard, hosts=allowed_hosts(config.listen_host, config.hosts)),
            Middleware(Arrivals),
            Middleware(
                SessionMiddleware,
                secret_key=secret,
                session_cookie=SESSION_COOKIE,
                max_age=SESSION_S_MAX,
                same_site="strict",
                https_only=config.secure_cookie,
            ),
        ],
        exception_handlers={
            CallFailed: _call_failed,
            FormRefused: _form_refused,
            NoSuchPage: _no_such_page,
            404: _no_such_page,
            405: _no_such_page,
        },
    )


def _pages(config: Config) -> Pages:
    connection = connect(config.target, timeout_s=config.call_timeout_s)
    spoken = languages.load()
    return Pages(
        config=config,
        connection=connection,
        feed=Feed(connection),
        languages=spoken,
        environments={code: environment(language) for code, language in spoken.items()},
    )


def _routes(pages: Pages) -> list[Route | Mount]:
    overview, taxpayers, alerts = OverviewPage(pages), TaxpayerPages(pages), AlertPages(pages)
    steering, devices, invoices = Steering(pages), DevicePages(pages), InvoicePages(pages)
    audit, settings, live = AuditPage(pages), SettingsPages(pages), Live(pages)
    taxpayer = "/taxpayers/{tax_number}"
    return [
        Route("/", overview.show),
        Route("/alerts", alerts.list),
        Route("/alerts/{alert_id}", alerts.show),
        Route("/alerts/{alert_id}/acknowledge", alerts.acknowledge, methods=["POST"]),
        Route(taxpayer, taxpayers.show),
        Route(f"{taxpayer}/history.json", taxpayers.history),
        Route(f"{taxpayer}/uploads/{{what}}", steering.form),
        Route(f"{taxpayer}/uploads/{{what}}", steering.send, methods=["POST"]),
        Route(f"{taxpayer}/devices/{{machine_number}}", devices.show),
        Route(f"{taxpayer}/invoices/{{number}}", invoices.show),
        Route("/devices", devices.list),
        Route("/invoices", invoices.form),
        Route("/invoices", invoices.look_up, methods=["POST"]),
        Route("/audit", audit.show),
        Route("/operator", settings.show),
        Route("/operator", settings.name, methods=["POST"]),
        Route("/language", settings.language, methods=["POST"]),
        Route("/live/state", live.state),
        Route("/live/overview", live.overview),
        Route("/live/alerts", live.alerts),
        Route(f"/live{taxpayer}", live.taxpayer),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]


def _of(request: Request) -> Pages:
    return cast("Pages", request.app.state.pages)


async def _call_failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, CallFailed)
    return _of(request).show_failure(request, error.failure)


async def _form_refused(request: Request, _error: Exception) -> Response:
    text = _of(request).speech(request).language.text
    return _of(request).show(
        request,
        "refused.html",
        status=403,
        heading=text("This form is not valid any more"),
        sentence=text(
            "Nothing was done. Your session has ended, or the form comes from elsewhere: open the page"
            " again."
        ),
    )


async def _no_such_page(request: Request, error: Exception) -> Response:
    text = _of(request).speech(request).language.text
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _of(request).show(
        request,
        "refused.html",
        status=status,
        heading=text("There is no such page"),
        sentence=text("The address names nothing that is shown here."),
    )
