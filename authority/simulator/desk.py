"""Every call passes here: faults, counting, the effect, and the status of a refusal.

Rules of this file: a call that has arrived runs to its end in a task of its own, so a caller that
hangs up cancels nothing and a late effect is still an effect. Nothing about a mistake of ours
reaches the caller but a fixed sentence.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Never, Protocol, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from authority.simulator.faults import CallFaults, FaultPlan, Mischief
from authority.simulator.intake import Intake
from authority.simulator.office import Clock
from authority.simulator.refusal import Refusal

_log = logging.getLogger("simulator")

DOMAIN: Final = "authority"
STATUS_OF: Final = {
    "REQUEST_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "TAX_NUMBER_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "REGISTERED_OTHERWISE": grpc.StatusCode.FAILED_PRECONDITION,
    "TAXPAYER_UNKNOWN": grpc.StatusCode.NOT_FOUND,
    "DEVICE_UNKNOWN": grpc.StatusCode.NOT_FOUND,
    "CSR_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "HOLDING_EXCEEDED": grpc.StatusCode.FAILED_PRECONDITION,
    "TYPE_NOT_GRANTED": grpc.StatusCode.FAILED_PRECONDITION,
    "NO_STOCK": grpc.StatusCode.FAILED_PRECONDITION,
    "REQUEST_ID_REUSED": grpc.StatusCode.ALREADY_EXISTS,
    "NUMBER_NOT_GRANTED": grpc.StatusCode.FAILED_PRECONDITION,
    "ALREADY_RETURNED": grpc.StatusCode.FAILED_PRECONDITION,
    "NUMBER_USED": grpc.StatusCode.FAILED_PRECONDITION,
    "GRANT_UNKNOWN": grpc.StatusCode.NOT_FOUND,
    "THROTTLED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "BATCH_TOO_LARGE": grpc.StatusCode.INVALID_ARGUMENT,
    "SUBMISSION_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "SUBMISSION_ID_REUSED": grpc.StatusCode.ALREADY_EXISTS,
    "SUBMISSION_UNKNOWN": grpc.StatusCode.NOT_FOUND,
    "PERIOD_SUMMARISED": grpc.StatusCode.ALREADY_EXISTS,
    "CONTENT_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "SIGNATURE_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "PERIOD_NOT_OVER": grpc.StatusCode.FAILED_PRECONDITION,
    "PERIOD_OUT_OF_ORDER": grpc.StatusCode.FAILED_PRECONDITION,
    "PERIOD_INCOMPLETE": grpc.StatusCode.FAILED_PRECONDITION,
    "STATISTICS_MISMATCH": grpc.StatusCode.FAILED_PRECONDITION,
}


class _Timed(Protocol):
    @property
    def authority_time(self) -> Timestamp: ...


_Answer = TypeVar("_Answer", bound=_Timed)
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. ``uploader`` is the taxpayer in whose windows it counts, None for other calls."""

    method: str
    uploader: str | None = None


class _Outage(Exception):
    """The call fails in a way that leaves its effect open."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Desk:
    """Answers calls, with the faults asked for."""

    def __init__(self, *, intake: Intake, clock: Clock) -> None:
        self._intake = intake
        self._clock = clock
        self._running: set[asyncio.Task[Any]] = set()
        self.mischief = Mischief(FaultPlan())

    async def close(self) -> None:
        """End what still waits out a delay; it has had no effect yet."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def answer(
        self, context: Context, call: Call, effect: Callable[[], Awaitable[_Answer]]
    ) -> _Answer:
        """Answer one call, its ``authority_time`` set."""
        # Windows go by the machine's own time, whatever the authority's clock is said to be.
        running = asyncio.create_task(self._handle(call, effect, time.time_ns()))
        self._running.add(running)
        running.add_done_callback(self._forget)
        try:
            answer = await asyncio.shield(running)
        except Refusal as refusal:
            await _refuse(context, refusal, self._clock())
        except _Outage as outage:
            await context.abort(outage.code, outage.sentence)
        except Exception:  # noqa: BLE001 - our own mistakes, told to the log alone
            _log.exception("a fault of the simulator in %s", call.method)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")
        answer.authority_time.FromNanoseconds(self._clock())
        return answer

    async def _handle(
        self, call: Call, effect: Callable[[], Awaitable[_Answer]], arrival_ns: int
    ) -> _Answer:
        faults = self.mischief.call(upload=call.uploader is not None)
        if faults.unreachable:
            raise _Outage(grpc.StatusCode.UNAVAILABLE, "unreachable")
        if call.uploader is not None:
            await self._intake.count(
                tax_number=call.uploader, method=call.method, arrival_ns=arrival_ns
            )
        await _suffer(faults)
        answer = await effect()
        if faults.lost_answer:
            raise _Outage(grpc.StatusCode.UNAVAILABLE, "connection lost")
        return answer

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # read here too: its caller may have gone


async def _suffer(faults: CallFaults) -> None:
    """Let befall a call what comes before its effect."""
    if faults.delay_s is not None:
        await asyncio.sleep(faults.delay_s)
    if faults.throttle_retry_s is not None:
        raise Refusal("THROTTLED", "asked to slow down", retry_s=faults.throttle_retry_s)
    if faults.server_error:
        raise _Outage(grpc.StatusCode.INTERNAL, "server error")


async def _refuse(context: Context, refusal: Refusal, now_ns: int) -> Never:
    code = STATUS_OF[refusal.reason]
    info = error_details_pb2.ErrorInfo(
        reason=refusal.reason,
        domain=DOMAIN,
        metadata=refusal.facts | {"authority_time_ms": str(now_ns // 1_000_000)},
    )
    details = [_pack(info)]
    if refusal.retry_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(refusal.retry_s * 1e9))
        details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    status = status_pb2.Status(code=code.value[0], message=refusal.message, details=details)
    await context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError("abort_with_status returned")


def _pack(detail: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
