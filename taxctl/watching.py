"""Watching over interruptions: the next message after the last token that was worked off.

No terminal and no files here.
"""

from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import Final

from google.rpc import code_pb2

from taxcontrol.v1.invoice_query_pb2 import WatchInvoicesRequest, WatchInvoicesResponse
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection
from taxctl.failure import CallFailed, retry_delay_s

PAUSE_S_MIN: Final = 0.2
PAUSE_S_MAX: Final = 10.0
_JITTER: Final = 0.25

Interrupted = Callable[[Failure, float], None]


def watch(
    connection: Connection,
    request: WatchInvoicesRequest,
    *,
    interrupted: Interrupted,
    sleep: Callable[[float], None],
) -> Iterator[WatchInvoicesResponse]:
    """Yield every message from ``request`` on, each once, for as long as somebody asks.

    ``request`` keeps the token of the last message whose successor was asked for, so it is where to
    go on. Once a message has come an unavailable gateway is called again, after pauses that grow
    to 10 s; ``interrupted`` hears each time why, and how long the pause is.

    Raises:
        CallFailed: The gateway refused the watch, or was not there at the very first call.
    """
    stub = InvoiceServiceStub(connection.channel)
    random = SystemRandom()
    begun, tried = False, 0
    while True:
        try:
            for message in connection.stream(stub.WatchInvoices, request):
                begun, tried = True, 0
                yield message
                request.resume_token = message.resume_token
            failure = Failure(code=code_pb2.UNAVAILABLE, message="the gateway ended the watch")
        except CallFailed as error:
            if not begun or error.failure.code != code_pb2.UNAVAILABLE:
                raise
            failure = error.failure
        planned_s = max(PAUSE_S_MIN * 2**tried, retry_delay_s(failure) or 0.0)
        pause_s = min(planned_s, PAUSE_S_MAX) * (1 + random.uniform(0, _JITTER))
        # 2 ** 6 passes the longest pause already.
        tried = min(tried + 1, 6)
        interrupted(failure, pause_s)
        sleep(pause_s)
