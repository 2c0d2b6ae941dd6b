"""The pool gives its lowest numbers, and what it gives and keeps is what it had."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.errors import StockExhausted
from stock.assignment import assign, split
from stock.segment import Segment


def _part(segment_id: int, first: int, count: int) -> Segment:
    return Segment(
        segment_id=segment_id,
        code="",
        prefix="26531",
        width=20,
        first=first,
        count=count,
        next=first,
    )


def _running(part: Segment) -> list[int]:
    return list(range(part.first, part.first + part.count))


@given(counts=st.lists(st.integers(1, 30), max_size=6), wanted=st.integers(1, 200))
def test_the_lowest_numbers_move_and_the_rest_stays(counts: list[int], wanted: int) -> None:
    pool = [_part(at, 1_000 * at, count) for at, count in enumerate(counts)]
    everything = [running for part in pool for running in _running(part)]

    if wanted > len(everything):
        with pytest.raises(StockExhausted):
            assign(pool, wanted)
        return
    cuts = assign(pool, wanted)

    moved = [running for cut in cuts for running in _running(cut.moved)]
    assert moved == everything[:wanted]
    rests = {cut.moved.segment_id: cut.rest for cut in cuts}
    left = [rests.get(part.segment_id, part) for part in pool]
    assert [running for part in left if part for running in _running(part)] == everything[wanted:]


def test_a_part_that_goes_whole_leaves_nothing() -> None:
    cut = split(_part(1, 7, 3), 3)

    assert cut.rest is None
    assert _running(cut.moved) == [7, 8, 9]


@pytest.mark.parametrize("count", [0, 4])
def test_a_part_is_not_cut_outside_itself(count: int) -> None:
    with pytest.raises(ValueError, match="cannot cut"):
        split(_part(1, 7, 3), count)


@pytest.mark.parametrize("change", [{"next": 8}, {"returning_count": 1}, {"returned_count": 1}])
def test_a_part_in_use_is_not_cut(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="in use"):
        split(replace(_part(1, 7, 3), **change), 1)
