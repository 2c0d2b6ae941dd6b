"""Numbers on their way back: set aside before anybody is asked, then gone, or back where they were."""

import pytest

from invoice.errors import (
    HoldingExceeded,
    RequestIdReused,
    SegmentNotFound,
    StockExhausted,
    TaxpayerNotFound,
)
from ledger.port import Ledger
from ledger.records import Binding, ReturnRecord, SegmentRecord
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT
from tests.ledger.conformance.conftest import Books
from tests.ledger.conformance.test_recalling import layout, recall


async def ask(
    ledger: Ledger,
    count: int,
    segment: SegmentRecord | int,
    *,
    request_id: str = "",
    tenant: str = TENANT,
    tax_number: str = TAX_NUMBER,
    dry_run: bool = False,
) -> tuple[ReturnRecord, Binding]:
    """Wish to return the highest numbers of a segment."""
    segment_id = segment if isinstance(segment, int) else segment.segment_id
    bound = building.binding(
        "return", request_id=request_id, tenant=tenant, segment=segment_id, count=count
    )
    record, _ = await ledger.request_return(
        tax_number=tax_number,
        segment_id=segment_id,
        count=count,
        authority_request_id=f"authority-{bound.request_id}",
        binding=bound,
        act=ACT,
        dry_run=dry_run,
    )
    return record, bound


async def the_segment(ledger: Ledger, point: int | None = 0) -> SegmentRecord:
    """The only segment of a point, or of the pool."""
    (segment,) = [part for part in await ledger.segments(TENANT, TAX_NUMBER) if part.point == point]
    return segment


async def test_numbers_that_return_can_be_taken_by_nobody(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    await building.issue(ledger, "r-1")
    segment = await the_segment(ledger)

    record, _ = await ask(ledger, 2, segment)
    await building.issue(ledger, "r-2", "r-3")

    assert record.segment is not None
    aside = record.segment
    assert (aside.point, aside.first, aside.count, aside.returning_count) == (0, 4, 2, 2)
    assert (record.state, record.type, record.count) == ("REQUESTED", building.TYPE, 2)
    result = await building.commit(ledger, (), [building.a_reservation("r-4")])
    assert isinstance(result.reserved[0].error, StockExhausted)
    with pytest.raises(StockExhausted):
        await recall(ledger, 1)
    with pytest.raises(StockExhausted):
        await ask(ledger, 1, aside)
    assert await layout(ledger) == []


async def test_what_lies_in_the_pool_returns_as_well(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 10)

    record, _ = await ask(ledger, 4, await the_segment(ledger, None))

    assert record.segment is not None
    assert (record.segment.point, record.segment.first) == (None, 7)
    with pytest.raises(StockExhausted):
        await building.assign(ledger, 7)
    await building.assign(ledger, 6)


async def test_returned_numbers_are_gone_and_again_is_the_same(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    record, _ = await ask(ledger, 3, await the_segment(ledger))

    returned = await ledger.store_return(TENANT, record.request_id, "RT1", now=NOW)
    again = await ledger.store_return(TENANT, record.request_id, "RT2", now=NOW + 9)

    assert returned == again
    assert returned.segment is not None
    assert (returned.segment.returning_count, returned.segment.returned_count) == (0, 3)
    assert (returned.state, returned.return_serial, returned.answered_at) == (
        "RETURNED",
        "RT1",
        NOW,
    )
    assert await layout(ledger) == [(0, 1, 2)]
    with pytest.raises(LookupError):
        await ledger.refuse_return(TENANT, record.request_id, "too late", now=NOW)
    assert await ledger.open_returns() == []


async def test_refused_numbers_are_available_where_they_were(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    record, _ = await ask(ledger, 3, await the_segment(ledger))

    refused = await ledger.refuse_return(TENANT, record.request_id, "NUMBER_USED", now=NOW)
    again = await ledger.refuse_return(TENANT, record.request_id, "NUMBER_USED", now=NOW + 9)

    assert refused == again
    assert (refused.state, refused.refusal) == ("REFUSED", "NUMBER_USED")
    assert await layout(ledger) == [(0, 1, 2), (0, 3, 3)]
    issued = await building.issue(ledger, *(f"r-{at}" for at in range(5)))
    assert [int(entry.number) for entry in issued] == [1, 2, 3, 4, 5]
    with pytest.raises(LookupError):
        await ledger.store_return(TENANT, record.request_id, "RT1", now=NOW)


async def test_a_refused_return_is_remembered_when_its_numbers_have_moved_on(
    ledger: Ledger,
) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5)
    record, bound = await ask(ledger, 5, await the_segment(ledger, None))
    await ledger.refuse_return(TENANT, record.request_id, "NUMBER_USED", now=NOW)
    await building.assign(ledger, 5)

    again, replayed = await ledger.request_return(
        tax_number=TAX_NUMBER,
        segment_id=1,
        count=5,
        authority_request_id="other",
        binding=bound,
        act=ACT,
    )

    assert replayed
    assert (again.state, again.segment) == ("REFUSED", None)
    assert again.authority_request_id == record.authority_request_id


async def test_a_return_that_was_refused_may_be_wished_again(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    record, _ = await ask(ledger, 3, await the_segment(ledger))
    refused = await ledger.refuse_return(TENANT, record.request_id, "NUMBER_USED", now=NOW)
    assert refused.segment is not None

    second, _ = await ask(ledger, 2, refused.segment)
    await ledger.store_return(TENANT, second.request_id, "RT1", now=NOW)

    assert await layout(ledger) == [(0, 1, 2), (0, 3, 1)]


async def test_a_wish_is_found_again_until_it_is_answered(storage: Books) -> None:
    ledger = await storage.open()
    await building.open_shop(ledger, 5)
    record, _ = await ask(ledger, 3, await the_segment(ledger))

    ledger = await storage.open(worker="worker-2")

    assert await ledger.open_returns() == [record]
    await ledger.store_return(TENANT, record.request_id, "RT1", now=NOW)
    assert await ledger.open_returns() == []


async def test_numbers_count_as_held_until_they_are_returned(ledger: Ledger) -> None:
    taxpayer = building.a_taxpayer(holding_count_max=10)
    await ledger.register(taxpayer, building.binding("register"), ACT)
    await building.draw(ledger, 10)
    record, _ = await ask(ledger, 4, await the_segment(ledger, None))

    with pytest.raises(HoldingExceeded):
        await ledger.request_grant(*building.a_wish(1), ACT)
    await ledger.store_return(TENANT, record.request_id, "RT1", now=NOW)
    await ledger.request_grant(*building.a_wish(4), ACT)
    with pytest.raises(HoldingExceeded) as refused:
        await ledger.request_grant(*building.a_wish(1), ACT)

    assert refused.value.facts["held_count"] == "10"


async def test_returning_needs_a_segment_of_the_taxpayer_with_enough_numbers(
    ledger: Ledger,
) -> None:
    await building.open_shop(ledger, 5)
    await building.open_shop(ledger, 5, tax_number=building.OTHER_TAX_NUMBER, code="031002600111")
    await building.issue(ledger, "r-1")
    segment = await the_segment(ledger)

    with pytest.raises(StockExhausted) as refused:
        await ask(ledger, 5, segment)
    with pytest.raises(SegmentNotFound):
        await ask(ledger, 1, 99)
    with pytest.raises(SegmentNotFound):
        await ask(ledger, 1, segment, tax_number=building.OTHER_TAX_NUMBER)
    with pytest.raises(TaxpayerNotFound):
        await ask(ledger, 1, segment, tenant="another")

    assert refused.value.facts["available_count"] == "4"
    assert await layout(ledger) == [(0, 2, 4)]


async def test_a_return_again_is_the_same_and_another_one_is_refused(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    segment = await the_segment(ledger)
    first, _ = await ask(ledger, 2, segment, request_id="t-1")

    again, _ = await ask(ledger, 2, segment, request_id="t-1")
    with pytest.raises(RequestIdReused):
        await ask(ledger, 3, segment, request_id="t-1")

    assert again == first
    assert await layout(ledger) == [(0, 1, 3)]


async def test_a_dry_return_changes_nothing(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    before = await ledger.segments(TENANT, TAX_NUMBER)

    record, _ = await ask(ledger, 2, before[0], request_id="t-1", dry_run=True)

    assert record.segment is not None
    assert (record.segment.first, record.segment.returning_count) == (4, 2)
    assert await ledger.segments(TENANT, TAX_NUMBER) == before
    assert await ledger.open_returns() == []
    assert await ledger.find_binding(TENANT, "t-1") is None


async def test_open_returns_are_told_page_by_page(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    segment = await the_segment(ledger)
    first, second, third = [
        (await ask(ledger, 1, segment, request_id=f"t-{at}"))[0] for at in range(3)
    ]

    page = await ledger.open_returns(count_max=2)
    await ledger.store_return(TENANT, "t-1", "serial", now=NOW)
    behind = await ledger.open_returns(after=(TENANT, "t-1"), count_max=2)

    assert [one.request_id for one in page] == [first.request_id, second.request_id]
    assert behind == [third]  # though the one it is asked behind is open no more
    assert await ledger.open_returns(after=(TENANT, "t-2")) == []
