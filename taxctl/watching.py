"""Watching over interruptions: the next message after the last token that was worked off.

No terminal and no files here.
"""

from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import TYPE_CHECKING, Final, TypeVar

from google.rpc import code_pb2

from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsRequest, WatchAlertsResponse
from taxcontrol.v1.invoice_query_pb2 import WatchInvoicesRequest, WatchInvoicesResponse
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.connection import Connection
from taxctl.failure import CallFailed, retry_delay_s
from taxctl.words import tr

if TYPE_CHECKING:
    import grpc

PAUSE_S_MIN: Final = 0.2
PAUSE_S_MAX: Final = 10.0
_JITTER: Final = 0.25

Interrupted = Callable[[Failure, float], None]
_Request = TypeVar("_Request", WatchInvoicesRequest, WatchAlertsRequest)
_Response = TypeVar("_Response", WatchInvoicesResponse, WatchAlertsResponse)


class Pauses:
    """How long to wait before a stream is asked for again: longer each time, up to 10 s."""

    def __init__(self) -> None:
        self._tried = 0
        self._random = SystemRandom()

    def begun(self) -> None:
        """Something has come: the next pause is short again."""
        self._tried = 0

    def after(self, failure: Failure) -> float:
        """The pause in seconds; not below what the gateway advises."""
        planned_s: float = max(PAUSE_S_MIN * (1 << self._tried), retry_delay_s(failure) or 0.0)
        # 2 ** 6 passes the longest pause already.
        self._tried = min(self._tried + 1, 6)
        return min(planned_s, PAUSE_S_MAX) * (1 + self._random.uniform(0, _JITTER))


def ended() -> Failure:
    """What it is when the gateway ends a stream that should go on."""
    return Failure(code=code_pb2.UNAVAILABLE, message=tr("the gateway ended the watch"))


def watch(
    connection: Connection,
    method: "grpc.UnaryStreamMultiCallable[_Request, _Response]",
    request: _Request,
    *,
    interrupted: Interrupted,
    sleep: Callable[[float], None],
) -> Iterator[_Response]:
    """Yield every message from ``request`` on, each once, for as long as somebody asks.

    ``request`` keeps the token of the last message whose successor was asked for, so it is where to
    go on. Once a message has come an unavailable gateway is called again, after pauses that grow
    to 10 s; ``interrupted`` hears each time why, and how long the pause is.

    Raises:
        CallFailed: The gateway refused the watch, or was not there at the very first call.
    """
    pauses, begun = Pauses(), False
    while True:
        try:
            for message in connection.stream(method, request):
                begun = True
                pauses.begun()
                yield message
                request.resume_token = message.resume_token
            failure = ended()
        except CallFailed as error:
            if not begun or error.failure.code != code_pb2.UNAVAILABLE:
                raise
            failure = error.failure
        pause_s = pauses.after(failure)
        interrupted(failure, pause_s)
        sleep(pause_s)
