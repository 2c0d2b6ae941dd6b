"""Brings the Chinese catalog of `taxctl` up to date with its texts, and compiles it: `make gen`.

Texts are the arguments of ``tr``, ``tr_n`` and ``mark``, the titles of columns and facts, the words
of the contract's values, and the help of every command. A new one is written without a translation,
which a test then misses; one that is gone is dropped.
"""

import ast
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from typer.main import get_command

from taxctl.help_text import texts
from taxctl.main import app
from taxctl.wire_words import all_words
from taxctl.words import DOMAIN, LOCALE

SOURCES: Final = LOCALE.parent
PO: Final = LOCALE / "zh_CN" / "LC_MESSAGES" / f"{DOMAIN}.po"
MO: Final = PO.with_suffix(".mo")
# Their first argument is a text; that of the last has a second one for many.
_TEXT: Final = frozenset({"tr", "mark", "fact", "Column", "Field"})
_PLURAL: Final = "tr_n"
# The day the catalog was begun: a file that is made again is the same file.
_BEGUN: Final = datetime(2026, 12, 1, tzinfo=UTC)
_WIDTH: Final = 100

Text = str | tuple[str, str]


def main() -> None:
    """Write both files."""
    catalog = fresh(PO.read_bytes() if PO.exists() else b"")
    PO.parent.mkdir(parents=True, exist_ok=True)
    PO.write_bytes(source(catalog))
    MO.write_bytes(compiled(PO.read_bytes()))


def fresh(before: bytes) -> Catalog:
    """The catalog of the texts there are, with the translations of the one before."""
    known = read_po(io.BytesIO(before), locale="zh_CN") if before else Catalog(locale="zh_CN")
    catalog = Catalog(
        locale="zh_CN",
        domain=DOMAIN,
        project="taxcontrol",
        creation_date=_BEGUN,
        revision_date=_BEGUN,
        header_comment="# Chinese texts of taxctl. Written by scripts/catalog.py; translate here.",
        fuzzy=False,
    )
    for text, place in _all_texts():
        old = known.get(text)
        translation = old.string if old is not None else None
        catalog.add(text, translation, locations=[(place, None)])  # type: ignore[list-item]
    return catalog


def source(catalog: Catalog) -> bytes:
    """The .po file."""
    written = io.BytesIO()
    write_po(written, catalog, width=_WIDTH, include_lineno=False)
    lines = written.getvalue().splitlines(keepends=True)
    # The version of a tool is no part of what it writes.
    return b"".join(line for line in lines if not line.startswith(b'"Generated-By:'))


def compiled(po: bytes) -> bytes:
    """The .mo file of a .po file."""
    written = io.BytesIO()
    write_mo(written, read_po(io.BytesIO(po), locale="zh_CN"))
    return written.getvalue()


def messages(po: bytes) -> list[Message]:
    """The messages of a .po file without its header."""
    return [message for message in read_po(io.BytesIO(po), locale="zh_CN") if message.id]


def _all_texts() -> Iterator[tuple[Text, str]]:
    for path in sorted(SOURCES.glob("*.py")):
        for text in _texts_of(path):
            yield text, f"taxctl/{path.name}"
    yield from ((text, "help") for text in texts(get_command(app)) if text)
    yield from ((text, "contract") for text in all_words())


def _texts_of(path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        given = [one.value for one in node.args if isinstance(one, ast.Constant)]
        if node.func.id == _PLURAL and len(given) >= 2:
            yield str(given[0]), str(given[1])
        elif node.func.id in _TEXT and given and given[0] == getattr(node.args[0], "value", None):
            yield str(given[0])


if __name__ == "__main__":
    main()
