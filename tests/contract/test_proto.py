"""The contract is what is committed: generated code, lint, comments, sizes, and one list of errors."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.rpc import code_pb2

from gateway.status import CODE_OF
from invoice import content, errors
from invoice.document import Draft, Kind, Line, Nature, Original, Party, ZeroRateFlag
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
# What stands in a content and is no member's name.
_VALUES = {*Kind, *Nature}
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

    assert len(comments) == 41
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


def test_the_members_of_a_content_are_listed_in_their_order() -> None:
    party = Party(tax_number="1", name="1", address_phone="1", bank_account="1")
    line = Line(
        name="1",
        unit="1",
        specification="1",
        quantity="1",
        unit_price="1",
        amount_fen=1,
        tax_fen=1,
        rate_ppm=1,
        classification_code="1",
        own_code="1",
        preferential=True,
        preferential_policy="1",
        zero_rate_flag=ZeroRateFlag.EXEMPT,
        deduction_fen=1,
        tax_inclusive=True,
    )
    draft = Draft(
        kind=Kind.RED,
        type="026",
        seller=party,
        buyer=party,
        lines=(line,),
        net_fen=1,
        tax_fen=1,
        gross_fen=1,
        clerk="1",
        payee="1",
        reviewer="1",
        remark="1",
        original=Original(code="1", number="1"),
        red_notice_number="1",
        red_reason="1",
        list_attached=True,
        code_table_version="1",
        donation_project="1",
    )
    tail = content.tail(draft, taxpayer="1", point=0)
    whole = content.complete(tail, device="1", code="1", number="1", issue_time=1)

    page = api_page.WAY_IN.read_text("utf-8")
    [listed] = re.findall(r"(?s)its members in this order:\n\n(.*?)\n\n", page)
    members = json.loads(whole)
    names = [name for name in members if name != "buyer"]  # its members are the seller's
    for outer, inner in (
        ("seller", ["buyer", *members["seller"]]),
        ("lines", list(members["lines"][0])),
        ("original", list(members["original"])),
    ):
        at = names.index(outer) + 1
        names[at:at] = inner

    said = [name for name in re.findall(r"`([a-z_]+)`", listed) if name not in _VALUES]
    assert said == names


def test_the_rules_of_a_bad_request_are_listed() -> None:
    calls = [
        node
        for room in ("gateway", "invoice", "ledger")
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "InvalidRequest"
    ]
    rules = {rule.value for call in calls if isinstance(rule := call.args[1], ast.Constant)}

    assert all(isinstance(call.args[1], ast.Constant) for call in calls)
    assert _names_in(api_page.table("api/errors.md", "The rules of INVALID_REQUEST")) == rules


def test_what_the_books_can_find_is_listed() -> None:
    checks = {
        node.value
        for file in (ROOT / "ledger").glob("books*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"I\d+_[A-Z_]+|FILE", node.value)
    }

    assert _names_in(api_page.table("api/errors.md", "What CheckBooks finds")) == checks


def test_what_the_authority_may_refuse_is_listed() -> None:
    text = (PROTO / "taxcontrol" / "authority" / "v1" / "authority.proto").read_text("utf-8")
    comment = re.search(r"// Why it was refused;((?:.*\n *//)*.*)\n *string reason", text)
    assert comment is not None
    reasons = set(re.findall(r"`([A-Z_]+)`", comment[1]))
    rows = api_page.table("api/uploads.md", "What the authority refuses")

    assert len(reasons) == 8
    assert _names_in(rows) == reasons


def test_why_an_invoice_cannot_be_reversed_or_voided_is_listed() -> None:
    found = {
        node.value
        for file, function in (("voids.py", "_cause"), ("reds.py", "standing"))
        for body in ast.walk(ast.parse((ROOT / "ledger" / file).read_text("utf-8")))
        if isinstance(body, ast.FunctionDef) and body.name == function
        for node in ast.walk(body)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z_]+", node.value)
    }
    rows = api_page.table("api/errors.md", "Why an invoice cannot be reversed or voided")

    assert _names_in(rows) == found


def _names_in(rows: list[list[str]]) -> set[str]:
    """The names in the first column of a table."""
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row[0])}
