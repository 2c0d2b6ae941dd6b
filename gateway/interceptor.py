"""What every call passes through: identity, drain, error mapping, one log line, its count and its span.

Handlers are wrapped once, where they are registered. An interceptor of grpc.aio is asked for each call
through a chain of coroutines, and all services are tried in turn; here a call costs one look-up.
"""

import asyncio
import contextlib
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any, cast

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from grpc_status import rpc_status

from gateway import actor, status
from gateway.metrics.measures import Measures
from gateway.tally import Tally
from gateway.tracing.port import CallSpan, Tracer
from invoice.errors import InvalidRequest, InvoiceError, ShuttingDown

log = structlog.get_logger()

if TYPE_CHECKING:
    _Handler = grpc.RpcMethodHandler[Any, Any]
else:  # the class is generic in its types only
    _Handler = grpc.RpcMethodHandler

# Services that must answer whatever happens to the rest.
_ALWAYS = ("/grpc.health.v1.Health/", "/grpc.reflection.")
# Calls that last as long as their callers: they are told of a drain, and it does not wait for them.
_ENDLESS = (
    "/taxcontrol.v1.InvoiceService/WatchInvoices",
    "/taxcontrol.admin.v1.DeskService/WatchDesk",
    "/taxcontrol.admin.v1.AlertService/WatchAlerts",
)


# Where it matters who calls: it goes on the audit record.
_ON_RECORD = ("/taxcontrol.admin.", "/taxcontrol.v1.InvoiceService/VoidInvoice")


class _Unreadable:
    """Stands for a request whose bytes are no message of its type."""


class _Readable:
    """The messages of a stream; the first that cannot be read ends it with ``InvalidRequest``."""

    def __init__(self, messages: AsyncIterator[Any]) -> None:
        self._messages = messages

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        message = await anext(self._messages)
        _check_readable(message)
        return message


class Interceptor(grpc.GenericRpcHandler):
    """All handlers, wrapped. ``drain`` makes it refuse new work.

    Generated code registers with it as with a server; then the server gets it as its one handler.
    ``draining`` is set from then on, for handlers that would otherwise run as long as their callers.
    """

    def __init__(self, measures: Measures | None = None, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self._measures = measures or Measures()
        self._handlers: dict[str, _Handler] = {}
        self.draining = asyncio.Event()
        self._running_count = 0
        self._idle = asyncio.Event()

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """What generated code calls first; the same handlers come once more, with their names."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, _Handler]
    ) -> None:
        """Wrap the handlers of a service, by the names of their methods."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            plain = method.startswith(_ALWAYS)
            self._handlers[method] = handler if plain else self._wrap(method, handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler | None:
        """Answer the wrapped handler of the method that is called; None when there is none."""
        return self._handlers.get(handler_call_details.method)

    def drain(self) -> None:
        """From now on refuse every call with SHUTTING_DOWN; running ones go on."""
        self.draining.set()
        if not self._running_count:
            self._idle.set()

    async def idle(self, *, wait_s: float) -> None:
        """After ``drain``: return once every call has ended, or after ``wait_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._idle.wait()

    def _wrap(self, method: str, handler: _Handler) -> _Handler:
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary),
                request_deserializer=_reader(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(
                    method, cast("Callable[..., AsyncGenerator[Any, None]]", handler.unary_stream)
                ),
                request_deserializer=_reader(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(method, _with_readable(handler.stream_stream)),
                request_deserializer=_reader(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        raise TypeError(f"{method}: no wrapper for this shape of call")

    def _unary(self, method: str, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        calls = self._measures.calls_of(method)
        on_record = method.startswith(_ON_RECORD)

        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            began = time.perf_counter()
            reason = "OK"
            span = self._span(method, context)
            self._running_count += 1
            try:
                self._admit(request)
                if on_record:
                    actor.note(context.invocation_metadata())
                response = await behaviour(request, context)
            except grpc.aio.AbortError:
                reason = "ABORTED"
                raise
            except asyncio.CancelledError:
                reason = "CANCELLED"
                _done(method, request, began, reason=reason)
                raise
            except Exception as error:  # noqa: BLE001 - the one place where all failures are mapped
                reason = _reason(error)
                await _abort(context, _failed(method, request, error, began))
            finally:
                self._ended()
                calls.ended(reason, time.perf_counter() - began)
                if span is not None:
                    span.end(reason, _names(request))
            _done(method, request, began, **Tally.of(response))
            return response

        return answer

    def _stream(
        self, method: str, behaviour: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., Awaitable[None]]:
        counted = method not in _ENDLESS
        calls = self._measures.calls_of(method)

        # A coroutine that writes, since grpc.aio never closes the generator of a call that ends early.
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            began = time.perf_counter()
            reason = "OK"
            span = self._span(method, context)
            tally = Tally()
            self._running_count += counted
            try:
                self._admit(request)
                async with contextlib.aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        await context.write(response)
                        tally.add(response)
            except grpc.aio.AbortError:
                reason = "ABORTED"
                raise
            except (asyncio.CancelledError, grpc.aio.InternalError):  # the caller is gone
                reason = "CANCELLED"
                _done(method, request, began, reason=reason, **tally.results())
                raise
            except Exception as error:  # noqa: BLE001 - as above
                reason = _reason(error)
                await _abort(context, _failed(method, request, error, began, **tally.results()))
            finally:
                self._ended(counted=counted)
                calls.ended(reason)
                if span is not None:
                    span.end(reason, _names(request))
            _done(method, request, began, **tally.results())

        return answer

    def _span(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> CallSpan | None:
        if self._tracer is None:
            return None
        return self._tracer.call(method, context.invocation_metadata() or ())

    def _ended(self, *, counted: bool = True) -> None:
        self._running_count -= counted
        if self.draining.is_set() and not self._running_count:
            self._idle.set()

    def _admit(self, request: Any) -> None:
        _check_readable(request)
        if self.draining.is_set():
            raise ShuttingDown("the gateway is shutting down", retry_s=1.0)


def _with_readable(behaviour: Any) -> Callable[..., AsyncGenerator[Any, None]]:
    def answer(
        messages: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[Any, None]:
        responses: AsyncGenerator[Any, None] = behaviour(_Readable(messages), context)
        return responses

    return answer


def _check_readable(message: Any) -> None:
    if isinstance(message, _Unreadable):
        raise InvalidRequest("request", "FIELD_FORMAT", "no message of this method's type")


def _reader(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Read a request. grpc.aio would answer the caller with the text of what is raised here."""
    assert deserializer is not None

    def read(body: bytes) -> Any:
        try:
            return deserializer(body)
        except DecodeError:
            return _Unreadable()

    return read


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, InvoiceError) else "INTERNAL"


async def _abort(context: grpc.aio.ServicerContext[Any, Any], failed: status_pb2.Status) -> None:
    await context.abort_with_status(rpc_status.to_status(failed))


def _failed(
    method: str, request: Any, error: Exception, began: float, **results: Any
) -> status_pb2.Status:
    """Log the failure and return its status. The text of a bug goes to the log only."""
    facts = {**results, **_facts(method, request, began)}
    if isinstance(error, InvoiceError):
        if error.reason.endswith("_UNAVAILABLE"):  # the cause is not in the answer, so it is here
            log.warning("rpc.done", reason=error.reason, cause=error.message, **facts)
        else:
            log.info("rpc.done", reason=error.reason, **facts)
        return status.to_status(error)
    log.error("rpc.bug", exc_info=error, **facts)
    return status.bug_status()


def _done(method: str, request: Any, began: float, *, reason: str = "OK", **results: Any) -> None:
    log.info("rpc.done", reason=reason, **results, **_facts(method, request, began))


def _facts(method: str, request: Any, began: float) -> dict[str, str | float]:
    """What a person needs to find the call again; of an operator's write also who asked for it."""
    facts: dict[str, str | float] = {
        "method": method,
        "elapsed_ms": round((time.perf_counter() - began) * 1000, 2),
        **_names(request),
    }
    if method.startswith(_ON_RECORD) and hasattr(request, "request_id"):
        facts["operator"] = actor.current()
    return facts


def _names(request: Any) -> dict[str, str]:
    """Names, never contents."""
    names: dict[str, str] = {}
    for name in ("request_id", "point", "parent", "name"):
        value = getattr(request, name, "")
        if value and isinstance(value, str):
            names[name] = value[:200]
    return names
