"""Nothing that comes from outside can steer a terminal; money and times read as people write them."""

import io
import json
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from taxcontrol.v1.error_reason_pb2 import (
    ERROR_REASON_AUTHORITY_UNAVAILABLE,
    ERROR_REASON_INVALID_INVOICE,
)
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.screen import Screen, civil, safe, safe_json, yuan
from taxctl.table import Column


def screen() -> tuple[Screen, io.StringIO]:
    """A screen that takes itself for a terminal, and what was written on it."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, markup=False, color_system=None)
    return Screen(as_json=False, out=console, err=console), written


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x9b2J", r"\x9b2J"),
        ("evil\u202egnp.exe", r"evil\u202egnp.exe"),
        ("\u2066x\u2069\u200b\ufeff", r"\u2066x\u2069\u200b\ufeff"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("\udcff", r"\udcff"),
        ("示例采购（丙）有限公司 é", "示例采购（丙）有限公司 é"),
    ],
)
def test_what_steers_a_terminal_is_spelled_out(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text())
def test_safe_text_prints_on_one_line(text: str) -> None:
    assert len(safe(text).splitlines()) <= 1
    assert "\x1b" not in safe(text)


@given(st.text(alphabet=st.characters(categories=["Cc", "Cf"]), min_size=1))
def test_no_escape_reaches_the_terminal_by_any_way(text: str) -> None:
    shown, written = screen()
    failure = Failure(code=3, message=text, metadata={text: text})
    failure.violations.add(field=text, rule=text, description=text)

    shown.refusal(failure, subject=text)
    shown.table([Column("a")], [[text]], "none")
    shown.facts([("name", text)])
    shown.line(text)

    output = written.getvalue().replace("\n", "")
    assert not any(char in output for char in text)


def test_markup_in_data_is_text() -> None:
    shown, written = screen()

    shown.table([Column("a")], [["[bold]x[/bold] :smile:"]], "none")
    shown.line("[red]y")

    assert "[bold]x[/bold] :smile:" in written.getvalue()
    assert "[red]y" in written.getvalue()


@given(st.integers(-(10**15), 10**15))
def test_yuan_is_the_amount_with_two_decimals(fen: int) -> None:
    assert Decimal(yuan(fen).replace(",", "")) * 100 == fen
    assert yuan(fen).partition(".")[2] == f"{abs(fen) % 100:02}"


@pytest.mark.parametrize(
    ("fen", "shown"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123_456_789, "1,234,567.89")]
)
def test_yuan_examples(fen: int, shown: str) -> None:
    assert yuan(fen) == shown


def test_instants_are_shown_as_civil_time_in_china() -> None:
    assert civil(Timestamp(seconds=1_700_000_000)) == "2023-11-15 06:13:20"
    assert civil(Timestamp()) == ""


def test_a_json_document_reads_as_it_is_and_steers_nothing() -> None:
    shown, written = screen()
    value = {"name": "示例\x1b[2J\u202e\x9b\x7f\u2028\U000e0001", "half": "\udcff"}

    shown.document(value)

    assert "示例" in written.getvalue()
    assert safe(written.getvalue().replace("\n", "")) == written.getvalue().replace("\n", "")
    assert json.loads(written.getvalue()) == value


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_json_document_is_read_back(value: dict[str, str]) -> None:
    assert json.loads(safe_json(json.dumps(value, indent=2, ensure_ascii=False))) == value


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1"])
def test_a_json_document_is_json_in_any_encoding(encoding: str) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    console = Console(file=out)

    Screen(as_json=True, out=console, err=console).document({"name": "示é😀"})

    out.seek(0)
    assert json.loads(out.buffer.read()) == {"name": "示é😀"}


def test_what_goes_to_a_file_ends_with_its_last_character() -> None:
    written = io.StringIO()
    console = Console(file=written, width=200)
    shown = Screen(as_json=False, out=console, err=console)

    shown.table([Column("a"), Column("long title")], [["1", "2"], ["333", ""]], "")
    shown.page([Column("a", width=9)], [["1"]], header=True)
    shown.facts([("name", "value"), ("long name", "v")])

    assert written.getvalue() == (
        "a    long title\n1    2\n333\na\n1\nname       value\nlong name  v\n"
    )


def test_columns_without_room_are_named() -> None:
    out, err = io.StringIO(), io.StringIO()
    shown = Screen(as_json=False, out=Console(file=out, width=20), err=Console(file=err, width=200))

    shown.table([Column("a"), Column("b", rank=1), Column("c", rank=2)], [["x" * 9] * 3], "")

    assert out.getvalue().split() == ["a", "b", "x" * 9, "x" * 9]
    assert "no room for: c (" in err.getvalue()


def test_advice_is_given_once_and_how_the_wire_failed_is_for_programs() -> None:
    shown, written = screen()
    failure = Failure(
        code=14,
        reason=ERROR_REASON_AUTHORITY_UNAVAILABLE,
        message="cannot be reached now; retry with the same request id",
        metadata={"grpc_code": "UNAVAILABLE"},
    )

    shown.refusal(failure)
    shown.refusal(failure, advised="it goes on by itself")

    assert written.getvalue().count("retry with the same request id") == 2
    assert "grpc_code" not in written.getvalue()
    assert written.getvalue().count("it goes on by itself") == 1


def test_a_broken_rule_is_told_once_and_none_is_hidden() -> None:
    shown, written = screen()
    failure = Failure(
        code=3,
        reason=ERROR_REASON_INVALID_INVOICE,
        message="net_fen: TOTAL_MISMATCH: must be 5 and 1 more",
    )
    failure.violations.add(field="net_fen", rule="TOTAL_MISMATCH", description="must be 5")
    failure.violations.add(field="clerk", rule="FIELD_REQUIRED", description="must be filled")

    shown.refusal(failure, subject="a.xml")

    output = written.getvalue()
    assert "a.xml: INVALID_INVOICE: 2 broken rules:" in output
    assert [output.count(rule) for rule in ("TOTAL_MISMATCH", "FIELD_REQUIRED")] == [1, 1]


def test_more_broken_rules_than_are_listed_are_said_so() -> None:
    shown, written = screen()
    failure = Failure(
        code=3, reason=ERROR_REASON_INVALID_INVOICE, metadata={"violation_count": "99"}
    )
    failure.violations.add(field="net_fen", rule="TOTAL_MISMATCH", description="must be 5")

    shown.refusal(failure)

    assert "99 broken rules, the first 1 are:" in written.getvalue()
