"""The authority over gRPC.

Rules of this file: one attempt a call (retries are the caller's, under its own rate windows), a
time limit on each, and nothing but the failures of ``invoice.errors`` and :class:`Throttled`
leaves it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from authority import failures, messages
from authority.config import AuthorityConfig
from authority.port import (
    MESSAGE_BYTES_MAX,
    SUBMIT_COUNT_MAX,
    Acceptance,
    DeviceCertificate,
    Grant,
    PeriodSummary,
    Registration,
    StockReturn,
    Submission,
    SubmissionResult,
    TimeObserver,
    TypeAllowance,
)
from invoice.document import Party
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from taxcontrol.authority.v1 import authority_service_pb2 as wire
from taxcontrol.authority.v1 import authority_service_pb2_grpc

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # A retry inside gRPC would be a call that the rate windows never saw.
    ("grpc.enable_retries", 0),
    # The default backs off up to two minutes: too long to notice that the authority is back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A connection that died without a word is noticed while a call waits on it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Nothing is read from the environment, a proxy's address included.
    ("grpc.enable_http_proxy", 0),
    # Another client's backoff to the same target is not ours.
    ("grpc.use_local_subchannel_pool", 1),
)


class _Timed(Protocol):
    @property
    def authority_time(self) -> Timestamp: ...

    def HasField(self, field_name: Literal["authority_time"], /) -> bool: ...  # noqa: N802


_Request = TypeVar("_Request", bound=Message)
_Answer = TypeVar("_Answer", bound=_Timed)
_Read = TypeVar("_Read")


class GrpcAuthority:
    """The port :class:`authority.port.Authority` over one channel.

    Made inside the event loop that uses it. ``on_time`` is told the authority's time with every
    answer that carries it, refusals included. The owner calls :meth:`close`.

    Raises:
        ValueError: The root certificates cannot be read.
    """

    def __init__(self, config: AuthorityConfig, *, on_time: TimeObserver) -> None:
        self._timeout_s = config.timeout_s
        self._on_time = on_time
        self._channel = _channel(config)
        self._stub = authority_service_pb2_grpc.AuthorityServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel; calls under way end in ``AuthorityUnavailable``."""
        await self._channel.close()

    async def register_taxpayer(
        self, seller: Party, wanted: Sequence[TypeAllowance]
    ) -> Registration:
        """See the port."""
        request = messages.registration_request(seller, wanted)
        return await self._call(self._stub.RegisterTaxpayer, request, messages.registration)

    async def register_device(self, *, request_id: str, tax_number: str, kind: str) -> str:
        """See the port."""
        request = wire.RegisterDeviceRequest(
            request_id=request_id, tax_number=tax_number, kind=kind
        )
        return await self._call(
            self._stub.RegisterDevice, request, lambda answer: answer.machine_number
        )

    async def issue_certificate(self, *, machine_number: str, csr: bytes) -> DeviceCertificate:
        """See the port."""
        return await self._call(
            self._stub.IssueCertificate,
            wire.IssueCertificateRequest(machine_number=machine_number, csr=csr),
            lambda answer: DeviceCertificate(
                certificate=answer.certificate, ca_certificate=answer.ca_certificate
            ),
        )

    async def grant_stock(
        self, *, request_id: str, tax_number: str, type: str, count: int
    ) -> Grant:
        """See the port."""
        request = wire.GrantStockRequest(
            request_id=request_id, tax_number=tax_number, type=type, count=count
        )
        return await self._call(
            self._stub.GrantStock, request, lambda answer: messages.grant(answer.grant)
        )

    async def confirm_grant(self, grant_id: str) -> Grant:
        """See the port."""
        return await self._call(
            self._stub.ConfirmGrant,
            wire.ConfirmGrantRequest(grant_id=grant_id),
            lambda answer: messages.grant(answer.grant),
        )

    async def get_grant(self, request_id: str) -> Grant | None:
        """See the port."""
        try:
            return await self._call(
                self._stub.GetGrant,
                wire.GetGrantRequest(request_id=request_id),
                lambda answer: messages.grant(answer.grant),
            )
        except AuthorityRefused as refusal:
            if refusal.facts["authority_reason"] != "GRANT_UNKNOWN":
                raise
            return None

    async def return_stock(
        self,
        *,
        request_id: str,
        tax_number: str,
        type: str,
        code: str,
        prefix: str,
        width: int,
        first: int,
        count: int,
    ) -> StockReturn:
        """See the port."""
        request = wire.ReturnStockRequest(
            request_id=request_id,
            tax_number=tax_number,
            type=type,
            code=code,
            prefix=prefix,
            width=width,
            first=first,
            count=count,
        )
        return await self._call(self._stub.ReturnStock, request, messages.stock_return)

    async def submit(self, submission: Submission) -> Acceptance:
        """See the port."""
        request = messages.submission_request(submission)
        # Checked here as well, since gRPC fails an oversized message in a way that reads as unknown.
        if len(submission.items) > SUBMIT_COUNT_MAX or request.ByteSize() > MESSAGE_BYTES_MAX:
            raise AuthorityRefused(
                f"a submission of {len(submission.items)} items and {request.ByteSize()} bytes",
                authority_reason="BATCH_TOO_LARGE",
                grpc_code=grpc.StatusCode.INVALID_ARGUMENT.name,
            )
        return await self._call(
            self._stub.SubmitInvoices,
            request,
            lambda answer: Acceptance(
                acceptance_serial=answer.acceptance_serial, result_delay_ms=answer.result_delay_ms
            ),
        )

    async def get_submission(self, *, tax_number: str, submission_id: str) -> Acceptance | None:
        """See the port."""
        request = wire.GetSubmissionRequest(submission_id=submission_id, tax_number=tax_number)
        try:
            return await self._call(
                self._stub.GetSubmission,
                request,
                lambda answer: Acceptance(acceptance_serial=answer.acceptance_serial),
            )
        except AuthorityRefused as refusal:
            if refusal.facts["authority_reason"] != "SUBMISSION_UNKNOWN":
                raise
            return None

    async def get_results(
        self, *, tax_number: str, acceptance_serials: Sequence[str]
    ) -> tuple[SubmissionResult, ...]:
        """See the port."""
        return await self._call(
            self._stub.GetResults,
            wire.GetResultsRequest(tax_number=tax_number, acceptance_serials=acceptance_serials),
            lambda answer: tuple(messages.submission_result(each) for each in answer.submissions),
        )

    async def summarise_period(self, summary: PeriodSummary) -> str:
        """See the port."""
        request = messages.summary_request(summary)
        return await self._call(self._stub.SummarisePeriod, request, messages.summary_serial)

    async def _call(
        self,
        call: grpc.aio.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        read: Callable[[_Answer], _Read],
    ) -> _Read:
        """Make one call, report the time it tells, and read its answer or its failure."""
        method = type(request).__name__.removesuffix("Request")
        sent = time.monotonic()
        try:
            answer = await call(request, timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            details = failures.details_of(error)
            if details.authority_time_s is not None:
                self._on_time(details.authority_time_s, sent, time.monotonic())
            raise failures.translate(error, details, method) from error
        except grpc.aio.UsageError as error:
            raise AuthorityUnavailable(f"{method}: the connection is closed") from error
        except asyncio.CancelledError as error:
            # gRPC says "cancelled" too when the channel closes under the call. A task that nobody
            # asked to stop goes on, with the effect unknown.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise AuthorityUnavailable(f"{method}: the connection was closed") from error
        try:
            answer = _decoded(answer)
            if answer.HasField("authority_time"):
                self._on_time(answer.authority_time.ToNanoseconds() / 1e9, sent, time.monotonic())
            return read(answer)
        except ValueError as error:
            raise AuthorityUnavailable(f"{method}: the answer cannot be understood") from error


def _channel(config: AuthorityConfig) -> grpc.aio.Channel:
    if config.root_certificates is None:
        return grpc.aio.insecure_channel(config.target, options=_CHANNEL_OPTIONS)
    try:
        roots = config.root_certificates.read_bytes()
    except OSError as error:
        raise ValueError(f"{config.section}.root_certificates cannot be read: {error}") from error
    credentials = grpc.ssl_channel_credentials(root_certificates=roots)
    return grpc.aio.secure_channel(config.target, credentials, options=_CHANNEL_OPTIONS)


def _decoded(answer: _Answer | None) -> _Answer:
    """Return ``answer``; ValueError for None, which is how gRPC hands over bytes it cannot read."""
    if answer is None:
        raise ValueError("not a message")
    return answer
