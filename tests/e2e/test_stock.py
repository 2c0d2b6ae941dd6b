"""Drawing, assigning and seeing stock: writes replay, a dry run changes nothing, limits hold."""

import grpc
import pytest

from taxcontrol.admin.v1 import (
    segment_pb2,
    stock_admin_service_pb2,
    taxpayer_service_pb2,
)
from taxcontrol.v1 import stock_service_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, new_tax_number, ticket
from tests.e2e.wire import refused

DrawStockRequest = stock_admin_service_pb2.DrawStockRequest
AssignStockRequest = stock_admin_service_pb2.AssignStockRequest
GetTaxpayerRequest = taxpayer_service_pb2.GetTaxpayerRequest
ListTaxpayersRequest = taxpayer_service_pb2.ListTaxpayersRequest
GetStockRequest = stock_service_pb2.GetStockRequest


def test_numbers_are_drawn_assigned_and_seen(platform: Platform) -> None:
    seller = platform.new_seller("026", points=(0, 1))
    grant = platform.draw(seller, "026", 30, request_id=new_id()).grant
    [segment] = platform.assign(seller, "026", 10, 1, request_id=new_id()).segments
    levels = platform.stock.GetStock(GetStockRequest(parent=seller.name)).levels

    assert grant.state == stock_admin_service_pb2.Grant.STATE_CONFIRMED
    assert int(grant.last_number) - int(grant.first_number) == 29
    assert (segment.point, segment.grant_id) == (seller.point(1), grant.grant_id)
    assert segment.first_number == segment.next_number == grant.first_number
    assert [(level.point, level.type, level.available_count) for level in levels] == [
        ("", "026", 20),
        (seller.point(1), "026", 10),
    ]
    assert (levels[1].next_code, levels[1].next_number) == (grant.code, grant.first_number)
    assert int(levels[0].next_number) == int(grant.first_number) + 10
    assert sum(one.total_count for one in platform.segments(seller)) == 30


def test_a_draw_again_replays_and_another_request_is_told_what_differs(
    platform: Platform,
) -> None:
    seller = platform.new_seller("026")
    request_id = new_id()
    first = platform.draw(seller, "026", 30, request_id=request_id)

    again = platform.draw(seller, "026", 30, request_id=request_id)
    with refused("REQUEST_ID_REUSED", grpc.StatusCode.ALREADY_EXISTS) as found:
        platform.draw(seller, "026", 31, request_id=request_id)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.grant == first.grant
    assert found[0].facts["fields"] == "count"
    assert sum(one.total_count for one in platform.segments(seller)) == 30


def test_an_assignment_again_answers_the_segments_of_then(platform: Platform) -> None:
    seller = platform.new_seller("026")
    platform.draw(seller, "026", 30, request_id=new_id())
    request_id = new_id()
    first = platform.assign(seller, "026", 10, 0, request_id=request_id)
    platform.issue(ticket(seller))

    again = platform.assign(seller, "026", 10, 0, request_id=request_id)

    assert again.replayed
    assert again.segments == first.segments
    assert platform.available(seller) == 9


def test_an_issue_id_cannot_be_used_for_a_draw(platform: Platform, seller: Seller) -> None:
    issued = platform.issue(ticket(seller))

    with refused("REQUEST_ID_REUSED"):
        platform.draw(seller, "026", 1, request_id=issued.request_id)


def test_a_draws_id_cannot_be_used_to_issue(platform: Platform, seller: Seller) -> None:
    request_id = new_id()
    platform.draw(seller, "026", 1, request_id=request_id)
    before = platform.available(seller)

    with refused("REQUEST_ID_REUSED"):
        platform.issue(ticket(seller, request_id))

    assert platform.available(seller) == before


def test_a_dry_draw_and_a_dry_assignment_change_nothing(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)
    before = platform.segments(seller)

    drawn = platform.stock_admin.DrawStock(
        DrawStockRequest(
            request_id="dry", parent=seller.name, type="026", count=5, validate_only=True
        )
    )
    with refused("STOCK_EXHAUSTED"):
        platform.stock_admin.AssignStock(
            AssignStockRequest(
                request_id="dry", point=seller.point(), type="026", count=1, validate_only=True
            )
        )

    assert drawn.grant.total_count == 5
    assert not drawn.grant.first_number
    assert platform.segments(seller) == before


def test_a_draw_beyond_the_maximum_holding_is_refused(platform: Platform) -> None:
    seller = platform.new_seller("026", holding_count_max=50)
    platform.draw(seller, "026", 40, request_id=new_id())

    with refused("HOLDING_EXCEEDED", grpc.StatusCode.FAILED_PRECONDITION) as found:
        platform.draw(seller, "026", 11, request_id="too-many")
    drawn = platform.draw(seller, "026", 10, request_id="too-many")

    assert found[0].facts == {
        "taxpayer": seller.tax_number,
        "type": "026",
        "held_count": "40",
        "holding_count_max": "50",
    }
    assert not drawn.replayed


def test_an_assignment_beyond_the_pool_moves_nothing(platform: Platform) -> None:
    seller = platform.new_seller("026")
    platform.draw(seller, "026", 5, request_id=new_id())

    with refused("STOCK_EXHAUSTED", grpc.StatusCode.RESOURCE_EXHAUSTED) as found:
        platform.assign(seller, "026", 6, 0, request_id="six")

    assert found[0].facts == {"taxpayer": seller.tax_number, "type": "026", "available_count": "5"}
    assert platform.available(seller) == 0
    assert len(platform.assign(seller, "026", 5, 0, request_id="six").segments) == 1


@pytest.mark.parametrize("type_code", ["", "999", "0" * 5000])
def test_a_type_there_is_not_is_refused_and_not_repeated(
    platform: Platform, seller: Seller, type_code: str
) -> None:
    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as drawn:
        platform.draw(seller, type_code, 1, request_id=new_id())
    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as assigned:
        platform.assign(seller, type_code, 1, 0, request_id=new_id())

    assert drawn[0].facts["field"] == assigned[0].facts["field"] == "type"


def test_stock_of_a_type_there_is_not_is_refused(platform: Platform, seller: Seller) -> None:
    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.stock.GetStock(GetStockRequest(parent=seller.name, type="0" * 5000))

    assert found[0].violations == {("FIELD_FORMAT", "type")}


@pytest.mark.parametrize("count", [0, -1, 1_000_001])
def test_a_count_out_of_range_is_refused(platform: Platform, seller: Seller, count: int) -> None:
    with refused("INVALID_REQUEST") as drawing:
        platform.draw(seller, "026", count, request_id=new_id())
    with refused("INVALID_REQUEST") as assigning:
        platform.assign(seller, "026", count, 0, request_id=new_id())

    assert drawing[0].violations == assigning[0].violations == {("FIELD_RANGE", "count")}


def test_a_type_the_taxpayer_has_not_is_refused(platform: Platform, seller: Seller) -> None:
    with refused("INVALID_REQUEST") as found:
        platform.draw(seller, "004", 1, request_id=new_id())

    assert found[0].facts["field"] == "type"


def test_stock_of_nobody_is_not_found(platform: Platform, seller: Seller) -> None:
    stranger = Seller(tax_number=new_tax_number())

    with refused("TAXPAYER_NOT_FOUND"):
        platform.stock.GetStock(GetStockRequest(parent=stranger.name))
    with refused("POINT_NOT_FOUND"):
        platform.stock.GetStock(GetStockRequest(parent=seller.point(9)))
    with refused("INVALID_REQUEST"):
        platform.stock.GetStock(GetStockRequest(parent="points/1"))
    with refused("TAXPAYER_NOT_FOUND") as drawing:
        platform.draw(stranger, "026", 1, request_id=new_id())
    with refused("POINT_NOT_FOUND") as assigning:
        platform.assign(seller, "026", 1, 9, request_id=new_id())

    assert drawing[0].facts == {"taxpayer": stranger.tax_number}
    assert assigning[0].facts == {"taxpayer": seller.tax_number, "point": "9"}


def test_segments_are_listed_page_by_page(platform: Platform) -> None:
    seller = platform.new_seller("026", points=(0, 1))
    for _ in range(3):
        platform.supply(seller, "026", 4)
    listed: list[segment_pb2.Segment] = []
    token = ""
    while True:
        page = platform.stock_admin.ListSegments(
            stock_admin_service_pb2.ListSegmentsRequest(
                parent=seller.name, page_size=2, page_token=token
            )
        )
        assert len(page.segments) <= 2
        listed += page.segments
        token = page.next_page_token
        if not token:
            break

    assert listed == platform.segments(seller)
    assert sum(segment.total_count for segment in listed) == 24
    ids = [segment.segment_id for segment in listed]
    assert ids == sorted(set(ids))
