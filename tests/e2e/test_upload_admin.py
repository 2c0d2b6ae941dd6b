"""Operators pause uploads, lower their rate, and send again what was refused."""

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from taxcontrol.admin.v1 import taxpayer_pb2
from taxcontrol.admin.v1.upload_admin_service_pb2 import (
    PauseUploadsRequest,
    PauseUploadsResponse,
    ResumeUploadsRequest,
    RetryUploadsRequest,
    RetryUploadsResponse,
    SetUploadRateRequest,
    SetUploadRateResponse,
)
from taxcontrol.v1 import invoice_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, new_tax_number, ticket
from tests.e2e.wire import eventually, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess, windows_exceeded

WHY = "示例原因"
ACCEPTED = invoice_pb2.Invoice.UPLOAD_STATE_ACCEPTED


@pytest.fixture
def authority(system: System) -> Iterator[SimulatorProcess]:
    """The shared authority, without faults after the test."""
    yield system.simulator
    system.simulator.set_faults()


def pause(platform: Platform, seller: Seller, **more: Any) -> PauseUploadsResponse:
    response: PauseUploadsResponse = platform.uploads.PauseUploads(
        PauseUploadsRequest(
            **{"request_id": new_id("pause"), "parent": seller.name, "reason": WHY, **more}
        )
    )
    return response


def resume(platform: Platform, seller: Seller) -> None:
    platform.uploads.ResumeUploads(
        ResumeUploadsRequest(request_id=new_id("resume"), parent=seller.name)
    )


def retry(platform: Platform, seller: Seller, *invoices: str, **more: Any) -> RetryUploadsResponse:
    response: RetryUploadsResponse = platform.uploads.RetryUploads(
        RetryUploadsRequest(
            **{
                "request_id": new_id("retry"),
                "parent": seller.name,
                "invoices": invoices,
                "reason": WHY,
                **more,
            }
        )
    )
    return response


def set_rate(
    platform: Platform, seller: Seller, *windows: tuple[int, int], **more: Any
) -> SetUploadRateResponse:
    """Each window is (milliseconds, calls)."""
    response: SetUploadRateResponse = platform.uploads.SetUploadRate(
        SetUploadRateRequest(
            **{
                "request_id": new_id("rate"),
                "parent": seller.name,
                "windows": [
                    taxpayer_pb2.RateWindow(period_ms=period_ms, call_count_max=count)
                    for period_ms, count in windows
                ],
                "reason": WHY,
                **more,
            }
        )
    )
    return response


def in_s(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMilliseconds(round((time.time() + seconds) * 1000))
    return stamp


# --- pauses ---------------------------------------------------------------------------------


def test_a_pause_stops_the_uploads_until_they_are_resumed(
    platform: Platform, authority: SimulatorProcess
) -> None:
    seller = platform.new_seller("026", stock=10)
    pause(platform, seller)

    platform.issue(ticket(seller))
    status = platform.upload_status(seller)
    busy = platform.new_seller("026", stock=1)
    platform.issue(ticket(busy))
    eventually(lambda: platform.drained(busy))  # what the paused one could have done meanwhile

    assert (status.paused, status.pause_reason) == (True, WHY)
    assert not status.HasField("paused_until")
    assert authority.calls(seller.tax_number) == []
    resume(platform, seller)
    eventually(lambda: platform.drained(seller))
    assert not platform.upload_status(seller).paused


def test_a_pause_ends_by_itself_and_another_one_moves_its_end(
    platform: Platform, authority: SimulatorProcess
) -> None:
    seller = platform.new_seller("026", stock=10)
    pause(platform, seller, pause_until=in_s(3600))
    until = in_s(1.0)
    pause(platform, seller, pause_until=until)
    platform.issue(ticket(seller))

    shown = platform.upload_status(seller).paused_until
    eventually(lambda: platform.drained(seller))

    assert shown.ToMilliseconds() == until.ToMilliseconds()
    assert authority.calls(seller.tax_number)[0].arrival_time.ToMilliseconds() >= (
        until.ToMilliseconds() - 5
    )
    assert not platform.upload_status(seller).paused


def test_a_pause_is_refused_by_field_and_replayed_after_its_end(platform: Platform) -> None:
    seller = platform.new_seller("026")
    request_id, until = new_id("pause"), in_s(0.2)
    pause(platform, seller, request_id=request_id, pause_until=until)
    eventually(lambda: not platform.upload_status(seller).paused)

    again = pause(platform, seller, request_id=request_id, pause_until=until)
    with refused("INVALID_REQUEST") as past:
        pause(platform, seller, pause_until=in_s(-1))
    with refused("INVALID_REQUEST") as beyond:
        pause(platform, seller, pause_until=Timestamp(seconds=2**61))
    with refused("INVALID_REQUEST") as unexplained:
        pause(platform, seller, reason=" ")
    with refused("REQUEST_ID_REUSED"):
        pause(platform, seller, request_id=request_id)
    with refused("TAXPAYER_NOT_FOUND"):
        pause(platform, Seller(tax_number=new_tax_number()))

    assert again.replayed
    assert past[0].violations == beyond[0].violations == {("FIELD_RANGE", "pause_until")}
    assert unexplained[0].violations == {("FIELD_REQUIRED", "reason")}


def test_a_dry_pause_pauses_nothing(platform: Platform) -> None:
    seller = platform.new_seller("026")

    pause(platform, seller, validate_only=True)

    assert not platform.upload_status(seller).paused


# --- retries --------------------------------------------------------------------------------


def test_what_was_refused_is_sent_again_and_accepted(
    platform: Platform, authority: SimulatorProcess
) -> None:
    seller = platform.new_seller("026", stock=10)
    authority.set_faults(refuse_signature_ppm=1_000_000)
    issued = [platform.issue(ticket(seller)) for _ in range(3)]
    eventually(lambda: platform.drained(seller))
    authority.set_faults()
    refused_count = platform.upload_status(seller).rejected_count

    dry = retry(platform, seller, validate_only=True)
    one = retry(platform, seller, issued[1].name, request_id=f"again-{issued[1].number}")
    eventually(lambda: platform.get(name=issued[1].name).upload_state == ACCEPTED)
    left = [event.invoice for event in platform.unuploaded(seller)]
    rest = retry(platform, seller)
    eventually(lambda: platform.drained(seller))

    assert refused_count == dry.retried_count == 3
    assert one.retried_count == 1
    assert left == [issued[0].name, issued[2].name]
    assert rest.retried_count == 2
    assert platform.unuploaded(seller) == []
    assert platform.upload_status(seller).meters[0].unuploaded_count == 0
    again = retry(platform, seller, issued[1].name, request_id=f"again-{issued[1].number}")
    assert (again.retried_count, again.replayed) == (1, True)


def _never_taken(name: str) -> str:
    """The name of a number that nobody has reached yet."""
    return f"{name[:-8]}09900003"


def test_what_cannot_be_retried_is_refused_by_field(platform: Platform, seller: Seller) -> None:
    issued = platform.issue(ticket(seller))
    other = platform.new_seller("026", stock=1)

    with refused("INVALID_REQUEST") as pending:
        retry(platform, seller, issued.name)
    with refused("INVALID_REQUEST") as foreign:
        retry(platform, other, issued.name)
    with refused("INVALID_REQUEST") as nonsense:
        retry(platform, seller, "invoices/1")
    with refused("INVOICE_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as unknown:
        retry(platform, seller, _never_taken(issued.name))
    with refused("INVALID_REQUEST") as many:
        retry(platform, seller, *[issued.name] * 501)
    with refused("INVALID_REQUEST") as unexplained:
        retry(platform, seller, reason="")

    assert pending[0].violations == {("NOT_REJECTED", "invoices[0]")}
    assert foreign[0].violations == nonsense[0].violations == {("FIELD_FORMAT", "invoices[0]")}
    assert unknown[0].facts == {"name": _never_taken(issued.name)}
    assert many[0].violations == {("FIELD_RANGE", "invoices")}
    assert unexplained[0].violations == {("FIELD_REQUIRED", "reason")}
    assert retry(platform, other).retried_count == 0


# --- rates ----------------------------------------------------------------------------------


def test_a_rate_is_set_shown_and_lifted(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)

    answer = set_rate(platform, seller, (1000, 2), (60_000, 30))
    status = platform.upload_status(seller)
    lifted = set_rate(platform, seller)

    wanted = [(1000, 2), (60_000, 30)]
    for shown in (answer.windows, status.set_windows, status.windows):
        assert [(one.period_ms, one.call_count_max) for one in shown] == wanted
    assert list(lifted.windows) == []
    assert list(platform.upload_status(seller).set_windows) == []


@pytest.mark.parametrize(
    ("windows", "rule", "field"),
    [
        ([(1000, 0)], "FIELD_RANGE", "windows[0].call_count_max"),
        ([(1000, 1), (0, 1)], "FIELD_RANGE", "windows[1].period_ms"),
        ([(2**40, 1)], "FIELD_RANGE", "windows[0].period_ms"),
        ([(1000, 1), (1000, 2)], "FIELD_DUPLICATE", "windows[1].period_ms"),
        ([(1000 + at, 1) for at in range(9)], "FIELD_RANGE", "windows"),
    ],
)
def test_a_rate_that_is_none_is_refused_by_field(
    platform: Platform, seller: Seller, windows: list[tuple[int, int]], rule: str, field: str
) -> None:
    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        set_rate(platform, seller, *windows)

    assert found[0].violations == {(rule, field)}


def test_pause_and_rate_hold_over_a_restart_and_the_authority_sees_them_hold(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("steered")
    given, lowered = ((50, 1000),), ((4, 1000),)
    with (
        SimulatorProcess(home / "simulator", arguments=["--windows", "50/1s"]) as simulator,
        GatewayProcess(home / "gateway", authority=simulator.target) as gateway,
    ):
        platform = Platform(gateway.channel)
        seller = platform.new_seller("026", stock=200)
        with refused("INVALID_REQUEST") as higher:
            set_rate(platform, seller, (1000, 51))
        set_rate(platform, seller, (1000, 4))
        pause(platform, seller)
        for _ in range(20):
            platform.issue(ticket(seller))
        gateway.stop()
        gateway.start()
        platform = Platform(gateway.channel)
        status = platform.upload_status(seller)
        silent = simulator.calls(seller.tax_number)
        resume(platform, seller)
        for _ in range(20):
            platform.issue(ticket(seller))
        eventually(lambda: platform.drained(seller))
        calls = simulator.calls(seller.tax_number)
        findings = platform.books().findings

    assert higher[0].violations == {("FIELD_RANGE", "windows[0].call_count_max")}
    assert status.paused
    assert [(one.period_ms, one.call_count_max) for one in status.windows] == [(1000, 4)]
    assert silent == []
    assert windows_exceeded(calls, [*given, *lowered]) == 0
    assert not any(call.throttled for call in calls)
    assert findings == []
