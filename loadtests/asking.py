"""Asking as a careful client does: what fails in passing is sent again under the same request id.

The pause before each further try is the gateway's own advice (``RetryInfo``) where that is longer,
and a little more, so that callers spread. No Locust here, and no loop: ``sleep`` is passed in.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, TypeVar

import grpc
from google.protobuf.message import Message

from loadtests.account import Account
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    BatchIssueResult,
    Failure,
    IssueInvoiceRequest,
    IssueInvoicesRequest,
)
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection, answers
from taxctl.failure import CallFailed, passing, reason_name, retry_delay_s

# 12.7 s in all: longer than a restart, and than the queue a spike leaves behind.
PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
_PAUSE_S_MAX: Final = 10.0
_JITTER: Final = 0.25

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)
# Sends requests and yields a result for each that it got to, in any order. May raise CallFailed.
Send = Callable[[Sequence[IssueInvoiceRequest]], Iterator[BatchIssueResult]]


class Asking:
    """Calls with retries; every retry is on the ``account``."""

    def __init__(
        self,
        connection: Connection,
        account: Account,
        *,
        random: Random,
        sleep: Callable[[float], None] = time.sleep,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._connection = connection
        self._account = account
        self._random = random
        self._sleep = sleep
        self._pauses_s = pauses_s
        self._stub = InvoiceServiceStub(connection.channel)

    def call(
        self,
        operation: str,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
    ) -> _Response:
        """Call ``method``; raise ``CallFailed`` for what is final, or still fails at the end."""
        for pause_s in self._pauses_s:
            try:
                return self._connection.call(method, request)
            except CallFailed as error:
                if not passing(error.failure):
                    raise
                self._wait(operation, pause_s, [error.failure])
        return self._connection.call(method, request)

    def batch(
        self, operation: str, requests: Sequence[IssueInvoiceRequest]
    ) -> list[BatchIssueResult]:
        """Issue as a batch; a result for each request, in their order."""
        return self._items(operation, requests, self._send_batch)

    def stream(
        self, operation: str, requests: Sequence[IssueInvoiceRequest]
    ) -> list[BatchIssueResult]:
        """Issue over a bidirectional stream; what a broken one left open goes over the next."""
        return self._items(operation, requests, self._send_stream)

    def _items(
        self, operation: str, requests: Sequence[IssueInvoiceRequest], send: Send
    ) -> list[BatchIssueResult]:
        results: dict[str, BatchIssueResult] = {}
        self._try(requests, send, results)
        for pause_s in self._pauses_s:
            again = [one for one in requests if _worth_a_retry(results[one.request_id])]
            if not again:
                break
            failures = [results[one.request_id].failure for one in again]
            self._wait(operation, pause_s, failures)
            self._try(again, send, results)
        return [results[one.request_id] for one in requests]

    def _try(
        self,
        requests: Sequence[IssueInvoiceRequest],
        send: Send,
        results: dict[str, BatchIssueResult],
    ) -> None:
        """Send ``requests`` once; what got no result of its own has the failure of the call."""
        open_ids = {one.request_id for one in requests}
        failure = Failure(code=grpc.StatusCode.UNAVAILABLE.value[0], message="no result came")
        try:
            for result in send(requests):
                results[result.request_id] = result
                open_ids.discard(result.request_id)
        except CallFailed as error:
            failure = error.failure
        for request_id in open_ids:
            results[request_id] = BatchIssueResult(request_id=request_id, failure=failure)

    def _send_batch(self, requests: Sequence[IssueInvoiceRequest]) -> Iterator[BatchIssueResult]:
        batch = BatchIssueInvoicesRequest(requests=requests)
        yield from self._connection.call(self._stub.BatchIssueInvoices, batch).results

    def _send_stream(self, requests: Sequence[IssueInvoiceRequest]) -> Iterator[BatchIssueResult]:
        messages = (IssueInvoicesRequest(request=one) for one in requests)
        timeout_s = self._connection.timeout_s
        for answer in answers(self._stub.IssueInvoices(messages, timeout=timeout_s)):
            yield answer.result

    def _wait(self, operation: str, planned_s: float, failures: Sequence[Failure]) -> None:
        for failure in failures:
            self._account.retried(operation, reason_name(failure))
        advised_s = max((retry_delay_s(failure) or 0.0 for failure in failures), default=0.0)
        pause_s = min(max(planned_s, advised_s), _PAUSE_S_MAX)
        self._sleep(pause_s * (1 + self._random.uniform(0, _JITTER)))


def _worth_a_retry(result: BatchIssueResult) -> bool:
    return not result.HasField("issued") and passing(result.failure)
