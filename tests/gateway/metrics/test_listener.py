"""The listener answers one caller after another, and none for longer than its limit."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.metrics.listener import Listener
from gateway.serving import CannotListen
from tests.e2e.wire import eventually

TEXT = b"# TYPE taxcontrol_up gauge\ntaxcontrol_up 1.0\n"


@asynccontextmanager
async def served(text: object = TEXT, *, call_s: float = 5.0) -> AsyncIterator[str]:
    def answer() -> bytes:
        if not isinstance(text, bytes):
            raise TypeError("a bug of a collector")
        return text

    listener = Listener("127.0.0.1:0", answer, call_s=call_s)
    address = listener.start()
    try:
        yield address
    finally:
        await listener.stop()


async def test_prometheus_is_answered_in_its_own_format() -> None:
    async with served() as address, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{address}/metrics?x=1")
        head = await client.head(f"http://{address}/metrics")

    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(TEXT)))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/", 404), ("POST", "/metrics", 405)],
)
async def test_nothing_else_is_there(method: str, path: str, status: int) -> None:
    async with served() as address, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.request(method, f"http://{address}{path}")

    assert answer.status_code == status


async def test_a_bug_in_a_scrape_is_told_and_ends_no_more_than_that() -> None:
    async with served(None) as address, httpx.AsyncClient(trust_env=False) as client:
        first = await client.get(f"http://{address}/metrics")
        second = await client.get(f"http://{address}/metrics")

    assert (first.status_code, second.status_code) == (500, 500)
    assert b"bug" not in first.content


async def test_who_does_not_ask_in_time_is_hung_up_on() -> None:
    async with served(call_s=0.2) as address, httpx.AsyncClient(trust_env=False) as client:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HT")
        answer = await client.get(f"http://{address}/metrics")  # waits for its turn
        left = await reader.read()
        writer.close()

    assert answer.status_code == 200
    assert left == b""


async def test_who_does_not_take_the_answer_in_time_is_hung_up_on() -> None:
    large = b"#" * 64 * 1024 * 1024  # more than the system buffers
    async with served(large, call_s=0.2) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://{address}/")

    assert answer.status_code == 404


@pytest.mark.parametrize("garbage", [b"\r\n\r\n", b"hello\r\n\r\n", b"\x16\x03\x01" * 8000, b""])
async def test_what_is_no_request_does_no_harm(garbage: bytes) -> None:
    async with served() as address, httpx.AsyncClient(trust_env=False) as client:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(garbage)
        answer = await client.get(f"http://{address}/metrics")

    assert answer.status_code == 200


async def test_a_port_in_use_ends_the_start_by_name() -> None:
    async with served() as address:
        second = Listener(address, lambda: TEXT)

        with pytest.raises(CannotListen, match=f"metrics: cannot listen on {address}: Address"):
            second.start()
        await second.stop()


async def test_a_host_that_is_none_ends_the_start_by_name() -> None:
    with pytest.raises(CannotListen, match=r"metrics: cannot listen on no\.\.such:1"):
        Listener("no..such:1", lambda: TEXT).start()


async def test_after_the_stop_nobody_is_answered() -> None:
    async with served() as address:
        pass

    host, port = address.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


async def test_a_caller_who_says_nothing_does_not_hold_up_the_stop() -> None:
    listener = Listener("127.0.0.1:0", lambda: TEXT, call_s=60.0)
    host, port = listener.start().split(":")
    _, first = await asyncio.open_connection(host, int(port))
    first.write(b"GET ")
    await first.drain()
    await asyncio.to_thread(eventually, lambda: listener.busy)

    async with asyncio.timeout(10):
        await listener.stop()

    first.close()
