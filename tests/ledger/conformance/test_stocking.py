"""Stock comes in two phases, within the maximum holding, and leaves the pool from its low end."""

from dataclasses import replace

import pytest

from invoice.errors import (
    HoldingExceeded,
    InvalidRequest,
    PointNotFound,
    RequestIdReused,
    StockExhausted,
    TaxpayerNotFound,
)
from ledger.errors import GrantOverlaps
from ledger.port import Ledger
from ledger.records import StockLevelRecord
from tests.ledger import building
from tests.ledger.building import ACT, CODE, NOW, TAX_NUMBER, TENANT, TYPE, a_wish, granted


async def test_a_wish_is_found_again_until_it_is_confirmed(ledger: Ledger) -> None:
    await building.register(ledger)
    wish, bound = a_wish(10)

    requested, _ = await ledger.request_grant(wish, bound, ACT)
    assert await ledger.open_grants() == [requested]
    stored = await ledger.store_grant(granted(wish, 1))
    assert await ledger.open_grants() == [stored]
    confirmed = await ledger.confirm_grant(TENANT, wish.request_id, NOW)
    assert await ledger.open_grants() == []

    assert [requested.state, stored.state, confirmed.state] == [
        "REQUESTED", "GRANTED", "CONFIRMED",
    ]  # fmt: skip
    assert requested.authority_request_id == confirmed.authority_request_id


async def test_each_phase_again_is_the_same(ledger: Ledger) -> None:
    await building.register(ledger)
    wish, bound = a_wish(10)
    await ledger.request_grant(wish, bound, ACT)
    stored = await ledger.store_grant(granted(wish, 1))

    assert await ledger.store_grant(granted(wish, 1)) == stored
    confirmed = await ledger.confirm_grant(TENANT, wish.request_id, NOW)
    assert await ledger.confirm_grant(TENANT, wish.request_id, NOW + 9) == confirmed
    assert await ledger.store_grant(granted(wish, 1)) == confirmed
    assert await ledger.request_grant(wish, bound, ACT) == (confirmed, True)

    (segment,) = await ledger.segments(TENANT, TAX_NUMBER)
    assert (segment.point, segment.first, segment.count, segment.next) == (None, 1, 10, 1)


async def test_numbers_lie_in_the_pool_only_when_confirmed(ledger: Ledger) -> None:
    await building.register(ledger)
    wish, bound = a_wish(10)
    await ledger.request_grant(wish, bound, ACT)
    await ledger.store_grant(granted(wish, 1))

    assert await ledger.stock(TENANT, TAX_NUMBER) == []
    with pytest.raises(StockExhausted):
        await building.assign(ledger, 1)


async def test_the_same_wish_with_another_count_is_refused(ledger: Ledger) -> None:
    await building.register(ledger)
    await ledger.request_grant(*a_wish(10, request_id="w-1"), ACT)

    with pytest.raises(RequestIdReused) as refused:
        await ledger.request_grant(*a_wish(11, request_id="w-1"), ACT)

    assert refused.value.facts["fields"] == "count"


@pytest.mark.parametrize(
    ("first", "code", "overlaps"),
    [
        (91, CODE, True),
        (109, CODE, True),
        (100, CODE, True),
        (90, CODE, False),
        (110, CODE, False),
        (100, "031002600111", False),
    ],
)
async def test_grants_that_overlap_are_refused(
    ledger: Ledger, first: int, code: str, *, overlaps: bool
) -> None:
    await building.register(ledger)
    await building.register(ledger, building.OTHER_TAX_NUMBER)
    await building.draw(ledger, 10, 100)
    wish, bound = a_wish(10, tax_number=building.OTHER_TAX_NUMBER)
    await ledger.request_grant(wish, bound, ACT)

    try:
        await ledger.store_grant(granted(wish, first, code=code))
    except GrantOverlaps:
        assert overlaps
        await ledger.refuse_grant(TENANT, wish.request_id, "overlaps")
    else:
        assert not overlaps


async def test_a_range_inside_another_grant_overlaps(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 100, 100)
    wish, bound = a_wish(1)
    await ledger.request_grant(wish, bound, ACT)

    with pytest.raises(GrantOverlaps):
        await ledger.store_grant(granted(wish, 150))


async def test_an_authority_that_changes_its_mind_is_not_believed(ledger: Ledger) -> None:
    await building.register(ledger)
    wish, bound = a_wish(10)
    await ledger.request_grant(wish, bound, ACT)
    await ledger.store_grant(granted(wish, 1))

    with pytest.raises(GrantOverlaps):
        await ledger.store_grant(granted(wish, 500))


async def test_numbers_that_do_not_fit_their_width_are_refused(ledger: Ledger) -> None:
    await building.register(ledger)
    wish, bound = a_wish(10)
    await ledger.request_grant(wish, bound, ACT)

    with pytest.raises(GrantOverlaps):
        await ledger.store_grant(granted(wish, 99_999_995))


async def test_a_refused_wish_is_over(ledger: Ledger) -> None:
    await building.register(ledger)
    wish, bound = a_wish(10)
    await ledger.request_grant(wish, bound, ACT)

    refused = await ledger.refuse_grant(TENANT, wish.request_id, "no stock")

    assert (refused.state, refused.refusal) == ("REFUSED", "no stock")
    assert await ledger.refuse_grant(TENANT, wish.request_id, "no stock") == refused
    assert await ledger.open_grants() == []


async def test_a_grant_that_cannot_be_confirmed_is_over_and_its_numbers_are_free(
    ledger: Ledger,
) -> None:
    await ledger.register(
        building.a_taxpayer(holding_count_max=10), building.binding("register"), ACT
    )
    wish, bound = a_wish(10)
    await ledger.request_grant(wish, bound, ACT)
    await ledger.store_grant(granted(wish, 1))

    refused = await ledger.refuse_grant(TENANT, wish.request_id, "GRANT_UNKNOWN")
    drawn = await building.draw(ledger, 10, 1)

    assert (refused.state, refused.refusal) == ("REFUSED", "GRANT_UNKNOWN")
    assert (drawn.state, drawn.first) == ("CONFIRMED", 1)
    assert await ledger.open_grants() == []
    with pytest.raises(LookupError):
        await ledger.refuse_grant(TENANT, drawn.request_id, "too late")


async def test_available_and_wished_numbers_count_as_held(ledger: Ledger) -> None:
    record = building.a_taxpayer(holding_count_max=10)
    await ledger.register(record, building.binding("register"), ACT)
    await building.draw(ledger, 4)
    await building.assign(ledger, 2)
    await ledger.request_grant(*a_wish(5, request_id="open"), ACT)

    with pytest.raises(HoldingExceeded) as refused:
        await ledger.request_grant(*a_wish(2), ACT)
    await building.issue(ledger, "r-1")
    await ledger.request_grant(*a_wish(2), ACT)

    assert refused.value.facts["held_count"] == "9"
    with pytest.raises(HoldingExceeded):
        await ledger.request_grant(*a_wish(1), ACT)
    await ledger.refuse_grant(TENANT, "open", "no stock")
    await ledger.request_grant(*a_wish(5), ACT)


async def test_a_wish_needs_a_taxpayer_and_a_granted_type(ledger: Ledger) -> None:
    await building.register(ledger)

    with pytest.raises(TaxpayerNotFound):
        await ledger.request_grant(*a_wish(1, tenant="another"), ACT)
    with pytest.raises(InvalidRequest):
        await ledger.request_grant(*a_wish(1, type="004"), ACT)


async def test_the_lowest_numbers_of_the_oldest_grant_go_first(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5, 500)
    await building.draw(ledger, 5, 100)

    first = await building.assign(ledger, 3, point=0)
    second = await building.assign(ledger, 4, point=1)

    assert [(part.point, part.first, part.count) for part in first] == [(0, 500, 3)]
    assert [(part.point, part.first, part.count) for part in second] == [
        (1, 503, 2), (1, 100, 2),
    ]  # fmt: skip
    pool = [part for part in await ledger.segments(TENANT, TAX_NUMBER) if part.point is None]
    assert [(part.first, part.count) for part in pool] == [(102, 3)]


async def test_assigning_more_than_the_pool_has_moves_nothing(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5)

    with pytest.raises(StockExhausted):
        await building.assign(ledger, 6)

    (pool,) = await ledger.segments(TENANT, TAX_NUMBER)
    assert (pool.point, pool.count) == (None, 5)


async def test_assigning_needs_a_taxpayer_and_a_point(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5)

    with pytest.raises(PointNotFound):
        await building.assign(ledger, 1, point=9)
    with pytest.raises(TaxpayerNotFound):
        await building.assign(ledger, 1, tenant="another")


async def test_an_assignment_replayed_answers_the_segments_as_they_stood(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5)
    bound = building.binding("assign", request_id="a-1", count=2)
    made, replayed = await ledger.assign(
        tax_number=TAX_NUMBER, point=0, type=TYPE, count=2, binding=bound, act=ACT
    )
    await building.issue(ledger, "r-1")

    again = await ledger.assign(
        tax_number=TAX_NUMBER, point=0, type=TYPE, count=2, binding=bound, act=ACT
    )

    assert not replayed
    assert again == (made, True)
    assert len(await ledger.segments(TENANT, TAX_NUMBER)) == 2


async def test_an_id_bound_to_a_draw_assigns_nothing(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5)
    await ledger.request_grant(*a_wish(1, request_id="w-1"), ACT)

    with pytest.raises(RequestIdReused) as refused:
        await ledger.assign(
            tax_number=TAX_NUMBER,
            point=0,
            type=TYPE,
            count=1,
            binding=building.binding("assign", request_id="w-1"),
            act=ACT,
        )

    assert refused.value.facts["fields"] == "action"


async def test_dry_runs_of_stock_change_nothing(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5)
    before = await ledger.segments(TENANT, TAX_NUMBER)
    wish, bound = a_wish(3, request_id="w-1")

    requested, _ = await ledger.request_grant(wish, bound, ACT, dry_run=True)
    made, _ = await ledger.assign(
        tax_number=TAX_NUMBER,
        point=0,
        type=TYPE,
        count=2,
        binding=building.binding("assign", request_id="a-1"),
        act=ACT,
        dry_run=True,
    )

    assert requested == wish
    assert [(part.point, part.first, part.count) for part in made] == [(0, 1, 2)]
    assert await ledger.segments(TENANT, TAX_NUMBER) == before
    assert await ledger.open_grants() == []
    assert await ledger.find_binding(TENANT, "w-1") is None
    assert await ledger.find_binding(TENANT, "a-1") is None


async def test_levels_name_what_is_left_and_what_comes_next(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 10)
    await building.assign(ledger, 3, point=0)
    await building.assign(ledger, 3, point=1)
    await building.issue(ledger, "r-1", "r-2", "r-3")

    levels = await ledger.stock(TENANT, TAX_NUMBER)

    assert levels == [
        StockLevelRecord(
            point=None, type=TYPE, available_count=4, next_code=CODE, next_number="00000007"
        ),
        StockLevelRecord(point=0, type=TYPE, available_count=0),
        StockLevelRecord(
            point=1, type=TYPE, available_count=3, next_code=CODE, next_number="00000004"
        ),
    ]
    assert await ledger.stock(TENANT, TAX_NUMBER, point=1) == levels[2:]
    assert await ledger.stock(TENANT, TAX_NUMBER, type="028") == []
    assert await ledger.stock("another", TAX_NUMBER) == []


async def test_segments_are_listed_in_pages_to_their_own_tenant(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 10)
    for _ in range(4):
        await building.assign(ledger, 2)

    everything = await ledger.segments(TENANT, TAX_NUMBER)
    page = await ledger.segments(TENANT, TAX_NUMBER, after=everything[1].segment_id, count_max=2)

    assert page == everything[2:4]
    assert await ledger.segments("another", TAX_NUMBER) == []
    ids = [part.segment_id for part in everything]
    assert ids == sorted(set(ids))
    assert replace(everything[0], next=1).grant_id.startswith("grant-draw")


async def test_open_grants_are_told_page_by_page(ledger: Ledger) -> None:
    await building.register(ledger)
    for at in range(3):
        await ledger.request_grant(*a_wish(1, request_id=f"t-{at}"), ACT)

    page = await ledger.open_grants(count_max=2)
    await ledger.refuse_grant(TENANT, "t-1", "NO_STOCK")
    behind = await ledger.open_grants(after=(TENANT, "t-1"), count_max=2)

    assert [one.request_id for one in page] == ["t-0", "t-1"]
    assert [one.request_id for one in behind] == ["t-2"]
    assert await ledger.open_grants(after=(TENANT, "t-2")) == []
