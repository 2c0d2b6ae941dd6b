"""Reads the pages of the API as ``docs/api.md`` says they are read.

    story = read_story()
    known: Known = {}
    differences = compare(example.replies[0], reply, known)

An *example* is a request and what answers it, under the heading of its method. Between examples a
comment in HTML, which no reader sees, may say what else happens: see ``test_api_page.py``. The comment
``program: name`` stands before a program that readers may copy: see ``test_api_programs.py``.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
WAY_IN = ROOT / "docs" / "api.md"
ANY = "…"

Known: TypeAlias = dict[str, str]
"""What the names in braces stand for, so far."""

_HEADING = re.compile(r"## (\w+Service\.\w+)")
_REQUEST = re.compile(r"Requests?(?: to (\w+Service\.\w+))?:")
_HAPPENING = re.compile(r"<!-- (\w+): (.*?) ?-->")
_NAME = re.compile(r"\{([A-Za-z ]+)\}")
_REPLIES = (
    "Reply:",
    "Replies:",
    "Replies, in any order:",
    "First replies:",
    "Last reply:",
    "Refused:",
)
_CONTENT = "Content:"
_ROW = re.compile(r"\| `([A-Z_]+)` \| ([A-Z_]+) \| (\w+) \| [^|]+ \| [^|]+ \|")
_TEST_ROW = re.compile(r"\| `([A-Z_]+)` \| `(tests/.+?)` \|")
_PROGRAM = re.compile(r"<!-- program: (\S+) -->\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class PageError(Exception):
    """A page cannot be read: where, and why."""


@dataclass(slots=True)
class Example:
    """One call: ``method`` is ``Service.Method``, ``where`` its place, ``answer`` the label."""

    method: str
    where: str
    requests: list[Any]
    answer: str = ""
    replies: list[Any] = field(default_factory=list)
    content: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """What a comment says: ``kind`` and the words after it."""

    kind: str
    words: str
    where: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table of errors; ``test`` is a pytest node id, from the table of tests."""

    name: str
    code: str
    effect: str
    test: str


Step: TypeAlias = Example | Happening


def pages() -> list[Path]:
    """Every page, the way in first, then in the order it names them."""
    names = re.findall(r"\]\((api/\w+\.md)\)", WAY_IN.read_text("utf-8"))
    return [WAY_IN, *(WAY_IN.parent / name for name in dict.fromkeys(names))]


def read_story() -> list[Step]:
    """The examples of all pages in their order, with what happens between them."""
    return [step for page in pages() for step in _steps(page)]


def read_reasons() -> list[Reason]:
    """The table of errors, each with its test; both have the same reasons in the same order."""
    texts = [page.read_text("utf-8") for page in pages()]
    rows = [row for text in texts for row in _ROW.findall(text)]
    tests = [row for text in texts for row in _TEST_ROW.findall(text)]
    assert [row[0] for row in rows] == [name for name, _ in tests]
    return [
        Reason(name, code, effect, test)
        for (name, code, effect), (_, test) in zip(rows, tests, strict=True)
    ]


def programs() -> dict[str, str]:
    """The programs of all pages, by name."""
    found = [found for page in pages() for found in _PROGRAM.findall(page.read_text("utf-8"))]
    assert len(dict(found)) == len(found), "a program comes twice"
    return dict(found)


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the table under ``heading``, without its own two, as the text of their cells."""
    text = (WAY_IN.parent / page).read_text("utf-8")
    [section] = re.findall(rf"(?ms)^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text)
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]


def sections() -> dict[str, str]:
    """The text under each method's heading."""
    found: dict[str, str] = {}
    for page in pages():
        parts = re.split(r"(?m)^## (.*)$", page.read_text("utf-8"))
        for heading, text in zip(parts[1::2], parts[2::2], strict=True):
            if _HEADING.fullmatch(f"## {heading}"):
                assert heading not in found, f"{heading} comes twice"
                found[heading] = text
    return found


def filled(value: Any, known: Known) -> Any:
    """``value`` with each name in braces replaced by what it stands for; LookupError if unknown."""
    match value:
        case str():
            return _NAME.sub(lambda found: known[found[1]], value)
        case list():
            return [filled(one, known) for one in value]
        case dict():
            return {key: filled(one, known) for key, one in value.items()}
    return value


def compare(expected: Any, actual: Any, known: Known, path: str = "") -> list[str]:
    """What differs, by path. Names met for the first time become known."""
    if expected == ANY:
        return []
    match expected, actual:
        case str(), str():
            same = _compare_text(expected, actual, known)
        case dict(), dict():
            return _compare_members(expected, actual, known, path)
        case list(), list() if len(expected) == len(actual):
            pairs = enumerate(zip(expected, actual, strict=True))
            found = [compare(one, other, known, f"{path}[{at}]") for at, (one, other) in pairs]
            return [difference for differences in found for difference in differences]
        case _:
            same = type(expected) is type(actual) and expected == actual
    return [] if same else [f"{path}: {actual!r}, not {expected!r}"]


def _compare_text(expected: str, actual: str, known: Known) -> bool:
    met: dict[str, str] = {}
    pattern = ""
    for at, part in enumerate(_NAME.split(expected)):
        if at % 2 == 0:
            pattern += re.escape(part)
        elif part in known:
            pattern += re.escape(known[part])
        else:
            met[f"name{at}"] = part
            pattern += f"(?P<name{at}>.+)"
    found = re.fullmatch(pattern, actual, re.DOTALL)
    if found is not None:
        known.update({name: found[group] for group, name in met.items()})
    return found is not None


def _compare_members(
    expected: dict[str, Any], actual: dict[str, Any], known: Known, path: str
) -> list[str]:
    differences = [f"{path}.{key}: missing" for key in expected if key not in {*actual, ANY}]
    if ANY not in expected:
        differences += [
            f"{path}.{key}: {actual[key]!r}, which is not on the page"
            for key in actual
            if key not in expected
        ]
    for key, value in expected.items():
        if key in actual:
            differences += compare(value, actual[key], known, f"{path}.{key}")
    return differences


def _steps(page: Path) -> list[Step]:
    """The steps of one page; PageError for a block of JSON that belongs to none."""
    steps: list[Step] = []
    method, label = "", ""
    lines = page.read_text("utf-8").splitlines()
    for at, line in enumerate(lines):
        where = f"{page.name}:{at + 1}"
        if heading := _HEADING.fullmatch(line):
            method = heading[1]
        elif (happening := _HAPPENING.fullmatch(line)) and happening[1] != "program":
            steps.append(Happening(happening[1], happening[2], where))
        elif line == "```json":
            values = list(_values(lines[at + 1 :], where))
            if asked := _REQUEST.fullmatch(label):
                steps.append(Example(asked[1] or method, where, values))
            else:
                _answer(steps, label, values, where)
        label = line or label
    return steps


def _answer(steps: list[Step], label: str, values: list[Any], where: str) -> None:
    """Add a block to the example it answers."""
    match steps:
        case [*_, Example() as example] if label == _CONTENT and example.answer:
            [example.content] = values
        case [*_, Example() as example] if label in _REPLIES and not example.answer:
            example.answer, example.replies = label, values
        case _:
            raise PageError(f"{where}: {label!r} does not say what this is")


def _values(lines: Sequence[str], where: str) -> Iterator[Any]:
    """The JSON values of a block, one after another."""
    text = "\n".join(lines[: lines.index("```")]).strip()
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise PageError(f"{where}: {error}") from error
        yield value
        at = end + len(text[end:]) - len(text[end:].lstrip())
