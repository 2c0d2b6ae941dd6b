"""XML bytes to a plain tree, trusting nothing.

Encodings are decoded here, strictly, because expat knows no multi-byte ones. A DOCTYPE is refused
before anything in it is looked at, so there are no entities, no external files and no bombs;
size, depth and element count are bounded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from fpkj.errors import FpkjError

DOCUMENT_BYTES_MAX: Final = 2 * 1024 * 1024
DEPTH_MAX: Final = 8  # a line's field is at depth 5
ELEMENT_COUNT_MAX: Final = 60_000  # 2,000 lines of 17 elements need 34,000

_DECLARATION: Final = re.compile(
    rb"<\?xml\s[^>]{0,80}?encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]{0,31})[\"']"
)
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_ENCODINGS: Final = frozenset({"gbk", "gb2312", "gb18030", "utf-8"})


@dataclass(slots=True)
class Element:
    """One element with its own character data, children apart."""

    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""


def parse(data: bytes) -> Element:
    """Return the root element of ``data``.

    Raises:
        FpkjError: DOCUMENT_TOO_LARGE, ENCODING, XML_FORBIDDEN or XML_MALFORMED.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        message = f"{len(data)} bytes, at most {DOCUMENT_BYTES_MAX}"
        raise FpkjError("", "DOCUMENT_TOO_LARGE", message)
    return _Reading().tree(_decoded(data))


def _decoded(data: bytes) -> str:
    marked = data.startswith(_UTF8_MARK)
    body = data.removeprefix(_UTF8_MARK)
    declared = _DECLARATION.match(body)
    # Without a declaration XML says UTF-8.
    encoding = declared[1].decode("ascii").lower() if declared is not None else "utf-8"
    if encoding not in _ENCODINGS or (marked and encoding != "utf-8"):
        message = f"{encoding} is not one of {', '.join(sorted(_ENCODINGS))}"
        if marked and encoding in _ENCODINGS:
            message = f"declared as {encoding}, marked as utf-8"
        raise FpkjError("", "ENCODING", message)
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not {encoding}, as which the document is declared"
        raise FpkjError("", "ENCODING", message) from error


class _Reading:
    """The handlers of one parse. Lives for one document."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._root: Element | None = None
        self._count = 0

    def tree(self, text: str) -> Element:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = _refuse("a DOCTYPE")
        parser.EntityDeclHandler = _refuse("an entity declaration")
        parser.ExternalEntityRefHandler = _refuse("an external entity")
        parser.ProcessingInstructionHandler = _refuse("a processing instruction")
        try:
            parser.Parse(text, True)
        except expat.ExpatError as error:
            raise FpkjError("", "XML_MALFORMED", str(error)) from error
        assert self._root is not None, "expat takes no document without a root"
        return self._root

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= DEPTH_MAX:
            raise FpkjError("", "XML_FORBIDDEN", f"elements nested deeper than {DEPTH_MAX}")
        if self._count > ELEMENT_COUNT_MAX:
            raise FpkjError("", "XML_FORBIDDEN", f"more than {ELEMENT_COUNT_MAX} elements")
        element = Element(tag, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)
        self._texts.append([])

    def _end(self, _tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _characters(self, text: str) -> None:
        self._texts[-1].append(text)


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise FpkjError("", "XML_FORBIDDEN", f"{what} is not taken")

    return refuse
