"""The channel to the gateway, and calls on it that fail in one way."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from console.failure import CallFailed, Failure, from_call

# Twice what the gateway sends, so that it is never the client who says no.
_MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
    # The gateway is a neighbour; a web proxy of the environment is not meant for it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A watch waits for hours: a gateway that is cut off without a word must be noticed.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

_Response = TypeVar("_Response", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A channel to ``target``. ``timeout_s`` holds for every unary call."""

    channel: grpc.aio.Channel
    target: str
    timeout_s: float

    async def call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Any, _Response]",
        request: Message,
        *,
        operator: str = "",
    ) -> _Response:
        """Call ``method``, a write in the name of ``operator``; raise :class:`CallFailed`."""
        metadata = (("operator", operator),) if operator else ()
        try:
            return await method(request, timeout=self.timeout_s, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise CallFailed(from_call(error)) from error

    async def stream(
        self,
        method: "grpc.aio.UnaryStreamMultiCallable[Any, _Response]",
        request: Message,
    ) -> AsyncGenerator[_Response]:
        """Yield the answers, without a deadline; raise :class:`CallFailed`, also at the end.

        A watch has no end of its own: one that ends in order was ended by a gateway that stops.
        """
        try:
            async for message in method(request):
                yield message
        except grpc.aio.AioRpcError as error:
            raise CallFailed(from_call(error)) from error
        raise CallFailed(
            Failure(reason="UNAVAILABLE", code="UNAVAILABLE", message="ended", answered=False)
        )


def connect(target: str, *, timeout_s: float) -> Connection:
    """Make a connection; nothing is sent before the first call. Close its channel at the end."""
    return Connection(
        channel=grpc.aio.insecure_channel(target, options=_OPTIONS),
        target=target,
        timeout_s=timeout_s,
    )
