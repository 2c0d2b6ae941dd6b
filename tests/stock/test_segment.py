"""A number leaves its segment once and in order, whatever its width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.errors import StockExhausted
from stock.segment import Segment, numbers, take, take_across

SHAPES = [("", 8), ("", 10), ("26531", 20)]
shapes = st.sampled_from(SHAPES)


def _segment(shape: tuple[str, int], first: int, count: int, returning: int = 0) -> Segment:
    prefix, width = shape
    return Segment(
        segment_id=1,
        code="",
        prefix=prefix,
        width=width,
        first=first,
        count=count,
        next=first,
        returning_count=returning,
    )


@given(
    shape=shapes,
    first=st.integers(0, 10**7),
    count=st.integers(1, 300),
    draws=st.lists(st.integers(0, 50), max_size=30),
)
def test_every_number_leaves_once_and_in_order(
    shape: tuple[str, int], first: int, count: int, draws: list[int]
) -> None:
    segment = _segment(shape, first, count)

    written: list[str] = []
    for draw in draws:
        if draw <= segment.available_count:
            taken = take(segment, draw)
            written += taken.numbers
            segment = taken.segment

    assert [int(number[len(shape[0]) :]) for number in written] == list(
        range(first, first + len(written))
    )
    assert {len(number) for number in written} <= {shape[1]}
    assert segment.taken_count == len(written)
    assert segment.available_count == count - len(written)


@given(counts=st.lists(st.integers(0, 20), max_size=8), wanted=st.integers(0, 100), shape=shapes)
def test_segments_are_used_up_one_after_another(
    counts: list[int], wanted: int, shape: tuple[str, int]
) -> None:
    segments = [_segment(shape, 1_000 * at, count) for at, count in enumerate(counts)]

    taken = take_across(segments, wanted)

    expected = [number for part in segments for number in numbers(part, part.first, part.count)]
    assert [number for part in taken for number in part.numbers] == expected[:wanted]
    assert all(part.segment.available_count == 0 for part in taken[:-1])


def test_the_largest_number_of_each_width_can_be_written() -> None:
    assert numbers(_segment(("", 8), 0, 1), 99_999_998, 2) == ("99999998", "99999999")
    digital = numbers(_segment(("26531", 20), 0, 1), 10**15 - 1, 1)
    assert digital == ("26531999999999999999",)


@pytest.mark.parametrize(("prefix", "width"), SHAPES)
def test_a_number_that_does_not_fit_its_width_is_refused(prefix: str, width: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        numbers(_segment((prefix, width), 0, 1), 10 ** (width - len(prefix)), 1)


@pytest.mark.parametrize("count", [-1, 6])
def test_more_than_is_left_cannot_be_taken(count: int) -> None:
    with pytest.raises(StockExhausted):
        take(_segment(("", 8), 1, 5), count)


def test_what_is_being_returned_cannot_be_taken() -> None:
    segment = _segment(("", 8), 1, 5, returning=2)

    assert take(segment, 3).numbers == ("00000001", "00000002", "00000003")
    with pytest.raises(StockExhausted):
        take(segment, 4)
