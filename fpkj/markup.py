"""Writing XML: escaping, and the frame every FPKJ document has."""

import re
from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

# What XML 1.0 cannot hold in any spelling.
_INVALID: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A bare carriage return would come back as a line feed.
_ENTITIES: Final = {"\r": "&#13;"}


def valid(text: str) -> str:
    """Escape text; ``ValueError`` when XML cannot hold it."""
    if _INVALID.search(text) is not None:
        raise ValueError("holds a character that XML cannot hold")
    return escape(text, _ENTITIES)


def mended(text: str) -> str:
    """Escape text, with U+FFFD for what XML cannot hold."""
    return escape(_INVALID.sub("\ufffd", text), _ENTITIES)


def element(tag: str, inside: str | Iterable[str], attributes: str = "") -> str:
    """Write one element around escaped text, or around elements, each on its line."""
    if isinstance(inside, str):
        return f"<{tag}{attributes}>{inside}</{tag}>"
    return "\n".join([f"<{tag}{attributes}>", *inside, f"</{tag}>"])


def encode(tag: str, inside: Iterable[str]) -> bytes:
    """Return the GBK document around one request or response.

    A character outside GBK becomes a character reference, which every XML reader takes.
    """
    body = element(tag, inside, f' class="{tag}"')
    business = element("business", [body], ' id="FPKJ" comment="发票开具"')
    document = f'<?xml version="1.0" encoding="gbk"?>\n{business}\n'
    return document.encode("gbk", "xmlcharrefreplace")
