"""The desk laid out for a terminal: as many rows as its height takes, and how many are left out.

Pure: the same desk on the same terminal is the same frame, so an unchanged one need not be drawn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from google.rpc import code_pb2
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from taxcontrol.admin.v1.desk_pb2 import DeskView
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.desk_feed import DESK, Board
from taxctl.desk_rows import Cell, Field, Section, sections
from taxctl.failure import reason_name, sentence
from taxctl.screen import civil, safe
from taxctl.words import mark, tr, tr_n

_PPM: Final = 1_000_000
_ROOMY: Final = 100
_BARS: Final = {True: ("█", "░"), False: ("#", "-")}
_GAPS: Final = {True: 2, False: 1}
_LOST: Final = mark("{what} lost: {reason}: {message}; trying again, shown is what was known")
_TITLE: Final = "bold reverse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What there is to draw on. ``keys``: whether somebody can page and leave by a key."""

    width: int
    height: int
    unicode: bool = True
    keys: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Lines for a terminal, and on how many pages all rows are."""

    lines: tuple[Text, ...]
    page_count: int


class _Layout(NamedTuple):
    """Which columns of a section are shown, how wide, and how far apart."""

    fields: Sequence[Field]
    places: Sequence[int]
    widths: Sequence[int]
    gap: int


def frame(board: Board, *, target: str, terminal: Terminal, page: int = 0) -> Frame:
    """Lay out a board that has a view. ``page`` counts from 0; beyond the last it is the last."""
    view = board.view or DeskView()
    head = [*_head(view, target, terminal), *_troubles(board, terminal.width)]
    parts = sections(view, board.alerts)
    # A line for each title, one for the names of the columns where there are rows, and the last line.
    fixed = len(head) + sum(2 if part.rows else 1 for part in parts) + 1
    room = _shared([len(part.rows) for part in parts], max(0, terminal.height - fixed))
    page_count = max(_pages(len(part.rows), rows) for part, rows in zip(parts, room, strict=True))
    page = min(page, page_count - 1)
    body = [
        line
        for part, rows in zip(parts, room, strict=True)
        for line in _section(part, rows, page, terminal)
    ]
    left_out = sum(len(part.rows) for part in parts) - sum(room)
    lines = [*head, *body][: max(0, terminal.height - 1)]
    lines.append(_foot(page, page_count, left_out, terminal))
    return Frame(lines=tuple(lines), page_count=page_count)


def whole(board: Board, *, target: str, terminal: Terminal) -> tuple[Text, ...]:
    """Every row of the desk, for paper and files: as high as it is."""
    view = board.view or DeskView()
    lines = [*_head(view, target, terminal), *_troubles(board, terminal.width)]
    for part in sections(view, board.alerts):
        lines += _section(part, len(part.rows), 0, terminal)
    return tuple(lines)


def _head(view: DeskView, target: str, terminal: Terminal) -> list[Text]:
    name, at = f"taxctl top  {safe(target)}", civil(view.view_time)
    blank = max(1, terminal.width - cell_len(name) - cell_len(at))
    first = Text(f"{name}{' ' * blank}{at}", style="bold")
    return [
        _cut(first, terminal.width),
        _cut(_flows(view, terminal.width), terminal.width),
        _cut(_counts(view), terminal.width),
    ]


def _flows(view: DeskView, width: int) -> Text:
    well = {True: (tr("ok"), "green"), False: (tr("AWAY"), "bold red")}
    parts = [
        Text(tr("issued {count:,}/min").format(count=view.issued_per_minute)),
        Text(tr("uploaded {count:,}/min").format(count=view.uploaded_per_minute)),
        Text.assemble(tr("authority"), " ", well[view.authority_reachable]),
    ]
    if view.HasField("finance_reachable"):
        parts.append(Text.assemble(tr("finance"), " ", well[view.finance_reachable]))
    parts.append(Text.assemble(tr("HSM"), " ", well[view.signing_available]))
    ahead = f"{view.clock_ahead_ms:+,} ms" if view.HasField("clock_ahead_ms") else tr("not known")
    parts.append(Text(f"{tr('clock')} {ahead}"))
    line = Text("  ").join(parts)
    return line if line.cell_len <= width else Text(" ").join(parts)


def _counts(view: DeskView) -> Text:
    counts = view.alerts
    told = [
        (counts.critical_count, tr("{n} critical"), "bold red"),
        (counts.serious_count, tr("{n} serious"), "bold yellow"),
        (counts.warning_count, tr("{n} warning"), "yellow"),
        (counts.acknowledged_count, tr("{n} looked after"), ""),
    ]
    line = Text(tr("alerts:"))
    found = [(text.format(n=n), style) for n, text, style in told if n]
    for text, style in found or [(tr("none"), "green")]:
        line.append("  ")
        line.append(text, style=style)
    if view.left_out_count:
        more = tr_n("{n:,} taxpayer not shown", "{n:,} taxpayers not shown", view.left_out_count)
        line.append(f"  ({more.format(n=view.left_out_count)})", style="dim")
    return line


def _troubles(board: Board, width: int) -> Iterable[Text]:
    for name, failure in board.lost:
        what = tr("desk") if name == DESK else tr("alerts")
        told = tr(_LOST).format(what=what, reason=reason_name(failure), message=sentence(failure))
        yield _cut(Text(safe(told), style="bold yellow"), width)
    for _, failure in board.over:
        yield _cut(Text(safe(_over(failure)), style="yellow"), width)


def _over(failure: Failure) -> str:
    if failure.code == code_pb2.UNIMPLEMENTED:
        return tr("this gateway tells no alerts")
    return f"{reason_name(failure)}: {sentence(failure)}"


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """Deal ``room`` rows out in turn, the first part first."""
    given = [0] * len(wanted)
    while room > 0 and any(has < wants for has, wants in zip(given, wanted, strict=True)):
        for place, wants in enumerate(wanted):
            if given[place] < wants and room > 0:
                given[place] += 1
                room -= 1
    return given


def _pages(count: int, rows: int) -> int:
    return -(-count // rows) if rows else 1


def _section(part: Section, rows: int, page: int, terminal: Terminal) -> list[Text]:
    title = Text(f" {part.title} ", style=_TITLE)
    if not part.rows:
        return [_cut(title + Text(f" {part.empty}"), terminal.width)]
    # The last page is as full as the others.
    start = max(0, min(page * rows, len(part.rows) - rows))
    shown = part.rows[start : start + rows]
    if rows < len(part.rows):
        told = tr("{first}-{last} of {count}").format(
            first=min(start + 1, start + rows), last=start + rows, count=len(part.rows)
        )
        title = title + Text(f" {told}", style="dim")
    grid = _grid(part.fields, part.rows, shown, terminal)
    return [_cut(title, terminal.width), *grid]


def _foot(page: int, page_count: int, left_out: int, terminal: Terminal) -> Text:
    told = [tr("q quit") if terminal.keys else tr("Ctrl-C quit")]
    if page_count > 1 and terminal.keys:
        told.append(tr("p ↓ next, ↑ back") if terminal.unicode else tr("p next, u back"))
        told.append(tr("page {page} of {count}").format(page=page + 1, count=page_count))
    if left_out:
        told.append(tr_n("{n:,} row left out", "{n:,} rows left out", left_out).format(n=left_out))
    return _cut(Text("   ".join(told), style="dim"), terminal.width)


def _grid(
    fields: Sequence[Field],
    rows: Sequence[Sequence[Cell]],
    shown: Sequence[Sequence[Cell]],
    terminal: Terminal,
) -> list[Text]:
    """Lay out rows, the names of the columns above; widths are those of all rows, on every page."""
    roomy = terminal.width >= _ROOMY
    gap, bar = _GAPS[roomy], max(8, min(24, terminal.width // 10))
    widths = [_width(one, place, rows, bar) for place, one in enumerate(fields)]
    places = [place for place, width in enumerate(widths) if width]
    while _needed(places, widths, gap) > terminal.width:
        last = max(places, key=lambda place: fields[place].rank)
        if not fields[last].rank:
            break
        places.remove(last)
    for place in places:
        if fields[place].fills:
            others = [one for one in places if one != place]
            longest = max(cell_len(row[place].text) for row in rows)
            left = terminal.width - _needed(others, widths, gap) - gap
            widths[place] = max(widths[place], min(longest, left))
    layout = _Layout(fields, places, widths, gap)
    head = [Cell(tr(one.title), "dim") for one in fields]
    return [_line(row, layout, terminal) for row in (head, *shown)]


def _width(one: Field, place: int, rows: Sequence[Sequence[Cell]], bar: int) -> int:
    """How wide a column is; 0 when nothing stands in it."""
    cells = [row[place] for row in rows]
    if not any(cell.text or cell.share is not None for cell in cells):
        return 0
    if one.fills:
        return max(one.fills, cell_len(tr(one.title)))
    widest = max(bar if cell.share is not None else cell_len(cell.text) for cell in cells)
    return max(cell_len(tr(one.title)), widest)


def _needed(places: Sequence[int], widths: Sequence[int], gap: int) -> int:
    return sum(widths[place] for place in places) + gap * max(0, len(places) - 1)


def _line(row: Sequence[Cell], layout: _Layout, terminal: Terminal) -> Text:
    line = Text()
    for place in layout.places:
        if place != layout.places[0]:
            line.append(" " * layout.gap)
        cell, width = row[place], layout.widths[place]
        text = _bar(cell.share, width, terminal) if cell.share is not None else cell.text
        right = layout.fields[place].right
        line.append(_fitted(text, width, right=right, terminal=terminal), cell.style)
    line.rstrip()
    return _cut(line, terminal.width)


def _fitted(text: str, width: int, *, right: bool, terminal: Terminal) -> str:
    size = cell_len(text)
    if size > width:
        mark_ = "…" if terminal.unicode else "~"
        return set_cell_size(text, max(0, width - 1)).rstrip() + mark_
    blank = " " * (width - size)
    return blank + text if right else text + blank


def _bar(share: int, width: int, terminal: Terminal) -> str:
    full, empty = _BARS[terminal.unicode]
    filled = share * width // _PPM
    if share and not filled:  # a little is not nothing
        filled = 1
    return full * filled + empty * (width - filled)


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="crop")
    return line
