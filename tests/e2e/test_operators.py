"""What operators do and watch, over the wire: who did it is on record, and nothing is lost over a stop."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from taxcontrol.admin.v1 import (
    audit_service_pb2,
    desk_service_pb2,
    desk_service_pb2_grpc,
    stock_threshold_pb2,
)
from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    ListStockThresholdsRequest,
    SetStockThresholdRequest,
    SetStockThresholdResponse,
)
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, ticket
from tests.e2e.wire import eventually, refusal_of, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

WHY = "周末无人值守"
# How soon the desk of a test is looked: once a second, the shortest there is.
SETTINGS = "[desk]\nsurvey_s = 1.0\nwatch_count_max = 2\n"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator:
        yield simulator


@pytest.fixture
def gateway(tmp_path: Path, simulator: SimulatorProcess) -> Iterator[GatewayProcess]:
    with GatewayProcess(
        tmp_path / "gateway", authority=simulator.target, settings=SETTINGS
    ) as gateway:
        yield gateway


def watch(gateway: GatewayProcess, seller: Seller | None = None, **more: Any) -> Any:
    stub = desk_service_pb2_grpc.DeskServiceStub(gateway.channel)
    parent = "" if seller is None else seller.name
    return stub.WatchDesk(desk_service_pb2.WatchDeskRequest(parent=parent, **more))


def set_threshold(
    platform: Platform,
    seller: Seller,
    *,
    point: int | None = 0,
    request_id: str = "",
    metadata: Any = None,
    dry: bool = False,
    reason: str = WHY,
    **facts: Any,
) -> SetStockThresholdResponse:
    """Set a threshold of 026, low at 5 and filled up to 20 unless said otherwise."""
    parent = seller.name if point is None else seller.point(point)
    wanted: dict[str, Any] = {
        "low_count": 5,
        "target_count": 20,
        "parent": parent,
        "type": "026",
    } | facts
    response: SetStockThresholdResponse = platform.stock_admin.SetStockThreshold(
        SetStockThresholdRequest(
            request_id=request_id or new_id("threshold"),
            threshold=stock_threshold_pb2.StockThreshold(**wanted),
            reason=reason,
            validate_only=dry,
        ),
        metadata=metadata,
    )
    return response


def thresholds(platform: Platform, seller: Seller) -> list[tuple[str, int, int, bool]]:
    found = platform.stock_admin.ListStockThresholds(ListStockThresholdsRequest(parent=seller.name))
    return [
        (one.parent, one.low_count, one.target_count, one.auto_draw) for one in found.thresholds
    ]


def records(platform: Platform, **asked: Any) -> list[Any]:
    """All records that fit, page by page."""
    found: list[Any] = []
    token = ""
    while True:
        page = platform.audit.ListAuditRecords(
            audit_service_pb2.ListAuditRecordsRequest(page_token=token, **asked)
        )
        found += page.records
        token = page.next_page_token
        if not token:
            return found


def test_desks_are_limited_and_a_place_is_free_again(gateway: GatewayProcess) -> None:
    views = [watch(gateway) for _ in range(2)]
    for one in views:
        next(one)
    with refused("OVERLOADED", grpc.StatusCode.RESOURCE_EXHAUSTED) as caught:
        next(watch(gateway))
    views[0].cancel()

    def free() -> bool:
        more = watch(gateway)
        try:
            next(more)
        except grpc.RpcError as error:
            return refusal_of(error).reason != "OVERLOADED"
        more.cancel()
        return True

    eventually(free)
    views[1].cancel()
    assert caught[0].retry_s is not None


def test_a_stop_ends_a_desk_in_order_and_is_not_held_up_by_it(gateway: GatewayProcess) -> None:
    views = watch(gateway, interval_ms=60_000)
    next(views)
    ended: list[str] = []

    def listen() -> None:
        try:
            for _ in views:
                pass
        except grpc.RpcError as error:
            ended.append(refusal_of(error).reason)

    listener = threading.Thread(target=listen)
    listener.start()
    began = time.monotonic()
    gateway.send(signal.SIGTERM)
    status = gateway.wait()
    elapsed_s = time.monotonic() - began
    listener.join(10)

    assert status == 0
    assert ended == ["SHUTTING_DOWN"]
    assert elapsed_s < 4  # drain_s is 5


def test_a_threshold_is_set_tried_replayed_and_taken_away(platform: Platform) -> None:
    seller = platform.new_seller("026", points=(0, 1))
    set_threshold(platform, seller, dry=True)
    dry = thresholds(platform, seller)
    once = set_threshold(platform, seller, request_id=(id_ := new_id("threshold")))
    again = set_threshold(platform, seller, request_id=id_, reason="another reason")
    with refused("REQUEST_ID_REUSED") as caught:
        set_threshold(platform, seller, request_id=id_, low_count=6)
    set_threshold(platform, seller, point=None, low_count=7)
    both = thresholds(platform, seller)
    set_threshold(platform, seller, low_count=0)

    assert dry == []
    assert (once.replayed, again.replayed) == (False, True)
    assert caught[0].facts["fields"] == "threshold"
    assert both == [(seller.name, 7, 20, False), (seller.point(0), 5, 20, False)]
    assert thresholds(platform, seller) == [(seller.name, 7, 20, False)]
    assert platform.books().findings == []


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"low_count": -1}, "threshold.low_count"),
        ({"low_count": 1_000_001}, "threshold.low_count"),
        ({"target_count": 5}, "threshold.target_count"),
        ({"target_count": 1_000_001}, "threshold.target_count"),
        ({"type": ""}, "threshold.type"),
        ({"type": "999"}, "threshold.type"),
        ({"parent": ""}, "threshold.parent"),
        ({"parent": "taxpayers/x/points/y"}, "threshold.parent"),
        ({"reason": ""}, "reason"),
    ],
)
def test_a_threshold_that_cannot_be_meant_is_refused_by_name(
    platform: Platform, seller: Seller, facts: dict[str, Any], field: str
) -> None:
    with refused("INVALID_REQUEST") as caught:
        set_threshold(platform, seller, **facts)

    assert {where for _, where in caught[0].violations} == {field}


def test_a_threshold_of_nobody_or_nowhere_is_refused(platform: Platform, seller: Seller) -> None:
    with refused("POINT_NOT_FOUND"):
        set_threshold(platform, seller, point=77)
    with refused("TAXPAYER_NOT_FOUND"):
        set_threshold(platform, Seller(tax_number="91310115X12J2H3L49"))
    with refused("TAXPAYER_NOT_FOUND"):
        thresholds(platform, Seller(tax_number="91310115X12J2H3L49"))


def test_a_low_point_is_filled_up_by_itself_over_a_restart(
    gateway: GatewayProcess, simulator: SimulatorProcess
) -> None:
    """The authority does not answer when the point turns low; the gateway is killed, and it is drawn once."""
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=8)
    set_threshold(platform, seller, auto_draw=True)
    simulator.kill()
    for _ in range(4):
        platform.issue(ticket(seller))
    eventually(lambda: "replenish.begun" in gateway.log.read_text("utf-8"))
    gateway.kill()
    simulator.start()
    gateway.start()
    platform = Platform(gateway.channel)

    eventually(lambda: platform.available(seller) == 20)

    done = records(platform, parent=seller.name, actor="gateway")
    assert [one.action for one in done] == ["assign_stock", "draw_stock"]
    assert [segment.total_count for segment in platform.segments(seller)] == [8, 16]
    assert platform.books().findings == []


def test_who_acts_is_on_record_and_in_the_log(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026")
    set_threshold(platform, seller, metadata=(("operator", "li.wei"),), request_id="by-li")
    set_threshold(platform, seller, point=None, request_id="by-nobody")

    [by_li] = records(platform, actor="li.wei")
    newest_first = records(platform, parent=seller.name, page_size=1)

    assert (by_li.action, by_li.target, by_li.reason, by_li.request_id) == (
        "set_stock_threshold",
        seller.point(0),
        WHY,
        "by-li",
    )
    assert json.loads(by_li.detail)["threshold"]["low_count"] == 5
    assert [one.request_id for one in newest_first[:2]] == ["by-nobody", "by-li"]
    assert newest_first[0].actor == "operator"
    ids = [one.audit_id for one in newest_first]
    assert ids == sorted(ids, reverse=True)
    assert not records(platform, parent=seller.name[:-1])
    lines = map(json.loads, gateway.log.read_text("utf-8").splitlines())
    assert [one.get("operator") for one in lines if one.get("request_id") == "by-li"] == ["li.wei"]


@pytest.mark.parametrize("name", ["", "gateway", "authority", "x" * 65])
def test_a_name_that_nobody_may_have_is_refused(
    platform: Platform, seller: Seller, name: str
) -> None:
    with refused("INVALID_REQUEST") as caught:
        set_threshold(platform, seller, metadata=(("operator", name),))

    assert {where for _, where in caught[0].violations} == {"operator"}
    assert not [one for one in records(platform, parent=seller.name) if one.actor == name != ""]


def test_pages_of_the_record_are_refused_by_name(platform: Platform) -> None:
    for asked, field in (({"page_size": -1}, "page_size"), ({"page_token": "x"}, "page_token")):
        with refused("INVALID_REQUEST") as caught:
            platform.audit.ListAuditRecords(audit_service_pb2.ListAuditRecordsRequest(**asked))
        assert {where for _, where in caught[0].violations} == {field}
