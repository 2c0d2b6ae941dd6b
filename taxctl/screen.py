"""What a person sees, and what a program gets: tables, error blocks, JSON.

Rule of the file: text that comes from outside (names, messages, paths) passes through ``safe``,
and reaches rich as ``Text``, never as markup. Answers go to standard output, the rest to standard
error.
"""

import codecs
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Self

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl import table
from taxctl.failure import advice, reason_name, sentence
from taxctl.table import FOLD, Column
from taxctl.words import tr, tr_n

SHANGHAI: Final = timezone(timedelta(hours=8))
_FIRST: Final = datetime.min.replace(tzinfo=SHANGHAI)
_LAST: Final = datetime.max.replace(tzinfo=SHANGHAI)
# Other than a terminal nobody scrolls sideways: wide enough for every table of ours.
_PIPE_WIDTH: Final = 200
# Cc control, Cf format (bidirectional overrides among them), Cs lone surrogates, Zl and Zp line ends.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# How the authority's channel failed: for programs, which have it in --json.
_WIRE_FACT: Final = "grpc_code"


def safe(text: str) -> str:
    r"""Spell out what could steer a terminal: ESC becomes ``\x1b``."""
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _UNSAFE
        else char
        for char in text
    )


def safe_json(text: str) -> str:
    r"""Spell out in a JSON document what :func:`safe` does, as JSON does it: ``\u202e``."""
    # A line end can only be the layout's own: inside a text JSON has spelled it out.
    return "".join(
        _json_escape(char) if char != "\n" and unicodedata.category(char) in _UNSAFE else char
        for char in text
    )


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def yuan(fen: int) -> str:
    """Write fen as yuan: ``1,234.50``."""
    whole, cents = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{cents:02}"


def in_china(at: Timestamp) -> datetime:
    """The civil time in China; of what lies beyond the calendar its last moment, or its first.

    A certificate without an end has one there, and so may a pause.
    """
    try:
        return at.ToDatetime(UTC).astimezone(SHANGHAI)
    except (ValueError, OverflowError):
        return _LAST if at.seconds > 0 else _FIRST


def civil(at: Timestamp) -> str:
    """Write an instant as civil time in China; empty when there is none."""
    if not (at.seconds or at.nanos):
        return ""
    return f"{in_china(at):%Y-%m-%d %H:%M:%S}"


def as_dict(message: Message) -> dict[str, object]:
    """The JSON of a message: field names as in the contract, 64-bit numbers and bytes as text."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def padded(text: str, width: int) -> str:
    """Fill a text up with blanks to so many columns of a terminal; a longer one stays as it is."""
    return text + " " * (width - cell_len(text))


def fact(name: str, value: str) -> tuple[str, str]:
    """A pair for :meth:`Screen.facts`: the name is translated, the value stays as it is."""
    return tr(name), value


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Writes for people, or with ``as_json`` for programs; ``by_line``: each document on one line."""

    as_json: bool
    by_line: bool = False
    out: Console = field(default_factory=lambda: _console(error=False))
    err: Console = field(default_factory=lambda: _console(error=True))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]], empty: str) -> None:
        """Print a table, or the sentence ``empty`` when there are no rows.

        Columns that found no room are named beside it.
        """
        found = _safe(rows)
        if not found:
            self.line(empty)
            return
        laid = table.render(_titled(columns), found, self.out.width)
        _lay(self.out, laid.shape)
        if laid.left_out:
            told = tr("no room for: {columns} (on a wider terminal, or with --json)")
            self.err.print(Text(told.format(columns=", ".join(laid.left_out))))

    def page(
        self, columns: Sequence[Column], rows: Iterable[Sequence[str]], *, header: bool
    ) -> None:
        """Print one page of a long table whose columns all have a width."""
        _lay(self.out, table.page(_titled(columns), _safe(rows), header=header))

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print names and values, one pair a line; empty values are left out."""
        _lay(self.out, table.facts((name, safe(value)) for name, value in pairs))

    def line(self, text: str) -> None:
        """Print one line of the answer, uncut."""
        self.out.print(Text(safe(text)), soft_wrap=True)

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        self.err.print(Text(safe(text)), soft_wrap=True)

    def ask(self, question: str) -> None:
        """Put a question, and leave the cursor behind it."""
        self.err.print(Text(safe(question)), soft_wrap=True, end="")

    def document(self, value: object) -> None:
        """Print a JSON document, and let whoever reads see it at once."""
        # Straight to the stream, since laying out a long document takes longer than making it.
        indent = None if self.by_line else 2
        encoding = getattr(self.out.file, "encoding", None) or "utf-8"
        text = json.dumps(value, indent=indent, ensure_ascii=not _is_utf8(encoding))
        self.out.file.write(safe_json(text) + "\n")
        self.out.file.flush()

    def refusal(self, failure: Failure, *, subject: str = "", advised: str = "") -> None:
        """Print why something failed, all broken rules, and what to do about it.

        ``advised``: what to do, instead of what can be told from the failure alone.
        """
        if self.as_json:
            self.document({"error": {**as_dict(failure), "reason_name": reason_name(failure)}})
            return
        about = f"{subject}: " if subject else ""
        self.note(f"taxctl: {about}{reason_name(failure)}: {_sentence(failure)}")
        self._show(failure, advised or advice(failure))

    def _show(self, failure: Failure, advised: str) -> None:
        if failure.violations:
            columns = [Column("field"), Column("rule"), Column("description", fold=FOLD)]
            rows = _safe([v.field, v.rule, v.description] for v in failure.violations)
            _lay(self.err, table.render(_titled(columns), rows, self.err.width).shape)
            return  # what to do about them is what they say
        if facts := [(key, failure.metadata[key]) for key in sorted(failure.metadata)]:
            told = ", ".join(f"{key}={value}" for key, value in facts if key != _WIRE_FACT)
            if told:
                self.note(f"  {told}")
        # The gateway's sentence may end in this very advice.
        if advised and not failure.message.endswith(advised):
            self.note(f"  {advised}")

    def progress(self, what: str, total: int | None, *, beside: bool = False) -> "Counter":
        """Show how far the work is; on a terminal only.

        ``beside``: the answer is printed meanwhile, so there is none where that goes to a terminal.
        """
        # One step is there or it is not.
        hidden = not self.err.is_terminal or (beside and self.out.is_terminal) or total == 1
        return Counter(self.err, what, total, hidden=hidden)


class Counter:
    """A progress bar; does nothing when ``hidden``."""

    def __init__(self, console: Console, what: str, total: int | None, *, hidden: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=hidden,
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
        # Whoever wants no colour wants no bold and no dim either: https://no-color.org
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def _lay(console: Console, shape: RenderableType) -> None:
    """Print a layout; elsewhere than on a terminal without the blanks that fill its columns."""
    if console.is_terminal:
        console.print(shape)
        return
    with console.capture() as laid:
        console.print(shape)
    console.file.writelines(f"{line.rstrip()}\n" for line in laid.get().splitlines())
    console.file.flush()


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def _safe(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    return [[safe(cell) for cell in row] for row in rows]


def _titled(columns: Sequence[Column]) -> list[Column]:
    return [replace(column, title=tr(column.title)) for column in columns]


def _sentence(failure: Failure) -> str:
    """Why; where a list of the broken rules follows, only how many they are."""
    listed = len(failure.violations)
    if not listed:
        return sentence(failure)
    count = failure.metadata.get("violation_count", str(listed))
    if count != str(listed):
        told = tr("{count} broken rules, the first {listed} are:")
    else:
        told = tr_n("{count} broken rule:", "{count} broken rules:", listed)
    return told.format(count=count, listed=listed)
