"""The channel to the gateway, and calls on it that fail in one way."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import Message

from taxctl.failure import CallFailed, from_call

DEFAULT_TARGET: Final = "127.0.0.1:50051"
DEFAULT_TIMEOUT_S: Final = 30.0
# Twice what the gateway sends, so that it is never the client who says no.
_MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
    # The gateway is a neighbour; a web proxy of the environment is not meant for it.
    ("grpc.enable_http_proxy", 0),
    # A channel of its own: two of them in one process share no connection and no backoff.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A watch waits for hours: a gateway that is cut off without a word must be noticed.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)

# The metadata in which a caller says who it is.
_OPERATOR: Final = "operator"

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)
_Answer_co = TypeVar("_Answer_co", covariant=True)


class Stream(Protocol[_Answer_co]):
    """A stream of answers that goes on."""

    def __iter__(self) -> Iterator[_Answer_co]:
        """Its answers."""

    def cancel(self) -> bool:
        """End it from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A channel to ``target``. ``timeout_s`` holds for every unary call.

    ``operator`` is who calls, for the audit record; empty says nothing.
    """

    channel: grpc.Channel
    target: str
    timeout_s: float
    operator: str = ""

    def call(
        self, method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]", request: _Request
    ) -> _Response:
        """Call ``method``; raise :class:`CallFailed`."""
        try:
            return method(request, timeout=self.timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _failed(error) from error

    def stream(
        self, method: "grpc.UnaryStreamMultiCallable[_Request, _Response]", request: _Request
    ) -> Iterator[_Response]:
        """Yield the answers, without a deadline; raise :class:`CallFailed`."""
        yield from answers(self.begin(method, request))

    def begin(
        self, method: "grpc.UnaryStreamMultiCallable[_Request, _Response]", request: _Request
    ) -> "Stream[_Response]":
        """Begin a stream that another thread may cancel; read it by :func:`answers`."""
        return method(request, metadata=self._metadata)

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return ((_OPERATOR, self.operator),) if self.operator else ()


def answers(call: "Stream[_Response]") -> Iterator[_Response]:
    """Yield the answers of a stream; raise :class:`CallFailed`."""
    try:
        yield from call
    except grpc.RpcError as error:
        raise _failed(error) from error


def connect(target: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, operator: str = "") -> Connection:
    """Make a connection; nothing is sent before the first call. Close its channel at the end."""
    channel = grpc.insecure_channel(target, options=_OPTIONS)
    return Connection(channel=channel, target=target, timeout_s=timeout_s, operator=operator)


def _failed(error: grpc.RpcError) -> CallFailed:
    # What a stub raises is always a Call as well; the types do not say so.
    return CallFailed(from_call(cast("grpc.Call", error)))
