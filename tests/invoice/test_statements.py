"""A void and a blank void are bytes in a fixed order that say all there is to say, and read back."""

from datetime import datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice import content, statements
from invoice.content import SHANGHAI
from invoice.statements import StatementFacts, StatementKind, blank_void, month, void

INVOICE = b'{"schema":"taxcontrol.invoice.v1","device":"661234567890"}'
VOID_TIME = 1_795_322_460  # 2026-11-22T12:41:00+08:00


def _void(**changes: object) -> bytes:
    members = {
        "device": "661234567890",
        "code": "053002600111",
        "number": "00000001",
        "void_time": VOID_TIME,
        "taxpayer": "91530100WWWDWGCXHG",
        "point": 3,
        "type": "026",
        "reason": "开票有误",
    }
    return void(INVOICE, **(members | changes))  # type: ignore[arg-type]


def _blank_void() -> bytes:
    return blank_void(
        device="661234567890",
        code="",
        number="26110000000000000001",
        void_time=VOID_TIME,
        taxpayer="91530100WWWDWGCXHG",
        point=0,
        type="082",
        reason="号码作废",
    )


def test_the_bytes_of_a_void() -> None:
    digest = sha256(INVOICE).hexdigest()

    assert _void().decode() == (
        '{"schema":"taxcontrol.void.v1","device":"661234567890","code":"053002600111",'
        '"number":"00000001","void_time":"2026-11-22T12:41:00+08:00",'
        '"taxpayer":"91530100WWWDWGCXHG","point":3,"type":"026",'
        f'"invoice_digest":"{digest}","reason":"开票有误"}}'
    )


def test_the_bytes_of_a_blank_void() -> None:
    assert _blank_void().decode() == (
        '{"schema":"taxcontrol.blank-void.v1","device":"661234567890","code":"",'
        '"number":"26110000000000000001","void_time":"2026-11-22T12:41:00+08:00",'
        '"taxpayer":"91530100WWWDWGCXHG","point":0,"type":"082","reason":"号码作废"}'
    )


def test_what_they_say_is_read_from_the_bytes() -> None:
    assert statements.facts(StatementKind.VOID, _void()) == StatementFacts(
        device="661234567890",
        code="053002600111",
        number="00000001",
        void_time=VOID_TIME,
        taxpayer="91530100WWWDWGCXHG",
        point=3,
        type="026",
        invoice_digest=sha256(INVOICE).hexdigest(),
        reason="开票有误",
    )
    blank = statements.facts(StatementKind.BLANK_VOID, _blank_void())
    assert (blank.number, blank.invoice_digest) == ("26110000000000000001", "")


def test_a_statement_passes_for_no_other() -> None:
    assert StatementKind.VOID.tag == content.VOID_TAG
    assert StatementKind.BLANK_VOID.tag == content.BLANK_VOID_TAG
    with pytest.raises(ValueError, match="not the members of a BLANK_VOID"):
        statements.facts(StatementKind.BLANK_VOID, _void())
    with pytest.raises(ValueError, match="not the members of a VOID"):
        statements.facts(StatementKind.VOID, _blank_void())
    with pytest.raises(ValueError, match="is not the schema of a VOID"):
        statements.facts(StatementKind.VOID, _void().replace(b"void.v1", b"vain.v1"))


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b"\xff", b'{"a":1'])
def test_what_is_no_statement_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's sentence is its own
        statements.facts(StatementKind.VOID, broken)


@pytest.mark.parametrize("told", [b'"soon"', b"7", b"null"])
def test_a_time_that_is_none_is_refused(told: bytes) -> None:
    broken = _void().replace(b'"2026-11-22T12:41:00+08:00"', told)

    with pytest.raises(ValueError):  # noqa: PT011 - the parser's sentence is its own
        statements.facts(StatementKind.VOID, broken)


@given(void_time=st.integers(946_684_800, 4_102_444_800))
def test_a_time_reads_back_to_the_second(void_time: int) -> None:
    assert statements.facts(StatementKind.VOID, _void(void_time=void_time)).void_time == void_time


def test_a_month_is_that_of_shanghai() -> None:
    begins = datetime(2027, 1, 1, tzinfo=SHANGHAI)

    assert month(int(begins.timestamp())) == (2027, 1)
    assert month(int(begins.timestamp()) - 1) == (2026, 12)
