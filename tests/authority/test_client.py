"""What a failed call means: definite refusals, and failures that leave the effect open."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message

from authority.client import GrpcAuthority
from authority.config import AuthorityConfig
from authority.port import StockReturn, Throttled
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from taxcontrol.authority.v1 import authority_pb2
from taxcontrol.authority.v1 import authority_service_pb2 as wire
from tests.authority.conftest import Connect
from tests.authority.material import new_id, new_tax_number, seller
from tests.fakes.simulator_process import SimulatorProcess

CONFIRMED = authority_pb2.Grant.STATE_CONFIRMED
UNKNOWN = cast("authority_pb2.Grant.State.ValueType", 9)

UNKNOWN_EFFECT = [
    "CANCELLED",
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "ABORTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
]
REFUSED = [
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "UNAUTHENTICATED",
]


async def hang(_: Any) -> bytes:
    await asyncio.Event().wait()
    return b""


class Oddity(grpc.GenericRpcHandler):
    """An authority outside the contract: answers every call as ``behave`` does."""

    def __init__(self) -> None:
        self.behave: Callable[[Any], Awaitable[bytes]] = hang
        self.called = asyncio.Event()

    def service(self, _: Any) -> Any:
        """Answer any method."""

        async def answer(request: bytes, context: Any) -> bytes:
            self.called.set()
            return await self.behave(context)

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
async def odd() -> AsyncIterator[tuple[Oddity, GrpcAuthority]]:
    oddity = Oddity()
    server = grpc.aio.server(handlers=[oddity])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    config = AuthorityConfig(target=f"127.0.0.1:{port}", timeout_s=5)
    authority = GrpcAuthority(config, on_time=lambda *_: None)
    yield oddity, authority
    await authority.close()
    await server.stop(None)


def aborts(code: str) -> Any:
    async def behave(context: Any) -> bytes:
        await context.abort(grpc.StatusCode[code], "no details")
        return b""

    return behave


def answers(message: Message) -> Any:
    async def behave(_: Any) -> bytes:
        return message.SerializeToString()

    return behave


async def give_back(authority: GrpcAuthority) -> StockReturn:
    return await authority.return_stock(
        request_id="r1",
        tax_number="t",
        type="026",
        code="031012600111",
        prefix="",
        width=8,
        first=1,
        count=1,
    )


@pytest.mark.parametrize("code", UNKNOWN_EFFECT)
async def test_a_code_that_proves_nothing_leaves_the_effect_open(
    odd: tuple[Oddity, GrpcAuthority], code: str
) -> None:
    oddity, authority = odd
    oddity.behave = aborts(code)

    with pytest.raises(AuthorityUnavailable) as failure:
        await authority.confirm_grant("G1")

    assert failure.value.facts == {"grpc_code": code}


@pytest.mark.parametrize("code", REFUSED)
async def test_a_code_given_before_any_effect_is_a_refusal(
    odd: tuple[Oddity, GrpcAuthority], code: str
) -> None:
    oddity, authority = odd
    oddity.behave = aborts(code)

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.confirm_grant("G1")

    assert refusal.value.facts == {"authority_reason": code, "grpc_code": code}


async def test_not_found_without_the_authoritys_word_is_not_absence(
    odd: tuple[Oddity, GrpcAuthority],
) -> None:
    oddity, authority = odd
    oddity.behave = aborts("NOT_FOUND")

    with pytest.raises(AuthorityRefused):
        await authority.get_grant("r1")
    with pytest.raises(AuthorityRefused):
        await authority.get_submission(tax_number="t", submission_id="s")


@pytest.mark.parametrize(
    "message",
    [
        wire.ConfirmGrantResponse(),
        wire.ConfirmGrantResponse(grant=authority_pb2.Grant(width=8, count=1)),
        wire.ConfirmGrantResponse(grant=authority_pb2.Grant(state=CONFIRMED, width=8)),
        wire.ConfirmGrantResponse(grant=authority_pb2.Grant(state=UNKNOWN, width=8, count=1)),
        *(
            wire.ConfirmGrantResponse(
                grant=authority_pb2.Grant(state=CONFIRMED, width=8, count=1, issue_deadline=day)
            )
            for day in ("tomorrow", "20261122", "2026-02-30")
        ),
    ],
    ids=["empty", "no state", "no numbers", "unknown state", "word", "compact", "no such day"],
)
async def test_an_answer_outside_the_contract_leaves_the_effect_open(
    odd: tuple[Oddity, GrpcAuthority], message: Any
) -> None:
    oddity, authority = odd
    oddity.behave = answers(message)

    with pytest.raises(AuthorityUnavailable, match="cannot be understood"):
        await authority.confirm_grant("G1")


async def test_a_done_submission_with_an_open_verdict_is_not_understood(
    odd: tuple[Oddity, GrpcAuthority],
) -> None:
    oddity, authority = odd
    submission = authority_pb2.SubmissionResult(
        done=True, results=[authority_pb2.ItemResult(event=authority_pb2.UploadItem.EVENT_ISSUE)]
    )
    oddity.behave = answers(wire.GetResultsResponse(submissions=[submission]))

    with pytest.raises(AuthorityUnavailable, match="cannot be understood"):
        await authority.get_results(tax_number="t", acceptance_serials=["SL1"])


@pytest.mark.parametrize(
    ("code", "failure"),
    [("UNAVAILABLE", AuthorityUnavailable), ("FAILED_PRECONDITION", AuthorityRefused)],
)
async def test_a_return_fails_like_any_other_call(
    odd: tuple[Oddity, GrpcAuthority], code: str, failure: type[Exception]
) -> None:
    oddity, authority = odd
    oddity.behave = aborts(code)

    with pytest.raises(failure):
        await give_back(authority)


async def test_a_return_without_a_serial_is_not_understood(
    odd: tuple[Oddity, GrpcAuthority],
) -> None:
    oddity, authority = odd
    oddity.behave = answers(wire.ReturnStockResponse())

    with pytest.raises(AuthorityUnavailable, match="cannot be understood"):
        await give_back(authority)


async def test_garbage_for_an_answer_leaves_the_effect_open(
    odd: tuple[Oddity, GrpcAuthority],
) -> None:
    oddity, authority = odd

    async def behave(_: Any) -> bytes:
        return b"\xff\xff\xff"

    oddity.behave = behave

    with pytest.raises(AuthorityUnavailable):
        await authority.confirm_grant("G1")


async def test_nobody_listening_fails_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        target = f"127.0.0.1:{free.getsockname()[1]}"
    authority = GrpcAuthority(AuthorityConfig(target=target), on_time=lambda *_: None)

    before = time.monotonic()
    with pytest.raises(AuthorityUnavailable) as failure:
        await authority.get_grant("r1")
    elapsed_s = time.monotonic() - before
    await authority.close()

    assert failure.value.facts == {"grpc_code": "UNAVAILABLE"}
    assert elapsed_s < 3


async def test_closing_under_a_call_leaves_its_effect_open(
    odd: tuple[Oddity, GrpcAuthority],
) -> None:
    oddity, authority = odd
    oddity.behave = hang
    call = asyncio.create_task(authority.confirm_grant("G1"))
    await oddity.called.wait()

    await authority.close()

    with pytest.raises(AuthorityUnavailable):
        await call
    with pytest.raises(AuthorityUnavailable):
        await authority.confirm_grant("G1")


async def test_a_caller_that_stops_is_stopped(odd: tuple[Oddity, GrpcAuthority]) -> None:
    oddity, authority = odd
    oddity.behave = hang
    call = asyncio.create_task(authority.confirm_grant("G1"))
    await oddity.called.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_every_answer_tells_the_authoritys_time_refusals_too(
    simulator: SimulatorProcess, connect: Connect
) -> None:
    told: list[tuple[float, float, float]] = []
    authority = connect(simulator, on_time=lambda *times: told.append(times))

    await authority.register_taxpayer(seller(new_tax_number()), [])
    assert await authority.get_grant(new_id()) is None
    simulator.set_windows((1, 3_600_000))
    tax_number = new_tax_number()
    await authority.register_taxpayer(seller(tax_number), [])
    for _ in range(2):
        try:
            await authority.get_results(tax_number=tax_number, acceptance_serials=["SL1"])
        except Throttled:
            continue

    assert len(told) == 5
    for authority_unix_s, sent, received in told:
        assert abs(authority_unix_s - time.time()) < 10
        assert sent <= received <= time.monotonic()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"target": " "}, "authority.target"),
        ({"target": "h:1", "timeout_s": 0}, "authority.timeout_s"),
        ({"target": "h:1", "timeout_s": 121}, "authority.timeout_s"),
    ],
)
def test_a_configuration_out_of_range_is_named(fields: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        AuthorityConfig(**fields)


async def test_root_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    config = AuthorityConfig(target="h:1", root_certificates=tmp_path / "missing.pem")

    with pytest.raises(ValueError, match=r"authority\.root_certificates cannot be read"):
        GrpcAuthority(config, on_time=lambda *_: None)
