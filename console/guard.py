"""What stands before every page: the Host allow-list, headers that bind the browser, a bound on bodies."""

from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX: Final = 64 * 1024
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_STATIC: Final = "/static/"
# No inline script or style, no other origin, no frame around us, no form to elsewhere.
_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Names of taxpayers stand in addresses: they are told to nobody else.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def allowed_hosts(listen_host: str, hosts: Iterable[str]) -> frozenset[str]:
    """The names a browser may call the console by, in lower case, without port."""
    own = f"[{listen_host}]" if ":" in listen_host else listen_host
    return frozenset(name.lower() for name in (*_LOOPBACK, own, *hosts))


class Guard:
    """Refuses what is not meant for this console, and marks every answer.

    A page of another site whose name is made to point here (DNS rebinding) still sends its own name
    as Host, so it is refused by that.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(scope=message), scope["path"])
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, marked)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if _name(headers.get("host", "")) not in self._hosts:
            return PlainTextResponse("This name is not served here; see hosts.\n", 421)
        if scope["method"] in ("GET", "HEAD"):
            return None
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("A form of another site is refused.\n", 403)
        length = headers.get("content-length", "")
        # Beside chunks a length means nothing: the server reads the chunks, however many come.
        if "transfer-encoding" in headers or not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return PlainTextResponse("The body is too large.\n", 413)
        return None


def _name(host: str) -> str:
    """The name of a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _mark(headers: MutableHeaders, path: str) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    # A page holds what only its reader may see; files are the console's own, asked for again cheaply.
    headers["Cache-Control"] = "no-cache" if path.startswith(_STATIC) else "no-store"
