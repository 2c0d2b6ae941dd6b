"""Tables that stay readable on a narrow terminal.

A column that is empty in every row is left out. Where the rest is too wide, long texts are folded
first, then the columns that may be missed go, and at last each row becomes a block of its own.
Nothing is cut: what is left out is in ``--json``, and on a wider terminal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_GAP: Final = 2
# Folded any narrower, a text is a tower of syllables.
FOLD: Final = 24

Row = Sequence[str]


class Laid(NamedTuple):
    """A layout, and the titles of the columns for which it had no room."""

    shape: RenderableType
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A table column.

    ``right``: numbers. ``fold``: a long text that may take several lines, of at least so many
    columns; 0 keeps it on one. ``rank``: may be left out where room is short, the highest first; 0
    never is. ``width``: at least so wide, so that the pages of one table stand under each other.
    """

    title: str
    right: bool = field(default=False, kw_only=True)
    fold: int = field(default=0, kw_only=True)
    rank: int = field(default=0, kw_only=True)
    width: int = field(default=0, kw_only=True)


def render(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Laid:
    """Lay out ``rows`` for a terminal of ``width`` columns. Cells must be safe to print."""
    used = [place for place, column in enumerate(columns) if _used(column, place, rows)]
    places = list(used)
    widths = [_natural(column, place, rows) for place, column in enumerate(columns)]
    while _needed(columns, widths, places) > width:
        last = max(places, key=lambda place: columns[place].rank)
        if columns[last].rank == 0:
            return Laid(_blocks(columns, rows, used))
        places.remove(last)
    left_out = tuple(columns[place].title for place in used if place not in places)
    given = _given(columns, widths, places, width)
    return Laid(_table(columns, rows, places, header=True, given=given), left_out)


def page(columns: Sequence[Column], rows: Sequence[Row], *, header: bool) -> RenderableType:
    """Lay out one page of a long table whose columns all have a width."""
    return _table(columns, rows, range(len(columns)), header=header)


def _used(column: Column, place: int, rows: Sequence[Row]) -> bool:
    return column.width > 0 or any(row[place] for row in rows)


def _natural(column: Column, place: int, rows: Sequence[Row]) -> int:
    longest = max((cell_len(row[place]) for row in rows), default=0)
    return max(cell_len(column.title), longest, column.width)


def _needed(columns: Sequence[Column], widths: Sequence[int], places: Sequence[int]) -> int:
    gaps = _GAP * (len(places) - 1)
    return gaps + sum(min(widths[place], columns[place].fold or widths[place]) for place in places)


def _given(
    columns: Sequence[Column], widths: Sequence[int], places: Sequence[int], width: int
) -> dict[int, int]:
    """The widths of the columns that may be folded: what they need, and the room left in turn."""
    room = width - _needed(columns, widths, places)
    given = {}
    for place in places:
        if columns[place].fold:
            least = min(widths[place], columns[place].fold)
            given[place] = least + min(room, widths[place] - least)
            room -= given[place] - least
    return given


def _table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    places: Iterable[int],
    *,
    header: bool,
    given: Mapping[int, int] | None = None,
) -> Table:
    table = Table(
        box=None,
        header_style="bold",
        show_header=header,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
    )
    kept = list(places)
    for place in kept:
        column = columns[place]
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=not column.fold,
            width=(given or {}).get(place),
            min_width=column.width or None,
            # What is folded keeps its place from page to page.
            max_width=(column.width or None) if column.fold else None,
        )
    for row in rows:
        table.add_row(*(Text(row[place]) for place in kept))
    return table


def _blocks(columns: Sequence[Column], rows: Sequence[Row], places: Sequence[int]) -> Group:
    return Group(*_with_gaps(facts(_pairs(columns, row, places)) for row in rows))


def _pairs(columns: Sequence[Column], row: Row, places: Iterable[int]) -> Iterator[tuple[str, str]]:
    return ((columns[place].title, row[place]) for place in places)


def _with_gaps(blocks: Iterable[Table]) -> Iterator[RenderableType]:
    for place, block in enumerate(blocks):
        if place:
            yield Text("")
        yield block


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Names and values, one pair a line; empty values are left out, long ones folded."""
    grid = Table.grid(padding=(0, _GAP))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(Text(name, style="dim"), Text(value))
    return grid
