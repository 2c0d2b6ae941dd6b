"""Reading FPKJ documents from files, folders and standard input.

What cannot be read is a document with its reason, so that one bad file never stops the others.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import fpkj
from fpkj.document import DOCUMENT_BYTES_MAX
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest

STDIN: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document by the path it was given as; ``problem`` is empty unless it was unreadable."""

    path: str
    requests: tuple[IssueInvoiceRequest, ...] = ()
    problem: str = ""


def documents(paths: Iterable[str], *, point: int) -> Iterator[Document]:
    """Read every document of ``paths``: files, folders (their ``*.xml`` sorted), ``-``."""
    for path in paths:
        if path == STDIN:
            yield _read(path, point)
            continue
        try:
            found = _files(Path(path))
        except (OSError, ValueError) as error:
            yield Document(path=path, problem=_sentence(error))
            continue
        for file in found:
            yield _read(str(file), point)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() == ".xml")
    if not found:
        raise ValueError("no *.xml in this folder")
    return found


def _read(path: str, point: int) -> Document:
    try:
        requests = fpkj.read(_bytes(path), point=point)
    except (OSError, ValueError, fpkj.FpkjError) as error:
        return Document(path=path, problem=_sentence(error))
    return Document(path=path, requests=tuple(requests))


def _bytes(path: str) -> bytes:
    if path == STDIN:
        return _bounded(sys.stdin.buffer)
    with Path(path).open("rb") as stream:
        return _bounded(stream)


def _bounded(stream: BinaryIO) -> bytes:
    # One byte more than is taken is enough for the codec to refuse it by name.
    return stream.read(DOCUMENT_BYTES_MAX + 1)


def _sentence(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
