"""``python -m console.translate``: take the texts out of the code into the catalog, and compile it.

Needs Babel, which the console itself does not. A text that is new stands in the catalog without a
translation until somebody writes one; one that is used no more is left out.
"""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from console.languages import DOMAIN, FOLDER

PO: Final = FOLDER / "zh_CN" / "LC_MESSAGES" / f"{DOMAIN}.po"
MO: Final = PO.with_suffix(".mo")
_SOURCES: Final = Path(__file__).parent
_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2")]
_OPTIONS: Final = {"templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}}
# `_` and `marked` mark a text; `text` and `texts` translate one on the spot.
_KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "marked": None,
    "text": None,
    "texts": (1, 2),
}
# A fixed date, so that the same texts give the same file.
_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_HEADER: Final = """\
# Chinese texts of the console; the English ones stand in the code.
msgid ""
msgstr ""
"Language: zh_CN\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


def texts() -> Catalog:
    """Every text of the code, untranslated."""
    found = Catalog(fuzzy=False)
    extracted = extract_from_dir(
        _SOURCES, method_map=_METHODS, options_map=_OPTIONS, keywords=_KEYWORDS
    )
    for _, _, message, _, context in extracted:
        found.add(message, context=context)
    return found


def translated() -> Catalog:
    """The catalog as it stands."""
    with PO.open("rb") as file:
        catalog = read_po(file, locale="zh_CN")
    catalog.creation_date = catalog.revision_date = _DATE
    return catalog


def brought_up() -> Catalog:
    """The catalog with exactly the texts of the code, in their order."""
    known = translated()
    made = Catalog(locale="zh_CN", fuzzy=False)
    for message in texts():
        if message.id:
            old = known.get(message.id)
            made.add(message.id, old.string if old else None, flags=message.flags)
    return made


def po_text(catalog: Catalog) -> str:
    """The catalog as people edit it."""
    written = io.BytesIO()
    write_po(written, catalog, omit_header=True, width=100)
    return _HEADER + written.getvalue().decode().lstrip()


def mo_bytes(catalog: Catalog) -> bytes:
    """The catalog as it is read at start."""
    written = io.BytesIO()
    write_mo(written, catalog)
    return written.getvalue()


def main() -> int:
    """Write both files; the answer is 1 while a text has no translation."""
    catalog = brought_up()
    PO.write_text(po_text(catalog), encoding="utf-8")
    MO.write_bytes(mo_bytes(translated()))
    missing = [message.id for message in catalog if message.id and not any(message.string or ())]
    for text in missing:
        print(f"translate: no Chinese for {text!r}", file=sys.stderr)  # noqa: T201 - its report
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
