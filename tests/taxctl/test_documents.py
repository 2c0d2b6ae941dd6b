"""Files, folders and standard input are read in order; what is unreadable says why and stops nothing."""

import os
from pathlib import Path

import pytest

from sandbox.layout import SAMPLES
from taxctl.documents import documents

GOOD = (SAMPLES / "fpkj" / "ok-railway-ticket-0.xml").read_bytes()


def test_a_folder_is_its_documents_sorted_and_content_tells_what_they_are(tmp_path: Path) -> None:
    for name in ("b.xml", "a.XML", "c.txt", "aa.json", "ab.jsonl"):
        (tmp_path / name).write_bytes(GOOD)

    found = list(documents([str(tmp_path)], point=2))

    assert [Path(document.path).name for document in found] == [
        "a.XML",
        "aa.json",
        "ab.jsonl",
        "b.xml",
    ]
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
    assert problems[1] == "no *.xml, *.json, *.jsonl in this folder"
    assert all(problems)


def test_an_endless_file_is_read_as_far_as_is_taken() -> None:
    [found] = documents(["/dev/zero"], point=0)

    assert "DOCUMENT_TOO_LARGE" in found.problem


def test_places_tell_several_requests_of_one_file_apart(tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text('[{"request_id": "a"}, {"request_id": "b"}]')
    (tmp_path / "lines.jsonl").write_text('\n{"request_id": "a"}\n\n{"request_id": "b"}\n')
    (tmp_path / "one.json").write_text('{"request_id": "a"}')

    found = {Path(one.path).name: one for one in documents([str(tmp_path)], point=0)}

    assert found["two.json"].places == ("[0]", "[1]")
    assert found["lines.jsonl"].places == ("line 2", "line 4")
    assert found["one.json"].places == ("",)
    assert {one.problem for one in found.values()} == {""}


def test_json_may_be_larger_than_fpkj_and_not_endless(tmp_path: Path) -> None:
    large, endless = tmp_path / "large.json", tmp_path / "endless.json"
    large.write_bytes(b"[" + b",".join([b'{"remark": "' + b"x" * 1_000_000 + b'"}'] * 3) + b"]")
    endless.write_bytes(b"[" + b" " * (32 * 1024 * 1024))

    taken, refused = documents([str(large), str(endless)], point=0)

    assert (len(taken.requests), taken.problem) == (3, "")
    assert "DOCUMENT_TOO_LARGE" in refused.problem
