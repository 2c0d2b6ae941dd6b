"""Every number of a grant is somewhere, and nowhere twice (I2)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock.assignment import split
from stock.custody import custody, uncovered
from stock.segment import Segment, take

PART = Segment(segment_id=1, code="011002600111", prefix="", width=8, first=100, count=50, next=100)


@given(
    taken=st.integers(0, 30), returning=st.integers(0, 10), returned=st.integers(0, 10),
    cut=st.integers(1, 49),
)  # fmt: skip
def test_the_sum_holds_whatever_moved(taken: int, returning: int, returned: int, cut: int) -> None:
    halves = split(PART, cut)
    assert halves.rest is not None
    used = take(halves.moved, min(taken, cut)).segment
    rest_count = halves.rest.count
    rest = replace(
        halves.rest,
        returning_count=min(returning, rest_count),
        returned_count=min(returned, rest_count - min(returning, rest_count)),
    )

    sums = custody(50, (used, rest), issued=used.taken_count, reserved=0, blank_voided=0)

    assert sums.difference == 0
    assert custody(50, (used,), issued=used.taken_count, reserved=0, blank_voided=0).difference == (
        rest_count
    )


@pytest.mark.parametrize(("kept", "difference"), [(9, 1), (10, 0), (11, -1)])
def test_a_missing_number_and_a_doubled_one_show(kept: int, difference: int) -> None:
    used = take(PART, 10).segment

    sums = custody(50, [used], issued=kept - 3, reserved=2, blank_voided=1)

    assert sums.difference == difference


def test_parts_must_lie_end_to_end() -> None:
    halves = split(PART, 20)
    assert halves.rest is not None

    assert uncovered(100, 50, [halves.rest, halves.moved]) is None
    assert uncovered(100, 50, [halves.rest]) == (100, 120)
    assert uncovered(100, 50, [halves.moved]) == (120, 150)
    assert uncovered(100, 50, [halves.moved, halves.moved]) == (120, 100)
    assert uncovered(100, 51, [PART]) == (150, 151)
