"""Ranges are cut one after the other: they never overlap, and codes look real."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authority.simulator.allocation import (
    Layout,
    Range,
    Series,
    SeriesExhausted,
    allocate,
    layout,
    running_part,
)
from authority.simulator.departments import DONATION, VAT_TYPES

types = st.sampled_from(sorted(VAT_TYPES | {DONATION}))
regions = st.sampled_from(["1100", "3101", "5301"])
years = st.sampled_from([2025, 2026])
# Large counts, so that batches run out within a few grants.
counts = st.one_of(st.integers(1, 5000), st.integers(10_000_000, 99_999_999))


@given(grants=st.lists(st.tuples(types, regions, years, counts), max_size=40))
def test_no_two_grants_share_a_number(grants: list[tuple[str, str, int, int]]) -> None:
    series: dict[str, Series] = {}
    cut: list[Range] = []
    for type_, region, year, count in grants:
        form = layout(type_, region=region, year=year)
        try:
            range_, left = allocate(form, series.get(form.stem, Series()), count)
        except SeriesExhausted:
            continue
        series[form.stem] = left
        cut.append(range_)

    spans = sorted((each.code, each.prefix, each.first, each.first + each.count) for each in cut)
    for (code, prefix, _, end), (next_code, next_prefix, first, _) in pairwise(spans):
        assert (code, prefix) != (next_code, next_prefix) or end <= first


@given(type_=types, region=regions, year=years, counts_=st.lists(counts, min_size=1, max_size=30))
def test_ranges_are_consecutive_within_a_code_and_every_number_has_its_width(
    type_: str, region: str, year: int, counts_: list[int]
) -> None:
    form, series, last = layout(type_, region=region, year=year), Series(), None
    for count in counts_:
        try:
            cut, series = allocate(form, series, count)
        except SeriesExhausted:
            break
        assert cut.count == count
        assert len(f"{cut.first + count - 1}") <= cut.width - len(cut.prefix)
        expected = last.first + last.count if last and last.code == cut.code else 1
        assert cut.first == expected
        last = cut


@pytest.mark.parametrize(
    ("type_", "code"),
    [
        ("026", "031012600111"),
        ("028", "031012600113"),
        ("007", "031012600104"),
        ("025", "031012600106"),
        ("004", "3101261130"),
        ("081", ""),
        ("082", ""),
        ("D01", "31060126"),
    ],
)
def test_codes_have_region_year_batch_and_kind_in_their_places(type_: str, code: str) -> None:
    cut, _ = allocate(layout(type_, region="3101", year=2026), Series(), 1)

    assert cut.code == code
    assert cut.prefix == ("26311" if not code else "")


def test_a_batch_that_cannot_hold_the_range_is_left_for_the_next() -> None:
    form = layout("026", region="3101", year=2026)

    last, series = allocate(form, Series(next=99_999_990), 10)
    following, series = allocate(form, series, 1)

    assert (last.code, last.first, last.count) == ("031012600111", 99_999_990, 10)
    assert (following.code, following.first) == ("031012600211", 1)
    assert series == Series(batch=2, next=2)


@pytest.mark.parametrize(("type_", "batch"), [("026", 999), ("004", 9), ("081", 1), ("D01", 1)])
def test_the_last_number_of_the_last_batch_ends_the_series(type_: str, batch: int) -> None:
    form = layout(type_, region="3101", year=2026)
    end = form.running_end

    cut, series = allocate(form, Series(batch=batch, next=end - 1), 1)

    assert cut.first == end - 1
    with pytest.raises(SeriesExhausted):
        allocate(form, series, 1)


def test_a_range_no_batch_can_hold_is_refused() -> None:
    form = layout("026", region="3101", year=2026)

    with pytest.raises(SeriesExhausted):
        allocate(form, Series(), form.running_end)


@pytest.mark.parametrize(
    ("number", "prefix", "width", "running"),
    [
        ("00000012", "", 8, 12),
        ("26311000000000000012", "26311", 20, 12),
        ("0000012", "", 8, None),
        ("27311000000000000012", "26311", 20, None),
        ("0000001x", "", 8, None),
        ("0000001１", "", 8, None),
    ],
)
def test_the_running_part_is_read_off_a_number(
    number: str, prefix: str, width: int, running: int | None
) -> None:
    assert running_part(number, prefix=prefix, width=width) == running


def test_both_digital_types_share_one_series() -> None:
    one: Layout = layout("081", region="3101", year=2026)

    assert one.stem == layout("082", region="3199", year=2026).stem
