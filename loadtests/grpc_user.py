"""A Locust user that speaks gRPC, and what all users of one process share.

Make a user of your own by subclassing :class:`GrpcUser`: ``call``, ``issue``, ``batch`` and
``stream`` retry, time, check and count, and answer None for what was refused.
"""

import os
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import grpc
import grpc.experimental.gevent
from google.protobuf.message import Message
from locust import User

from loadtests import checks, shapes
from loadtests.account import BLANK, Account
from loadtests.asking import Asking
from loadtests.options import Options
from loadtests.papers import new_id
from loadtests.world import by_role, certificates
from sandbox.invoices import Counter
from taxcontrol.v1.invoice_pb2 import IssuedInvoice, VoidStatement
from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult, IssueInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection, connect
from taxctl.failure import CallFailed, reason_name

# Before any channel is made: without it a call would stop every other user of the process.
grpc.experimental.gevent.init_gevent()

# Calls that made no mistake are never answered so; a gateway that does is wrong, not busy.
_NEVER: Final = frozenset(
    {"INTERNAL", "UNKNOWN", "INVALID_INVOICE", "INVALID_REQUEST", "REQUEST_ID_REUSED"}
)
_TIMEOUT_S: Final = 15.0
# One signature in so many is verified: 0.1 ms each, in the process that also makes the load.
_SAMPLE: Final = 20
_NONE: Final[AbstractSet[str]] = frozenset()

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)


class Refused(Exception):
    """Why a call failed for good, as the error table of the report shows it."""


@dataclass(slots=True)
class Worker:
    """What the users of one process share: one channel, one account, the keys they have seen."""

    options: Options
    connection: Connection
    account: Account
    places: dict[str, list[Counter]]
    keys: dict[tuple[str, str], bytes]
    began: float = field(default_factory=time.monotonic)

    def certificate(self, machine_number: str, key_id: str) -> bytes | None:
        """The certificate of a key; keys may be rotated meanwhile, so an unknown one is asked for."""
        if (machine_number, key_id) not in self.keys:
            self.keys.update(certificates(self.connection))
        return self.keys.get((machine_number, key_id))

    @property
    def hour(self) -> float | None:
        """The hour of a compressed day; None in a shape without one."""
        elapsed_s = time.monotonic() - self.began
        return shapes.hour(self.options.shape, elapsed_s, total_s=self.options.seconds)


@cache
def worker() -> Worker:
    """Make it at the first call of a process: after Locust has forked, never before."""
    options = Options.of_environment(os.environ)
    connection = connect(options.target, timeout_s=_TIMEOUT_S, operator="loadtest")
    return Worker(
        options=options,
        connection=connection,
        account=Account(Path(options.folder), f"process-{os.getpid()}"),
        places=by_role(connection),
        keys=certificates(connection),
    )


class GrpcUser(User):
    """A caller of the gateway; see the module."""

    abstract = True

    def on_start(self) -> None:
        """Take what the process shares."""
        self.worker = worker()
        self.account = self.worker.account
        self.random = Random(f"{self.worker.options.seed}-{os.getpid()}-{id(self)}")
        self.asking = Asking(self.worker.connection, self.account, random=self.random)
        self.invoices = InvoiceServiceStub(self.worker.connection.channel)

    def call(
        self,
        operation: str,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        *,
        expected: AbstractSet[str] = _NONE,
    ) -> _Response | None:
        """Call a unary method. ``expected`` are reasons that are no failure, and answer None."""
        began = time.perf_counter()
        try:
            answer = self.asking.call(operation, method, request)
        except CallFailed as error:
            self._fail(operation, began, reason_name(error.failure), error, expected)
            return None
        took_s = time.perf_counter() - began
        self.account.done(operation, took_s)
        self._fire(operation, took_s, answer.ByteSize(), None)
        return answer

    def issue(self, operation: str, request: IssueInvoiceRequest) -> IssuedInvoice | None:
        """Issue one invoice and check it."""
        answer = self.call(operation, self.invoices.IssueInvoice, request)
        if answer is None:
            return None
        self.check(operation, checks.issued_faults(request, answer.issued), answer.issued)
        return answer.issued

    def again(self, operation: str, request: IssueInvoiceRequest, first: IssuedInvoice) -> None:
        """Send an answered request once more, as after a lost answer: the same bytes must come."""
        answer = self.call(operation, self.invoices.IssueInvoice, request)
        if answer is not None:
            faults = checks.replay_faults(first, answer.issued, replayed=answer.replayed)
            self.check(operation, faults, answer.issued)

    def batch(self, operation: str, requests: Sequence[IssueInvoiceRequest]) -> None:
        """Issue a batch and check every item."""
        self._many(operation, requests, self.asking.batch)

    def stream(self, operation: str, requests: Sequence[IssueInvoiceRequest]) -> None:
        """Issue over a bidirectional stream and check every item."""
        self._many(operation, requests, self.asking.stream)

    def check(self, operation: str, faults: list[str], issued: IssuedInvoice) -> None:
        """Note an issued invoice, its ``faults``, and every so often whether its signature holds."""
        self.account.number(issued.name, issued.request_id)
        self.account.wrong(operation, issued.name, faults)
        self.check_signature(operation, checks.INVOICE, issued)

    def check_void(self, operation: str, faults: list[str], void: VoidStatement) -> None:
        """The same for a void, blank or not; a blank one owns its number as an invoice does."""
        blank = b'"taxcontrol.blank-void.v1"' in void.content
        if blank:
            self.account.number(void.invoice, void.request_id, what=BLANK)
        self.account.wrong(operation, void.invoice, faults)
        self.check_signature(operation, checks.BLANK_VOID if blank else checks.VOID, void)

    def check_signature(
        self, operation: str, schema: str, answer: IssuedInvoice | VoidStatement
    ) -> None:
        """Verify one signature in ``_SAMPLE`` with the device's certificate."""
        if self.random.randrange(_SAMPLE):
            return
        certificate = self.worker.certificate(answer.machine_number, answer.key_id)
        self.account.verified()
        faults = (
            [f"no device {answer.machine_number} has the key {answer.key_id}"]
            if certificate is None
            else checks.signature_faults(schema, answer, certificate)
        )
        self.account.wrong(operation, answer.request_id, faults)

    @property
    def new_id(self) -> str:
        """A request id that nobody has used yet."""
        return new_id()

    def _many(
        self,
        operation: str,
        requests: Sequence[IssueInvoiceRequest],
        ask: Callable[[str, Sequence[IssueInvoiceRequest]], list[BatchIssueResult]],
    ) -> None:
        began = time.perf_counter()
        results = ask(operation, requests)
        took_s = time.perf_counter() - began
        failed = ""
        issued_count = 0
        for request, result in zip(requests, results, strict=True):
            if result.HasField("issued"):
                issued_count += 1
                faults = checks.issued_faults(request, result.issued)
                self.check(operation, faults, result.issued)
            else:
                failed = self._count(operation, reason_name(result.failure), result.failure.message)
        if issued_count:
            self.account.done(operation, took_s, count=issued_count)
        size = sum(result.ByteSize() for result in results)
        self._fire(operation, took_s, size, Refused(failed) if failed else None)

    def _fail(
        self,
        operation: str,
        began: float,
        reason: str,
        error: CallFailed,
        expected: AbstractSet[str],
    ) -> None:
        took_s = time.perf_counter() - began
        if reason in expected:
            self.account.refused(operation, reason)
            self.account.took(operation, took_s)
            self._fire(operation, took_s, 0, None)
            return
        self._fire(operation, took_s, 0, Refused(self._count(operation, reason, str(error))))

    def _count(self, operation: str, reason: str, message: str) -> str:
        self.account.failed(operation, reason)
        if reason in _NEVER:
            self.account.wrong(operation, reason, [message])
        return reason

    def _fire(self, operation: str, took_s: float, size: int, exception: Exception | None) -> None:
        event: dict[str, Any] = {
            "request_type": "grpc",
            "name": operation,
            "response_time": 1000 * took_s,
            "response_length": size,
            "exception": exception,
            "context": {},
        }
        self.environment.events.request.fire(**event)
