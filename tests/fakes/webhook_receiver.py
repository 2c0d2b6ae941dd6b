"""A receiver of webhooks as a stranger would write one: an HTTP server that checks what it is sent.

It checks the signature by the text of Standard Webhooks and keeps each event once, by its id. What it
answers is scripted; without a script it takes everything.
"""

import base64
import hashlib
import hmac
import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

SECRET = base64.b64encode(b"a secret of thirty-two bytes....").decode()
_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What it answers: a status, further headers, and a body."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Post:
    """One request as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        """The event in it."""
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Whether one of its signatures is by ``secret``, base64."""
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode()
        digest = hmac.new(base64.b64decode(secret), signed + self.body, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


class WebhookReceiver:
    """Listens on loopback while it is entered. The port is kept, also while it is away."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.script: deque[Answer] = deque()
        self._arrived = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self._port}/alerts?token=hush"

    def start(self) -> None:
        """Listen, at the port it had before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = receiver._take(Post(headers, body))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Be away: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def write_secret(self, folder: Path, *secrets: str) -> Path:
        """Write a secret file."""
        path = folder / "webhook.secret"
        path.unlink(missing_ok=True)
        path.write_text("".join(f"whsec_{secret}\n" for secret in secrets or (SECRET,)))
        path.chmod(0o400)
        return path

    def wait_for(self, count: int) -> list[Post]:
        """Wait until so many requests have come, and return all."""
        with self._arrived:
            there = self._arrived.wait_for(lambda: len(self.posts) >= count, _WAIT_S)
            assert there, f"{len(self.posts)} of {count} messages have come"
            return list(self.posts)

    def events(self) -> list[Any]:
        """Events that were taken, each once, in the order they came first."""
        found: dict[str, Any] = {}
        for post in self.posts:
            found.setdefault(post.headers["webhook-id"], post.event)
        return list(found.values())

    def _take(self, post: Post) -> Answer:
        with self._arrived:
            self.posts.append(post)
            answer = self.script.popleft() if self.script else Answer()
            self._arrived.notify_all()
            return answer
