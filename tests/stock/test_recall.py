"""A point gives back its highest numbers, and what it gives and keeps is what it had."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.errors import StockExhausted
from stock.recall import cut_tail, recall
from stock.segment import Segment


def _segment(segment_id: int, first: int, count: int, taken: int = 0) -> Segment:
    return Segment(
        segment_id=segment_id,
        code="",
        prefix="26531",
        width=20,
        first=first,
        count=count,
        next=first + taken,
    )


def _available(segment: Segment) -> list[int]:
    return list(range(segment.next, segment.next + segment.available_count))


@given(
    shapes=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 29)), max_size=6),
    wanted=st.integers(1, 200),
)
def test_the_highest_numbers_of_the_first_segments_move_and_the_rest_stays(
    shapes: list[tuple[int, int]], wanted: int
) -> None:
    segments = [
        _segment(at, 1_000 * at, count, min(taken, count - 1))
        for at, (count, taken) in enumerate(shapes)
    ]
    descending = [running for part in segments for running in reversed(_available(part))]

    if wanted > len(descending):
        with pytest.raises(StockExhausted):
            recall(segments, wanted)
        return
    cuts = recall(segments, wanted)

    moved = [running for cut in cuts for running in reversed(_available(cut.moved))]
    assert moved == descending[:wanted]
    assert all(cut.moved.next == cut.moved.first for cut in cuts)
    rests = {cut.moved.segment_id: cut.rest for cut in cuts}
    left = [rest for part in segments if (rest := rests.get(part.segment_id, part))]
    kept = [running for part in left for running in reversed(_available(part))]
    assert kept == descending[wanted:]
    taken_before = sum(part.taken_count for part in segments)
    assert sum(part.taken_count for part in left) == taken_before
    assert sum(part.count for part in left) + wanted == sum(part.count for part in segments)


def test_a_segment_that_goes_whole_leaves_nothing() -> None:
    cut = cut_tail(_segment(1, 7, 3), 3)

    assert cut.rest is None
    assert _available(cut.moved) == [7, 8, 9]


def test_a_part_used_segment_keeps_what_was_taken() -> None:
    cut = cut_tail(_segment(1, 7, 3, taken=1), 2)

    assert cut.rest is not None
    assert (cut.rest.count, cut.rest.taken_count, cut.rest.available_count) == (1, 1, 0)


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_is_cut_than_is_available(count: int) -> None:
    with pytest.raises(ValueError, match="cannot cut"):
        cut_tail(_segment(1, 7, 3, taken=1), count)


@pytest.mark.parametrize("change", [{"returning_count": 1}, {"returned_count": 1}])
def test_a_segment_that_is_being_returned_is_not_cut(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="being returned"):
        cut_tail(replace(_segment(1, 7, 3), **change), 1)
