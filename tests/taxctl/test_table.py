"""A table fits the terminal it is for: folded, thinned out, or a block for each row; never cut."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from taxctl.table import FOLD, Column, render

COLUMNS = (
    Column("file", fold=FOLD),
    Column("request id", rank=1),
    Column("type", rank=2),
    Column("invoice"),
    Column("why not"),
)
ROW = ["samples/fpkj/ok-railway-ticket-0.xml", "R" * 20, "026", "011002600111-00000001", ""]


def shown(columns: tuple[Column, ...], rows: list[list[str]], width: int) -> list[str]:
    written = io.StringIO()
    console = Console(file=written, width=width, markup=False, color_system=None)
    console.print(render(columns, rows, width).shape)
    return written.getvalue().splitlines()


def test_a_column_that_is_empty_everywhere_is_left_out() -> None:
    assert "why not" not in shown(COLUMNS, [ROW], 200)[0]


def test_the_least_important_columns_go_first() -> None:
    headers = [shown(COLUMNS, [ROW], width)[0].split("  ") for width in (90, 72, 50)]

    assert ["type" in " ".join(header) for header in headers] == [True, False, False]
    assert ["request id" in " ".join(header) for header in headers] == [True, True, False]


def test_what_has_no_room_side_by_side_stands_below_each_other_with_nothing_left_out() -> None:
    lines = shown(COLUMNS, [ROW, ROW], 34)

    assert sum(line.startswith("invoice") for line in lines) == 2
    assert sum(line.startswith("type") for line in lines) == 2
    assert "".join("".join(lines).split()).count("ok-railway-ticket-0.xml") == 2


@pytest.mark.parametrize("width", [40, 80, 200])
@given(cells=st.lists(st.text("ab 示", max_size=60), min_size=5, max_size=5))
def test_no_line_is_wider_than_the_terminal(width: int, cells: list[str]) -> None:
    for line in shown(COLUMNS, [cells], width):
        assert Console().render_str(line).cell_len <= width


@given(text=st.text("abc示", min_size=1, max_size=300))
def test_a_folded_text_is_there_to_its_last_character(text: str) -> None:
    lines = shown((Column("file", fold=FOLD), Column("invoice")), [[text, "1"]], 40)

    assert "".join("".join(lines[1:]).replace("1", "").split()) == text
