"""Help in the language that is spoken, wrapped by what characters measure on a terminal.

typer wraps by counting characters, and a Chinese one is two columns wide. So each wide character is
followed by a filler while lines are laid out, and the fillers are taken away at the end.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.cells import cell_len
from typer._click.formatting import HelpFormatter

from taxctl.words import Language, language, mark, tr

# Of the private use area: no text of ours has it.
_FILLER: Final = "\uf8ff"
# What typer writes itself.
_HEADINGS: Final = (mark("Options"), mark("Commands"), mark("Arguments"))
_HELP_OPTION: Final = mark("Show this message and exit.")
_USAGE: Final = mark("Usage: ")
_NOTES: Final = (mark("[required]"), mark("[default: "), mark("[env var: "))


class Formatter(HelpFormatter):
    """Writes headings and notes translated, and wide characters at their width."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if language() is not Language.EN:
            # A line may end between a character and its filler, and be one column longer.
            self.width -= 1

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write ``Usage: …``."""
        super().write_usage(prog, args, prefix or tr(_USAGE))

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        super().write_heading(tr(heading))

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        super().write_text(_padded(text))

    def write_dl(
        self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write options or commands with what each does."""
        padded = [(_padded(name), _padded(_noted(told))) for name, told in rows]
        super().write_dl(padded, col_max, col_spacing)

    def getvalue(self) -> str:
        """The help."""
        return super().getvalue().replace(_FILLER, "")


def translate(command: Any) -> None:
    """Translate the help of a command and of all below it, in place; English is left as it is."""
    if language() is Language.EN:
        return
    for one in _with_all_below(command):
        one.help = tr(_paragraphs(one.help or ""))
        # typer would look for blanks to shorten it at.
        one.short_help = one.help.partition("。")[0].partition("\n")[0]
        for parameter in one.params:
            if getattr(parameter, "help", None):
                parameter.help = tr(parameter.help)


def texts(command: Any) -> Iterator[str]:
    """Every help text of a command and of all below it, as the catalog has them."""
    for one in _with_all_below(command):
        yield _paragraphs(one.help or "")
        for parameter in one.params:
            if getattr(parameter, "help", None):
                yield parameter.help


def _with_all_below(command: Any) -> Iterator[Any]:
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from _with_all_below(one)


def _paragraphs(text: str) -> str:
    """Paragraphs, each on one line: how the source is wrapped is no part of a text."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n") if part.strip())


def _noted(text: str) -> str:
    for note in _NOTES:
        text = text.replace(note, tr(note))
    return tr(text) if text == _HELP_OPTION else text


def _padded(text: str) -> str:
    return "".join(f"{char}{_FILLER}" if cell_len(char) > 1 else char for char in text)
