"""A point gives its highest numbers back, and the pool is in its old order again."""

from dataclasses import replace

import pytest

from invoice.errors import PointNotFound, RequestIdReused, StockExhausted, TaxpayerNotFound
from ledger.port import Ledger
from ledger.records import Binding, SegmentRecord
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT, TYPE

Layout = list[tuple[int | None, int, int]]


async def recall(
    ledger: Ledger,
    count: int,
    point: int = 0,
    *,
    binding: Binding | None = None,
    dry_run: bool = False,
    tenant: str = TENANT,
) -> tuple[list[SegmentRecord], bool]:
    """Move numbers from a point back to the pool."""
    return await ledger.recall(
        tax_number=TAX_NUMBER,
        point=point,
        type=TYPE,
        count=count,
        binding=binding or building.binding("recall", tenant=tenant, point=point, count=count),
        act=ACT,
        dry_run=dry_run,
    )


async def layout(ledger: Ledger) -> Layout:
    """Where what is available lies: (point, from, count), in the order of numbers."""
    segments = await ledger.segments(TENANT, TAX_NUMBER)
    places = [(part.point, part.next, part.available_count) for part in segments]
    return sorted((place for place in places if place[2]), key=lambda place: place[1])


async def test_the_highest_numbers_of_the_newest_segment_go_first(ledger: Ledger) -> None:
    await building.open_shop(ledger, 10, first=1)
    await building.draw(ledger, 5, 101)
    await building.assign(ledger, 5)
    await building.issue(ledger, "r-1", "r-2")

    made, replayed = await recall(ledger, 7)

    assert not replayed
    assert [(part.point, part.first, part.count) for part in made] == [(None, 101, 5), (None, 9, 2)]
    assert await layout(ledger) == [(0, 3, 6), (None, 9, 2), (None, 101, 5)]


async def test_what_was_recalled_is_assigned_again_by_the_age_of_its_grant(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 6, 500)
    await building.draw(ledger, 6, 100)
    await building.assign(ledger, 12)
    await recall(ledger, 9)

    made = await building.assign(ledger, 5, point=1)

    assert [(part.first, part.count) for part in made] == [(503, 3), (100, 2)]


async def test_a_part_used_segment_is_split_and_goes_on(ledger: Ledger) -> None:
    await building.open_shop(ledger, 10)
    await building.issue(ledger, "r-1", "r-2", "r-3")

    await recall(ledger, 7)
    with pytest.raises(StockExhausted):
        await recall(ledger, 1)
    await building.assign(ledger, 4)
    issued = await building.issue(ledger, "r-4")

    assert issued[0].number == "00000004"
    assert await layout(ledger) == [(0, 5, 3), (None, 8, 3)]


async def test_recalling_more_than_the_point_has_moves_nothing(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    await building.draw(ledger, 5, 101)
    await building.issue(ledger, "r-1")

    with pytest.raises(StockExhausted) as refused:
        await recall(ledger, 5)

    assert refused.value.facts == {
        "taxpayer": TAX_NUMBER, "type": TYPE, "point": "0", "available_count": "4",
    }  # fmt: skip
    assert await layout(ledger) == [(0, 2, 4), (None, 101, 5)]


async def test_recalling_needs_a_taxpayer_and_a_point(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)

    with pytest.raises(PointNotFound):
        await recall(ledger, 1, point=9)
    with pytest.raises(TaxpayerNotFound):
        await recall(ledger, 1, tenant="another")
    with pytest.raises(StockExhausted):
        await recall(ledger, 1, point=1)


async def test_a_recall_replayed_answers_the_segments_as_they_stood(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    bound = building.binding("recall", request_id="b-1", count=3)
    first = await recall(ledger, 3, binding=bound)
    await building.assign(ledger, 3, point=1)

    again = await recall(ledger, 3, binding=bound)

    assert again == (first[0], True)
    assert await layout(ledger) == [(0, 1, 2), (1, 3, 3)]
    with pytest.raises(RequestIdReused):
        await recall(ledger, 2, binding=building.binding("recall", request_id="b-1", count=2))


async def test_an_assignment_replayed_after_a_recall_answers_what_it_did(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.draw(ledger, 5)
    bound = building.binding("assign", request_id="a-1", count=5)
    arguments = {"tax_number": TAX_NUMBER, "point": 0, "type": TYPE, "count": 5}
    made, _ = await ledger.assign(**arguments, binding=bound, act=ACT)  # type: ignore[arg-type]
    await recall(ledger, 5)

    again = await ledger.assign(**arguments, binding=bound, act=ACT)  # type: ignore[arg-type]

    assert again == (made, True)
    assert await layout(ledger) == [(None, 1, 5)]


async def test_a_dry_recall_changes_nothing(ledger: Ledger) -> None:
    await building.open_shop(ledger, 5)
    before = await ledger.segments(TENANT, TAX_NUMBER)
    bound = building.binding("recall", request_id="b-1")

    made, _ = await recall(ledger, 2, binding=bound, dry_run=True)

    assert [(part.point, part.first, part.count) for part in made] == [(None, 4, 2)]
    assert await ledger.segments(TENANT, TAX_NUMBER) == before
    assert await ledger.find_binding(TENANT, "b-1") is None


async def test_the_issue_deadline_of_a_grant_goes_with_its_numbers(ledger: Ledger) -> None:
    await building.register(ledger)
    for first, deadline in ((1, "2027-12-31"), (101, ""), (201, "2027-06-30")):
        wish, bound = building.a_wish(5)
        await ledger.request_grant(wish, bound, ACT)
        granted = building.granted(wish, first)
        await ledger.store_grant(replace(granted, issue_deadline=deadline))
        confirmed = await ledger.confirm_grant(TENANT, wish.request_id, NOW)
        assert confirmed.issue_deadline == deadline
    await building.assign(ledger, 7)
    await recall(ledger, 3)

    segments = {part.next: part for part in await ledger.segments(TENANT, TAX_NUMBER)}
    levels = await ledger.stock(TENANT, TAX_NUMBER)

    assert segments[1].issue_deadline == segments[5].issue_deadline == "2027-12-31"
    assert [(level.point, level.issue_deadline) for level in levels] == [
        (None, "2027-06-30"), (0, "2027-12-31"),
    ]  # fmt: skip
