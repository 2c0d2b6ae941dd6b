"""What a person sees, and what a program gets: tables, error blocks, one JSON document.

Rule of the file: text that comes from outside (names, messages, paths) passes through ``safe``,
and reaches rich as ``Text``, never as markup. Answers go to standard output, the rest to standard
error.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone
from typing import Final, Self

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.failure import advice, reason_name

_SHANGHAI: Final = timezone(timedelta(hours=8))
# Other than a terminal nobody scrolls sideways: wide enough for every table of ours.
_PIPE_WIDTH: Final = 200
# Cc control, Cf format (bidirectional overrides among them), Cs lone surrogates, Zl and Zp line ends.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def safe(text: str) -> str:
    r"""Spell out what could steer a terminal: ESC becomes ``\x1b``."""
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _UNSAFE
        else char
        for char in text
    )


def yuan(fen: int) -> str:
    """Write fen as yuan: ``1,234.50``."""
    whole, cents = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{cents:02}"


def civil(at: Timestamp) -> str:
    """Write an instant as civil time in China; empty when there is none."""
    if not (at.seconds or at.nanos):
        return ""
    return f"{at.ToDatetime(UTC).astimezone(_SHANGHAI):%Y-%m-%d %H:%M:%S}"


def as_dict(message: Message) -> dict[str, object]:
    """The JSON of a message: field names as in the contract, 64-bit numbers and bytes as text."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


@dataclass(frozen=True, slots=True)
class Column:
    """A table column; numbers go to the right."""

    title: str
    right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Writes for people, or with ``as_json`` for programs."""

    as_json: bool
    out: Console = field(default_factory=lambda: _console(error=False))
    err: Console = field(default_factory=lambda: _console(error=True))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]], empty: str) -> None:
        """Print a table, or the sentence ``empty`` when there are no rows."""
        found = [[Text(safe(cell)) for cell in row] for row in rows]
        self.out.print(_table(columns, found) if found else Text(empty))

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print names and values, one pair a line; empty values are left out."""
        grid = Table.grid(padding=(0, 2))
        for name, value in pairs:
            if value:
                grid.add_row(Text(name, style="dim"), Text(safe(value)))
        self.out.print(grid)

    def line(self, text: str) -> None:
        """Print one line of the answer, uncut."""
        self.out.print(Text(safe(text)), soft_wrap=True)

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        self.err.print(Text(safe(text)), soft_wrap=True)

    def document(self, value: object) -> None:
        """Print the one JSON document of a command."""
        # ASCII only, so that no byte in it can steer a terminal; straight to the stream, since
        # laying out a long document takes longer than making it.
        self.out.file.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")

    def refusal(self, failure: Failure, *, subject: str = "") -> None:
        """Print why something failed, all broken rules, and what to do about it."""
        if self.as_json:
            self.document({"error": {**as_dict(failure), "reason_name": reason_name(failure)}})
            return
        about = f"{subject}: " if subject else ""
        self.note(f"taxctl: {about}{reason_name(failure)}: {failure.message}")
        self._show(failure)

    def _show(self, failure: Failure) -> None:
        if failure.violations:
            columns = [Column("field"), Column("rule"), Column("description")]
            rows = [[v.field, v.rule, v.description] for v in failure.violations]
            self.err.print(_table(columns, [[Text(safe(cell)) for cell in row] for row in rows]))
        elif failure.metadata:
            facts = ", ".join(f"{key}={value}" for key, value in sorted(failure.metadata.items()))
            self.note(f"  {facts}")
        if advised := advice(failure):
            self.note(f"  {advised}")

    def progress(self, what: str, total: int | None) -> "Counter":
        """Show how far the work is; on a terminal only, and never beside the answer."""
        return Counter(self.err, what, total)


class Counter:
    """A progress bar on standard error; does nothing when that is no terminal."""

    def __init__(self, console: Console, what: str, total: int | None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def reach(self, done: int, total: int | None = None) -> None:
        """Say that ``done`` are done, of ``total`` when that has become known."""
        self._progress.update(self._task, completed=done, total=total)


def _console(*, error: bool) -> Console:
    stream = sys.stderr if error else sys.stdout
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if stream.isatty() else _PIPE_WIDTH,
    )


def _table(columns: Sequence[Column], rows: Iterable[Sequence[RenderableType]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
