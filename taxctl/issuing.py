"""Issuing with retries, as every careful client does it: the same request id on every try.

No terminal and no files here: ``taxctl issue`` and the sandbox both issue through this.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from random import SystemRandom
from typing import Final

from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    BatchIssueResult,
    Failure,
    IssueInvoiceRequest,
)
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection
from taxctl.failure import CallFailed, passing, retry_delay_s

BATCH_COUNT_MAX: Final = 100
# Half of what the gateway takes: the answer carries each content, which is longer.
_BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
# 6.2 s in all: longer than a gateway's restart, short enough for somebody who watches.
PAUSES_S: Final = (0.2, 0.4, 0.8, 1.6, 3.2)
_PAUSE_S_MAX: Final = 10.0
_JITTER: Final = 0.25


class Issuing:
    """Sends requests one by one or as batches; every request gets its result.

    ``pauses_s`` are the waits between tries, stretched by the gateway's own advice.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        pauses_s: Sequence[float] = PAUSES_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._stub = InvoiceServiceStub(connection.channel)
        self._pauses_s = pauses_s
        self._sleep = sleep
        self._random = SystemRandom()

    def issue(self, requests: Sequence[IssueInvoiceRequest]) -> list[BatchIssueResult]:
        """Issue ``requests`` in one call; the results are in their order.

        What fails in passing is sent again by itself; a result that is still a failure after the
        last try says so, and nothing is raised for it.
        """
        results = self._send(requests)
        for pause_s in self._pauses_s:
            again = [place for place, result in enumerate(results) if _worth_a_retry(result)]
            if not again:
                break
            self._sleep(self._pause_s(pause_s, [results[place].failure for place in again]))
            retried = self._send([requests[place] for place in again])
            for place, result in zip(again, retried, strict=True):
                results[place] = result
        return results

    def _send(self, requests: Sequence[IssueInvoiceRequest]) -> list[BatchIssueResult]:
        try:
            return self._call(requests)
        except CallFailed as error:
            if _too_large(error.failure) and len(requests) > 1:
                middle = len(requests) // 2
                return self._send(requests[:middle]) + self._send(requests[middle:])
            return [_failed(request, error.failure) for request in requests]

    def _call(self, requests: Sequence[IssueInvoiceRequest]) -> list[BatchIssueResult]:
        if len(requests) == 1:
            answer = self._connection.call(self._stub.IssueInvoice, requests[0])
            return [
                BatchIssueResult(
                    request_id=requests[0].request_id,
                    issued=answer.issued,
                    replayed=answer.replayed,
                )
            ]
        batch = BatchIssueInvoicesRequest(requests=requests)
        return list(self._connection.call(self._stub.BatchIssueInvoices, batch).results)

    def _pause_s(self, planned_s: float, failures: Sequence[Failure]) -> float:
        """The planned pause, or the longest one advised; a little more, so that callers spread."""
        advised_s = max((retry_delay_s(failure) or 0.0 for failure in failures), default=0.0)
        pause_s = min(max(planned_s, advised_s), _PAUSE_S_MAX)
        return pause_s * (1 + self._random.uniform(0, _JITTER))


def batches(
    requests: Sequence[IssueInvoiceRequest], *, count_max: int = BATCH_COUNT_MAX
) -> Iterator[list[IssueInvoiceRequest]]:
    """Cut ``requests`` into batches that a call can carry, in order."""
    batch: list[IssueInvoiceRequest] = []
    size = 0
    for request in requests:
        if batch and (len(batch) == count_max or size + request.ByteSize() > _BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += request.ByteSize()
    if batch:
        yield batch


def _worth_a_retry(result: BatchIssueResult) -> bool:
    return result.WhichOneof("outcome") != "issued" and passing(result.failure)


def _too_large(failure: Failure) -> bool:
    return failure.reason == error_reason_pb2.ERROR_REASON_BATCH_TOO_LARGE


def _failed(request: IssueInvoiceRequest, failure: Failure) -> BatchIssueResult:
    return BatchIssueResult(request_id=request.request_id, failure=failure)
