"""The desk over the wire: whole views, live, of one seller or of all, and how they came about."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from taxcontrol.admin.v1.desk_pb2 import DeskView, StockView, TaxpayerView
from taxcontrol.admin.v1.desk_service_pb2 import GetHistoryRequest, WatchDeskRequest
from taxcontrol.admin.v1.desk_service_pb2_grpc import DeskServiceStub
from taxcontrol.admin.v1.offline_pb2 import GRADE_STOP, GRADE_WARN
from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    ListStockThresholdsRequest,
    SetStockThresholdRequest,
)
from taxcontrol.admin.v1.stock_threshold_pb2 import StockThreshold
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, ticket
from tests.e2e.wire import eventually, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

WHY = "示例原因"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[GatewayProcess, None, None]:
    home = tmp_path_factory.mktemp("desk")
    with (
        SimulatorProcess(home / "authority", arguments=["--windows", ""]) as simulator,
        GatewayProcess(
            home / "gateway",
            authority=simulator.target,
            settings="[desk]\nsurvey_s = 1.0\nwatch_count_max = 3\n",
        ) as running,
    ):
        yield running


def views(gateway: GatewayProcess, **asked: Any) -> Generator[DeskView, None, None]:
    """What a watch is told, for as long as somebody asks for more."""
    call = DeskServiceStub(gateway.channel).WatchDesk(
        WatchDeskRequest(**{"interval_ms": 200, **asked}), timeout=30
    )
    try:
        for message in call:
            yield message.view
    finally:
        call.cancel()


def until(
    gateway: GatewayProcess, seller: Seller, holds: Callable[[TaxpayerView], bool]
) -> TaxpayerView:
    """The first view of a seller for which ``holds``."""
    for view in views(gateway, parent=seller.name):
        [one] = view.taxpayers
        if holds(one):
            return one
    raise AssertionError("the watch ended")


def at_point(view: TaxpayerView) -> StockView:
    [stock] = [one for one in view.stock if one.point]
    return stock


def test_a_view_changes_by_itself_as_numbers_are_used(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=3)
    before = until(gateway, seller, lambda view: bool(view.stock))
    seen = views(gateway, parent=seller.name)
    next(seen)

    for _ in range(3):
        platform.invoices.IssueInvoice(ticket(seller, new_id("desk")))
    used = next(view for view in seen if at_point(view.taxpayers[0]).available_count == 0)
    seen.close()
    gone = until(gateway, seller, lambda view: at_point(view).grade == GRADE_STOP)

    assert at_point(before).available_count == 3
    assert used.signing_available
    assert used.authority_reachable
    assert gone.grade == GRADE_STOP


def test_a_threshold_set_dry_changes_nothing_and_done_shows_on_the_desk(
    gateway: GatewayProcess,
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=20)
    wanted = StockThreshold(
        parent=f"{seller.name}/points/0", type="026", low_count=30, target_count=40
    )

    def put(*, dry: bool) -> None:
        request = SetStockThresholdRequest(
            request_id=new_id("threshold"), threshold=wanted, reason=WHY, validate_only=dry
        )
        platform.stock_admin.SetStockThreshold(request)

    put(dry=True)
    listed = ListStockThresholdsRequest(parent=seller.name)
    untouched = platform.stock_admin.ListStockThresholds(listed).thresholds
    put(dry=False)

    assert list(untouched) == []
    assert list(platform.stock_admin.ListStockThresholds(listed).thresholds) == [wanted]
    low = until(gateway, seller, lambda view: at_point(view).grade == GRADE_WARN)
    assert at_point(low).threshold == wanted
    wanted.target_count = 30
    with refused("INVALID_REQUEST") as caught:
        put(dry=False)
    assert caught[0].violations == {("FIELD_RANGE", "threshold.target_count")}


def test_a_point_that_may_is_filled_up_by_itself(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=5)
    platform.stock_admin.SetStockThreshold(
        SetStockThresholdRequest(
            request_id=new_id("threshold"),
            threshold=StockThreshold(
                parent=seller.name, type="026", low_count=10, target_count=60, auto_draw=True
            ),
            reason=WHY,
        )
    )

    def full(view: TaxpayerView) -> bool:
        # The first view may be of a moment before the numbers were assigned.
        return any(one.point and one.available_count == 60 for one in view.stock)

    filled = until(gateway, seller, full)

    assert filled.stock
    assert platform.books().findings == []


def test_no_more_than_so_many_sellers_are_shown_and_the_rest_is_counted(
    gateway: GatewayProcess,
) -> None:
    platform = Platform(gateway.channel)
    for _ in range(2):
        platform.new_seller("026", stock=1)

    view = next(views(gateway, taxpayer_count_max=1))

    eventually(lambda: next(views(gateway, taxpayer_count_max=1)).left_out_count >= 1)
    assert len(view.taxpayers) == 1


def test_beyond_the_watches_there_are_places_for_callers_are_told(gateway: GatewayProcess) -> None:
    open_ones: list[Generator[DeskView, None, None]] = []

    with refused("OVERLOADED"):
        while len(open_ones) < 10:
            open_ones.append(views(gateway))
            next(open_ones[-1])
    for one in open_ones:
        one.close()

    assert len(open_ones) <= 4


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"interval_ms": -1}, "interval_ms"),
        ({"interval_ms": 60_001}, "interval_ms"),
        ({"taxpayer_count_max": -1}, "taxpayer_count_max"),
        ({"parent": "taxpayers"}, "parent"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(
    gateway: GatewayProcess, asked: dict[str, object], field: str
) -> None:
    with refused("INVALID_REQUEST") as caught:
        next(views(gateway, **asked))

    assert {name for _, name in caught[0].violations} == {field}


def test_the_history_of_a_seller_has_what_its_points_took(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=5)
    for _ in range(2):
        platform.invoices.IssueInvoice(ticket(seller, new_id("history")))

    # What was taken is counted once a minute, and at the first look after a start.
    gateway.stop()
    gateway.start()
    stub = DeskServiceStub(gateway.channel)
    eventually(lambda: len(stub.GetHistory(GetHistoryRequest(parent=seller.name)).burn) > 0)
    history = stub.GetHistory(GetHistoryRequest(parent=seller.name))

    assert sum(one.taken_count for one in history.burn) == 2
    assert {one.point for one in history.burn} == {f"{seller.name}/points/0"}
