"""Files, folders and standard input are read in order; what is unreadable says why and stops nothing."""

import os
from pathlib import Path

import pytest

from sandbox.layout import SAMPLES
from taxctl.documents import documents

GOOD = (SAMPLES / "fpkj" / "ok-railway-ticket-0.xml").read_bytes()


def test_a_folder_is_its_xml_files_sorted(tmp_path: Path) -> None:
    for name in ("b.xml", "a.XML", "c.txt"):
        (tmp_path / name).write_bytes(GOOD)

    found = list(documents([str(tmp_path)], point=2))

    assert [Path(document.path).name for document in found] == ["a.XML", "b.xml"]
    assert {one.point for document in found for one in document.requests} == {
        "taxpayers/91110000AYTLHUJ0ET/points/2"
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "XML_MALFORMED"),
        (b"<business", "XML_MALFORMED"),
        (b'<?xml version="1.0" encoding="gbk"?><business id="FPKJ">\xff', "ENCODING"),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "XML_FORBIDDEN"),
        (b" " * (2 * 1024 * 1024 + 1), "DOCUMENT_TOO_LARGE"),
        (GOOD.replace(b"<KPLX>0", b"<KPLX>7"), "COMMON_FPKJ_FPT/KPLX: FIELD_FORMAT"),
    ],
)
def test_an_unreadable_file_says_why_and_stops_nothing(
    tmp_path: Path, content: bytes, said: str
) -> None:
    bad, good = tmp_path / "bad.xml", tmp_path / "good.xml"
    bad.write_bytes(content)
    good.write_bytes(GOOD)

    first, second = documents([str(bad), str(good)], point=0)

    assert said in first.problem
    assert first.requests == ()
    assert (second.problem, len(second.requests)) == ("", 1)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    paths = [str(tmp_path / "gone.xml"), str(tmp_path), "nul\0byte", os.fsdecode(b"\xff")]

    problems = [document.problem for document in documents(paths, point=0)]

    assert problems[0] == "No such file or directory"
    assert problems[1] == "no *.xml in this folder"
    assert all(problems)


def test_an_endless_file_is_read_as_far_as_is_taken() -> None:
    [found] = documents(["/dev/zero"], point=0)

    assert "DOCUMENT_TOO_LARGE" in found.problem
