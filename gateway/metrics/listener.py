"""Where Prometheus asks: one thread, one scrape at a time, each over within seconds.

Written by hand because the usual one starts a thread for every connection and waits for a caller as long
as the caller likes. Whatever happens here, the event loop does not hear of it.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway.serving import CannotListen

log = structlog.get_logger()

# For one caller to ask and to take its answer; Prometheus itself gives up after 10 s.
_CALL_S: Final = 5.0
_HEAD_BYTES_MAX: Final = 16 * 1024
_BACKLOG: Final = 8
# After an accept that failed, such as for want of file descriptors.
_PAUSE_S: Final = 0.1


class Listener:
    """Serves ``text()`` at ``/metrics``. ``call_s`` is how long a caller may take to ask, and to be told."""

    def __init__(self, listen: str, text: Callable[[], bytes], *, call_s: float = _CALL_S) -> None:
        self._listen = listen
        self._call_s = call_s
        self._text = text
        self._socket: socket.socket | None = None
        self._caller: socket.socket | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    @property
    def busy(self) -> bool:
        """Whether somebody is being answered."""
        return self._caller is not None

    def start(self) -> str:
        """Listen; the answer is ``host:port`` with the real port. Raise ``CannotListen``."""
        host, _, port = self._listen.rpartition(":")
        self._socket = _bound(host, int(port))
        self._thread.start()
        address = f"{host}:{self._socket.getsockname()[1]}"
        log.info("metrics.started", address=address)
        return address

    async def stop(self) -> None:
        """Answer nobody any more, and hang up on who is being answered."""
        if self._socket is None:
            return
        self._closed.set()
        # Wakes the thread out of ``accept`` and ``recv``, which closing alone does not.
        for each in (self._socket, self._caller):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        await asyncio.to_thread(self._thread.join, 2 * self._call_s)

    def _serve(self) -> None:
        assert self._socket is not None
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                self._closed.wait(_PAUSE_S)
                continue
            self._caller = connection
            try:
                with connection:
                    self._answer(connection)
            except OSError:  # too slow, or gone
                log.debug("metrics.caller_gone")
            except Exception:  # a bug ends one scrape and not all
                log.exception("metrics.bug")
            self._caller = None

    def _answer(self, connection: socket.socket) -> None:
        until = time.monotonic() + self._call_s
        method, path = _asked(connection, until)
        if path != "/metrics":
            answer = _answered("404 Not Found", b"/metrics is here\n")
        elif method not in ("GET", "HEAD"):
            answer = _answered("405 Method Not Allowed", b"GET it\n", more="Allow: GET, HEAD\r\n")
        else:
            answer = self._scraped(with_body=method == "GET")
        # A limit on the whole of it, not on each piece; what working it out took is on us.
        connection.settimeout(self._call_s)
        connection.sendall(answer)

    def _scraped(self, *, with_body: bool) -> bytes:
        try:
            body = self._text()
        except (
            Exception
        ):  # told to the caller too: no answer would look like a gateway that is down
            log.exception("metrics.bug")
            return _answered("500 Internal Server Error", b"see the log\n")
        head = _head("200 OK", len(body), CONTENT_TYPE_PLAIN_0_0_4)
        return head + body if with_body else head


def _asked(connection: socket.socket, until: float) -> tuple[str, str]:
    """Method and path; empty when it is no request."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES_MAX:
        connection.settimeout(max(0.001, until - time.monotonic()))
        piece = connection.recv(4096)
        if not piece:
            break
        head += piece
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return "", ""
    return words[0], words[1].partition("?")[0]


def _answered(status: str, body: bytes, *, more: str = "") -> bytes:
    return _head(status, len(body), "text/plain; charset=utf-8", more=more) + body


def _head(status: str, size: int, content_type: str, *, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {size}\r\n"
        f"{more}Connection: close\r\n\r\n"
    ).encode("latin-1")


def _bound(host: str, port: int) -> socket.socket:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, ValueError) as error:
        raise CannotListen(f"metrics: cannot listen on {host}:{port}: {error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise CannotListen(f"metrics: cannot listen on {host}:{port}: {error.strerror}") from error
    return bound
