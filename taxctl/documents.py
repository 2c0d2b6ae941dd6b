"""Reading issue requests from files, folders and standard input: FPKJ or JSON, told by its content.

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
from taxctl import requests_json
from taxctl.words import tr

STDIN: Final = "-"
_SUFFIXES: Final = (".xml", ".json", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document by the path it was given as; ``problem`` is empty unless it was unreadable.

    ``places`` say where each request stands in it, empty where it is the only one.
    """

    path: str
    requests: tuple[IssueInvoiceRequest, ...] = ()
    places: tuple[str, ...] = ()
    problem: str = ""


def documents(paths: Iterable[str], *, point: int) -> Iterator[Document]:
    """Read every document of ``paths``: files, folders (their documents sorted), ``-``.

    ``point`` is for requests that name no issuing point, as FPKJ never does.
    """
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
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not found:
        raise ValueError(
            tr("no {patterns} in this folder").format(
                patterns=", ".join(f"*{one}" for one in _SUFFIXES)
            )
        )
    return found


def _read(path: str, point: int) -> Document:
    try:
        data = _bytes(path)
        if requests_json.looks_like_json(data):
            return _json(path, requests_json.read(data, point=point))
        requests = fpkj.read(data, point=point)
    except (OSError, ValueError, fpkj.FpkjError, requests_json.NotRequests) as error:
        return Document(path=path, problem=_sentence(error))
    several = len(requests) > 1
    places = tuple(
        tr("request {n}").format(n=n) if several else "" for n, _ in enumerate(requests, 1)
    )
    return Document(path=path, requests=tuple(requests), places=places)


def _json(path: str, placed: list[requests_json.Placed]) -> Document:
    return Document(
        path=path,
        requests=tuple(one.request for one in placed),
        places=tuple(one.place for one in placed),
    )


def _bytes(path: str) -> bytes:
    if path == STDIN:
        return _bounded(sys.stdin.buffer)
    with Path(path).open("rb") as stream:
        return _bounded(stream)


def _bounded(stream: BinaryIO) -> bytes:
    # One byte more than is taken is enough for a codec to refuse it by name.
    data = stream.read(DOCUMENT_BYTES_MAX + 1)
    if not requests_json.looks_like_json(data):
        return data
    return data + stream.read(requests_json.DOCUMENT_BYTES_MAX + 1 - len(data))


def _sentence(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
