"""Several callers at once, each a thread with a connection of its own."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult, IssueInvoiceRequest
from taxctl.connection import connect
from taxctl.issuing import Issuing

_BATCH_COUNT = 25

Call = Sequence[IssueInvoiceRequest]


def mixed(requests: Sequence[IssueInvoiceRequest]) -> Iterator[Call]:
    """Cut requests into calls: the first half of every fifty one by one, the rest as a batch."""
    for start in range(0, len(requests), 2 * _BATCH_COUNT):
        part = requests[start : start + 2 * _BATCH_COUNT]
        yield from ([one] for one in part[:_BATCH_COUNT])
        if part[_BATCH_COUNT:]:
            yield part[_BATCH_COUNT:]


def issue_all(
    target: str, calls: Sequence[Call], *, caller_count: int, progress: Callable[[int], None]
) -> list[BatchIssueResult]:
    """Issue every call through ``caller_count`` concurrent callers; results in no order.

    ``progress`` hears how many results there are. An interruption lets the calls under way end
    and makes no further ones.
    """
    waiting: SimpleQueue[Call] = SimpleQueue()
    for call in calls:
        waiting.put(call)
    results: list[BatchIssueResult] = []
    stopping, lock = threading.Event(), threading.Lock()

    def caller() -> None:
        connection = connect(target)
        with connection.channel:
            issuing = Issuing(connection)
            while not stopping.is_set():
                try:
                    call = waiting.get_nowait()
                except Empty:
                    return
                found = issuing.issue(call)
                with lock:
                    results.extend(found)
                    progress(len(results))

    with ThreadPoolExecutor(caller_count, thread_name_prefix="caller") as pool:
        try:
            for future in [pool.submit(caller) for _ in range(caller_count)]:
                future.result()
        finally:
            stopping.set()
    return results
