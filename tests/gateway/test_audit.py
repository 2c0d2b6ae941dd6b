"""A check of the books that is hung up on ends cleanly, whatever it was doing."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import grpc
import pytest

from gateway.audit_service import AuditServicer
from ledger.port import Ledger
from ledger.records import BooksProgress
from taxcontrol.admin.v1 import audit_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]


class SlowBooks:
    """A ledger whose check hangs in its second step until it may go on."""

    def __init__(self) -> None:
        self.hanging = threading.Event()
        self.may_go_on = threading.Event()
        self.closed = threading.Event()

    def check_books(self) -> Iterator[BooksProgress]:
        try:
            yield progress()
            self.hanging.set()
            self.may_go_on.wait()
            yield progress()
        finally:
            self.closed.set()


def progress() -> BooksProgress:
    return BooksProgress(
        checked_count=0,
        total_count=0,
        findings=(),
        issued_count=0,
        reserved_count=0,
        uploaded_count=0,
        signature_count=0,
        done=False,
        balanced=False,
    )


async def test_a_caller_that_hangs_up_midway_leaves_nothing_open() -> None:
    books = SlowBooks()
    servicer = AuditServicer(ledger=cast("Ledger", books), tenant="default")

    async def listen() -> None:
        async for _ in servicer.CheckBooks(pb2.CheckBooksRequest(), cast("Context", None)):
            pass

    call = asyncio.create_task(listen())
    await asyncio.to_thread(books.hanging.wait)
    call.cancel()
    # A step cannot be cut short: the call ends after it, never while it runs.
    ended, _ = await asyncio.wait([call], timeout=0.1)
    books.may_go_on.set()

    assert not ended
    with pytest.raises(asyncio.CancelledError):
        await call
    assert books.closed.is_set()
