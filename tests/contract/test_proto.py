"""The contract is what is committed: generated code, lint, comments, sizes, and one list of errors."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.rpc import code_pb2

from gateway.status import CODE_OF
from invoice import errors
from invoice.errors import InvoiceError
from taxcontrol.v1.error_reason_pb2 import ErrorReason
from tests.e2e import api_page

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
FILES = sorted(path.relative_to(PROTO) for path in PROTO.rglob("*.proto"))
BIN = Path(sys.prefix) / "bin"
_PREFIX = "ERROR_REASON_"
_LINE_COUNT_MAX = 310
_ERROR_NAME = re.compile(r"`([A-Z]+(?:_[A-Z]+)+)`")
# What the wire names and no caller can be shown by raising: unset, and a fault of ours.
_WITHOUT_CLASS = {"UNSPECIFIED", "INTERNAL"}
NAMED = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, InvoiceError) and kind is not InvoiceError
]


def test_generated_code_is_what_the_generator_writes(tmp_path: Path) -> None:
    shutil.copytree(
        PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("*_pb2*", "__pycache__")
    )
    (tmp_path / ".venv").symlink_to(sys.prefix)

    subprocess.run([tmp_path / "proto" / "generate.sh"], check=True, capture_output=True)

    def code(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): path.read_text()
            for path in folder.rglob("*_pb2*.py*")
            if "__pycache__" not in path.parts
        }

    generated, committed = code(tmp_path / "proto"), code(PROTO)
    assert generated.keys() == committed.keys()
    assert [name for name in generated if generated[name] != committed[name]] == []
    assert len(generated) == 4 * len(FILES)


@pytest.mark.parametrize("command", [["buf", "lint"], ["buf", "build"], ["lint-imports"]])
def test_a_checker_finds_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_stays_readable(file: Path) -> None:
    text = (PROTO / file).read_text("utf-8")

    assert text.count("\n") <= _LINE_COUNT_MAX
    assert len(re.findall(r"^service ", text, re.MULTILINE)) <= 1


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_service_and_method_has_a_comment(file: Path) -> None:
    lines = (PROTO / file).read_text("utf-8").splitlines()

    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if re.match(r"\s*(rpc|service) ", line) and not above.strip().startswith("//")
    ]

    assert bare == []


def test_every_reason_named_in_a_comment_exists() -> None:
    reasons = {name.removeprefix(_PREFIX) for name in ErrorReason.keys()}  # noqa: SIM118 - no dict
    errors_said = {
        name
        for file in FILES
        if "authority" not in file.parts
        for comment in re.findall(
            r"// Errors.*?(?=\n\s*rpc|\Z)", (PROTO / file).read_text("utf-8"), re.DOTALL
        )
        for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", comment)
    }

    assert errors_said
    assert errors_said <= reasons


def test_reasons_errors_and_codes_are_one_list() -> None:
    on_the_wire = {name.removeprefix(_PREFIX) for name in ErrorReason.keys()}  # noqa: SIM118 - no dict

    raised = {kind.reason for kind in NAMED}

    assert len(raised) == len(NAMED)
    assert on_the_wire == raised | _WITHOUT_CLASS
    assert set(CODE_OF) == set(NAMED)


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.reason)
def test_a_reason_is_documented_with_the_code_it_has(kind: type[InvoiceError]) -> None:
    text = (PROTO / "taxcontrol" / "v1" / "error_reason.proto").read_text("utf-8")
    comment = re.search(rf"((?:  //.*\n)+)  {_PREFIX}{kind.reason} = \d+;", text)

    assert comment is not None
    assert f"// {code_pb2.Code.Name(CODE_OF[kind])}" in comment[1]


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.reason)
def test_an_error_says_its_effect_where_it_is_defined(kind: type[InvoiceError]) -> None:
    assert re.search(r"Effect: (none|done|unknown)", kind.__doc__ or "")


def test_the_api_pages_have_every_method_with_the_errors_of_its_comment() -> None:
    comments = {
        f"{service}.{method}": comment
        for file in FILES
        if "authority" not in file.parts
        for service, body in re.findall(
            r"^service (\w+) {(.*?)^}", (PROTO / file).read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        for comment, method in re.findall(r"((?:^  //.*\n)+)  rpc (\w+)\(", body, re.MULTILINE)
    }
    pages = api_page.sections()
    missing = [
        (name, reason)
        for name, comment in comments.items()
        for reason in _ERROR_NAME.findall(comment)
        if f"`{reason}`" not in pages.get(name, "")
    ]

    assert len(comments) == 26
    assert comments.keys() == pages.keys()
    assert missing == []


def test_the_api_pages_list_each_error_they_advise_on_and_none_that_there_is_not() -> None:
    reasons = {reason.name for reason in api_page.read_reasons()}
    sections = api_page.sections()
    listed = {
        name: set(_ERROR_NAME.findall(said[0]))
        for name, text in sections.items()
        if (said := re.search(r"(?m)^Errors.*(?:\n(?!\n|- ).+)*", text)) is not None
    }
    # Its list says: those of IssueInvoice, too.
    listed["InvoiceService.ReverseInvoice"] |= listed["InvoiceService.IssueInvoice"]
    unlisted = [
        (name, advised)
        for name, text in sections.items()
        for advice in re.findall(r"(?m)^- (`.+?)(?: |:)", text)
        for advised in _ERROR_NAME.findall(advice)
        if advised not in listed[name]
    ]

    assert listed.keys() == sections.keys()
    assert set().union(*listed.values()) <= reasons
    assert unlisted == []


def test_the_table_of_errors_is_the_one_list() -> None:
    codes = {kind.reason: code_pb2.Code.Name(CODE_OF[kind]) for kind in NAMED}
    effects = {
        kind.reason: said[1]
        for kind in NAMED
        if (said := re.search(r"Effect: (\w+)", kind.__doc__ or "")) is not None
    }
    rows = api_page.read_reasons()

    assert sorted(row.name for row in rows) == sorted({*codes, "INTERNAL"})
    assert {row.name: row.code for row in rows} == {**codes, "INTERNAL": "INTERNAL"}
    assert {row.name: row.effect for row in rows} == {**effects, "INTERNAL": "unknown"}
