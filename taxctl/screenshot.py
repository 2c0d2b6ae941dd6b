"""``python -m taxctl.screenshot``: the desk of a running gateway as an SVG picture, for the docs."""

import argparse
import io
import re
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from taxctl.connection import DEFAULT_TARGET, Connection, connect
from taxctl.desk_feed import Board, Feeds
from taxctl.desk_frame import Terminal, frame
from taxctl.failure import CallFailed, reason_name
from taxctl.names import taxpayer_name
from taxctl.words import Language, use

COLUMNS: Final = 120
ROWS: Final = 36
_WAIT_S: Final = 30.0
# The picture must show without anything fetched from elsewhere: the viewer's own fonts are used.
_FETCHED: Final = re.compile(r"@font-face\s*\{[^}]*\}|<!--.*?-->", re.DOTALL)


def main() -> int:
    """Take one picture; the answer is the exit status."""
    arguments = _arguments()
    use(Language(arguments.lang))
    connection = connect(arguments.target)
    try:
        with connection.channel:
            write(
                connection,
                arguments.out,
                parent=taxpayer_name(arguments.taxpayer) if arguments.taxpayer else "",
                columns=arguments.columns,
                rows=arguments.rows,
            )
    except CallFailed as error:
        print(  # noqa: T201 - a tool of the documentation, not the command line
            f"screenshot: {reason_name(error.failure)}: {error.failure.message}", file=sys.stderr
        )
        return 1
    return 0


def write(
    connection: Connection, out: Path, *, parent: str = "", columns: int = COLUMNS, rows: int = ROWS
) -> None:
    """Write what ``taxctl top`` shows of a gateway now; raise ``CallFailed``."""
    with Feeds(connection, parent) as feeds:
        board = feeds.wait(lambda now: now.complete, _WAIT_S)
    out.parent.mkdir(parents=True, exist_ok=True)
    picture_ = picture(board, target=connection.target, columns=columns, rows=rows)
    out.write_text(picture_, encoding="utf-8")


def picture(board: Board, *, target: str, columns: int = COLUMNS, rows: int = ROWS) -> str:
    """The SVG of a board."""
    console = Console(
        record=True,
        width=columns,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    made = frame(board, target=target, terminal=Terminal(width=columns, height=rows))
    for line in made.lines:
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="taxctl top", unique_id="taxctl-top")
    lines = _FETCHED.sub("", svg).splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip()) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m taxctl.screenshot", description=__doc__)
    parser.add_argument("--target", default=DEFAULT_TARGET, help="the gateway")
    parser.add_argument("--taxpayer", default="", help="only this taxpayer")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--columns", type=int, default=COLUMNS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--lang", choices=list(Language), default=Language.EN)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
