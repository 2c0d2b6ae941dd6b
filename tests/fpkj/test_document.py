"""Hostile and damaged documents end in one named error, quickly."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpkj
from fpkj.document import DEPTH_MAX, DOCUMENT_BYTES_MAX, ELEMENT_COUNT_MAX, parse

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "fpkj"
PLAIN = (SAMPLES / "ok-merchant-discount.xml").read_bytes()
TEXT = PLAIN.decode("gbk")


def refused(data: bytes) -> fpkj.FpkjError:
    with pytest.raises(fpkj.FpkjError) as raised:
        fpkj.read(data)
    assert raised.value.field == ""
    return raised.value


LAUGHS = "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">' for n in range(10)
)


@pytest.mark.parametrize(
    "doctype",
    [
        f"<!DOCTYPE business [{LAUGHS}]>",
        '<!DOCTYPE business [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE business SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE business PUBLIC "-//x//y" "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE business [<!ENTITY % x SYSTEM "file:///etc/passwd">%x;]>',
        "<!DOCTYPE business>",
    ],
)
def test_a_doctype_is_refused_whatever_is_in_it(doctype: str) -> None:
    declaration, rest = TEXT.split("\n", 1)

    error = refused(f"{declaration}\n{doctype}\n{rest}".encode("gbk"))

    assert error.rule == "XML_FORBIDDEN"
    assert "DOCTYPE" in error.message


def test_an_undeclared_entity_is_refused() -> None:
    error = refused(TEXT.replace("<BZ>", "<BZ>&lol;").encode("gbk"))

    assert error.rule == "XML_MALFORMED"
    assert "entity" in error.message


def test_a_processing_instruction_is_refused() -> None:
    error = refused(TEXT.replace("<BZ>", '<?xml-stylesheet href="x"?><BZ>').encode("gbk"))

    assert (error.rule, "processing instruction" in error.message) == ("XML_FORBIDDEN", True)


def test_comments_and_character_references_are_taken() -> None:
    document = TEXT.replace("<BZ>", "<!-- 说明 --><BZ>&#65;&#x6D4B;<![CDATA[<b>]]>")

    [request] = fpkj.read(document.encode("gbk"))

    assert request.remark == "A测<b>"


@pytest.mark.parametrize(
    "encoding", ["gbk", "GBK", "gb2312", "GB2312", "gb18030", "utf-8", "UTF-8"]
)
def test_a_document_is_read_in_the_encoding_it_declares(encoding: str) -> None:
    document = TEXT.replace('encoding="gbk"', f"encoding='{encoding}'")

    assert fpkj.read(document.encode(encoding)) == fpkj.read(PLAIN)


def test_a_document_without_a_declaration_is_utf_8() -> None:
    document = TEXT.split("\n", 1)[1]

    assert fpkj.read(document.encode("utf-8")) == fpkj.read(PLAIN)
    assert refused(document.encode("gbk")).rule == "ENCODING"


def test_a_byte_order_mark_means_utf_8_and_nothing_else() -> None:
    utf8 = TEXT.replace('encoding="gbk"', 'encoding="utf-8"')

    assert fpkj.read(utf8.encode("utf-8-sig")) == fpkj.read(PLAIN)
    error = refused(TEXT.encode("utf-8-sig"))
    assert error.rule == "ENCODING"
    assert "gbk" in error.message
    assert "utf-8" in error.message


@pytest.mark.parametrize("encoding", ["utf-16", "big5", "latin-1", "utf-7", "hz", "idna", "zip"])
def test_any_other_encoding_is_refused_by_name(encoding: str) -> None:
    error = refused(TEXT.replace('encoding="gbk"', f'encoding="{encoding}"').encode("gbk"))

    assert error.rule == "ENCODING"
    assert encoding in error.message


def test_bytes_in_another_encoding_than_declared_are_refused() -> None:
    assert refused(PLAIN.replace(b'encoding="gbk"', b'encoding="utf-8"')).rule == "ENCODING"
    assert refused(TEXT.encode("utf-8") + b"\xff").rule == "ENCODING"
    assert refused(TEXT.encode("utf-16")).rule == "ENCODING"


def test_an_oversized_document_is_refused_before_it_is_read() -> None:
    room = DOCUMENT_BYTES_MAX - len(PLAIN)

    fpkj.read(PLAIN + b"\n" * room)
    assert refused(PLAIN + b"\n" * (room + 1)).rule == "DOCUMENT_TOO_LARGE"


def test_depth_is_bounded() -> None:
    inside = b"<a>" * DEPTH_MAX + b"</a>" * DEPTH_MAX

    parse(inside)
    assert refused(b"<a>" + inside + b"</a>").rule == "XML_FORBIDDEN"


def test_the_number_of_elements_is_bounded() -> None:
    parse(b"<a>" + b"<b/>" * (ELEMENT_COUNT_MAX - 1) + b"</a>")
    assert refused(b"<a>" + b"<b/>" * ELEMENT_COUNT_MAX + b"</a>").rule == "XML_FORBIDDEN"


@pytest.mark.parametrize(
    "data", [b"", b" ", b"x", b"<a>", b"<a></b>", b"<a/><b/>", b"<a>\x00</a>", PLAIN[:-20]]
)
def test_what_is_not_xml_is_refused(data: bytes) -> None:
    assert refused(data).rule == "XML_MALFORMED"


@given(st.binary(max_size=200))
def test_no_bytes_end_in_anything_but_the_named_error(data: bytes) -> None:
    with pytest.raises(fpkj.FpkjError):
        fpkj.read(data)


@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 255))
def test_a_damaged_byte_is_read_or_refused_by_name(place: int, byte: int) -> None:
    damaged = PLAIN[:place] + bytes([byte]) + PLAIN[place + 1 :]

    # Some damage falls into a text and still reads; none may end in a foreign exception.
    with suppress(fpkj.FpkjError):
        assert len(fpkj.read(damaged)) == 1


@given(st.integers(0, len(PLAIN) - 1))
def test_a_document_cut_short_is_refused(length: int) -> None:
    with pytest.raises(fpkj.FpkjError):
        fpkj.read(PLAIN[:length])
