"""Recalling and returning stock: numbers go back the way they came, and none is lost on the way."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from taxcontrol.admin.v1.stock_admin_service_pb2 import (
    RecallStockRequest,
    RecallStockResponse,
    ReturnStockRequest,
    ReturnStockResponse,
)
from taxcontrol.authority.v1 import authority_service_pb2
from taxcontrol.authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, new_tax_number, ticket
from tests.e2e.wire import eventually, refused
from tests.fakes.simulator_process import SimulatorProcess


@pytest.fixture
def authority(system: System) -> Iterator[SimulatorProcess]:
    """The shared authority, without faults after the test."""
    yield system.simulator
    system.simulator.set_faults()


def recall(
    platform: Platform, seller: Seller, count: int, *, request_id: str = "", **more: Any
) -> RecallStockResponse:
    """Move numbers of point 0 back to the pool."""
    response: RecallStockResponse = platform.stock_admin.RecallStock(
        RecallStockRequest(
            request_id=request_id or new_id("recall"),
            **{"point": seller.point(), "type": "026", "count": count, **more},
        )
    )
    return response


def give_back(
    platform: Platform, seller: Seller, segment_id: int, count: int, **more: Any
) -> ReturnStockResponse:
    """Return the highest numbers of a segment."""
    response: ReturnStockResponse = platform.stock_admin.ReturnStock(
        ReturnStockRequest(
            **{
                "request_id": new_id("return"),
                "parent": seller.name,
                "segment_id": segment_id,
                "count": count,
                **more,
            }
        )
    )
    return response


def levels(platform: Platform, seller: Seller) -> list[tuple[str, int]]:
    """What is left, pool first."""
    found = platform.stock.GetStock(GetStockRequest(parent=seller.name)).levels
    return [(level.point, level.available_count) for level in found]


def test_a_point_gives_its_highest_numbers_back(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)
    issued = platform.issue(ticket(seller))

    [segment] = recall(platform, seller, 4).segments

    assert (segment.point, segment.total_count) == ("", 4)
    assert int(segment.last_number) - int(issued.number) == 9
    assert levels(platform, seller) == [("", 4), (seller.point(), 5)]


def test_a_recall_again_replays_and_a_dry_one_changes_nothing(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)
    dry = recall(platform, seller, 4, validate_only=True, request_id="recall-dry")
    before = levels(platform, seller)
    first = recall(platform, seller, 4, request_id="recall-dry")

    again = recall(platform, seller, 4, request_id="recall-dry")
    with refused("REQUEST_ID_REUSED") as found:
        recall(platform, seller, 5, request_id="recall-dry")

    assert before == [(seller.point(), 10)]
    assert (dry.replayed, first.replayed, again.replayed) == (False, False, True)
    assert again.segments == first.segments
    assert found[0].facts["fields"] == "count"
    assert levels(platform, seller) == [("", 4), (seller.point(), 6)]


def test_what_cannot_be_recalled_is_refused_by_name(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=3)
    stranger = Seller(tax_number=new_tax_number())

    with refused("STOCK_EXHAUSTED", grpc.StatusCode.RESOURCE_EXHAUSTED) as short:
        recall(platform, seller, 4)
    with refused("POINT_NOT_FOUND"):
        recall(platform, seller, 1, point=seller.point(9))
    with refused("TAXPAYER_NOT_FOUND"):
        recall(platform, stranger, 1)
    with refused("INVALID_REQUEST") as count:
        recall(platform, seller, 0)
    with refused("INVALID_REQUEST") as type_:
        recall(platform, seller, 1, type="999")

    assert short[0].facts == {
        "taxpayer": seller.tax_number, "type": "026", "point": "0", "available_count": "3",
    }  # fmt: skip
    assert count[0].violations == {("FIELD_RANGE", "count")}
    assert type_[0].violations == {("FIELD_FORMAT", "type")}


def test_returned_numbers_are_on_the_authoritys_record_and_issued_by_nobody(
    platform: Platform, authority: SimulatorProcess
) -> None:
    seller = platform.new_seller("026", stock=10)
    [segment] = platform.segments(seller)
    dry = give_back(platform, seller, segment.segment_id, 6, validate_only=True)

    answer = give_back(
        platform, seller, segment.segment_id, 6, request_id=f"b-{segment.segment_id}"
    )
    again = give_back(platform, seller, segment.segment_id, 6, request_id=f"b-{segment.segment_id}")

    [on_record] = authority.returns(seller.tax_number)
    assert (on_record.count, on_record.return_serial) == (6, answer.return_serial)
    assert f"{on_record.first:08}" == answer.segment.first_number
    assert dry.segment.returning_count == 6
    assert not dry.return_serial
    assert (answer.segment.returned_count, answer.segment.returning_count) == (6, 0)
    assert (answer.segment.available_count, answer.segment.next_number) == (0, "")
    assert answer.segment.last_number == segment.last_number
    assert again.replayed
    assert again.return_serial == answer.return_serial
    for _ in range(4):
        platform.issue(ticket(seller))
    with refused("STOCK_EXHAUSTED"):
        platform.issue(ticket(seller))
    # They are held no more: as many may be drawn again.
    platform.draw(seller, "026", 6, request_id=new_id())


def test_numbers_the_authority_has_back_already_are_never_issued_again(
    platform: Platform, authority: SimulatorProcess
) -> None:
    seller = platform.new_seller("026", stock=10)
    [segment] = platform.segments(seller)
    with grpc.insecure_channel(authority.target) as channel:  # at the tax office's own counter
        AuthorityServiceStub(channel).ReturnStock(
            authority_service_pb2.ReturnStockRequest(
                request_id=new_id("counter"),
                tax_number=seller.tax_number,
                type="026",
                code=segment.code,
                width=8,
                first=int(segment.last_number),
                count=1,
            )
        )
    request_id = new_id("return")

    for replayed in (False, True):
        answer = give_back(platform, seller, segment.segment_id, 2, request_id=request_id)
        assert (answer.return_serial, answer.replayed) == ("", replayed)
    with refused("REQUEST_ID_REUSED"):
        give_back(platform, seller, segment.segment_id, 3, request_id=request_id)

    assert platform.available(seller) == 8
    assert not any(one.returning_count for one in platform.segments(seller))


def test_what_cannot_be_returned_is_refused_by_name(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)
    [segment] = platform.segments(seller)
    platform.issue(ticket(seller))
    other = platform.new_seller("026")

    with refused("STOCK_EXHAUSTED", grpc.StatusCode.RESOURCE_EXHAUSTED) as short:
        give_back(platform, seller, segment.segment_id, 10)
    with refused("SEGMENT_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as found:
        give_back(platform, seller, 10**9, 1)
    with refused("SEGMENT_NOT_FOUND"):
        give_back(platform, other, segment.segment_id, 1)
    with refused("INVALID_REQUEST") as nothing:
        give_back(platform, seller, 0, 1)

    assert short[0].facts["available_count"] == "9"
    assert found[0].facts == {"segment_id": "1000000000"}
    assert nothing[0].violations == {("FIELD_RANGE", "segment_id")}
    assert platform.available(seller) == 9


def test_a_return_whose_answer_is_lost_goes_on_by_itself(
    platform: Platform, authority: SimulatorProcess
) -> None:
    seller = platform.new_seller("026", stock=10)
    [segment] = platform.segments(seller)
    authority.set_faults(unreachable=True)

    with refused("AUTHORITY_UNAVAILABLE"):
        give_back(platform, seller, segment.segment_id, 6, request_id=f"l-{segment.segment_id}")
    aside = [one for one in platform.segments(seller) if one.returning_count]
    left = platform.available(seller)
    authority.set_faults()

    assert [one.returning_count for one in aside] == [6]
    assert left == 4
    eventually(lambda: bool(authority.returns(seller.tax_number)))
    answer = give_back(
        platform, seller, segment.segment_id, 6, request_id=f"l-{segment.segment_id}"
    )
    assert answer.replayed
    assert answer.segment.returned_count == 6


def test_the_books_balance_over_recalls_and_returns(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10, points=(0, 1))
    recall(platform, seller, 3)
    platform.assign(seller, "026", 2, 1, request_id=new_id())
    [pool] = [one for one in platform.segments(seller) if not one.point]
    give_back(platform, seller, pool.segment_id, 1)

    books = platform.books()

    assert books.findings == []
