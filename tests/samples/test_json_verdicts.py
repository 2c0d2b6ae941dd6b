"""Every row of ``verdicts-json.csv`` gets its verdict and its field from translation and rules."""

import csv
import json
import re
from pathlib import Path

import pytest
from google.protobuf import json_format

from gateway import convert
from invoice import content
from invoice.errors import Violation
from invoice.identifiers import parse_point_name, social_credit_code_valid
from invoice.rules import violations
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from tests.samples import translation
from tests.samples.translation import SAMPLES

with (SAMPLES / "verdicts-json.csv").open(encoding="utf-8", newline="") as table:
    ROWS = list(csv.DictReader(table))
FILES = [row["file"] for row in ROWS]
TAXPAYERS = translation.taxpayers("taxpayers-json.json")


def request(file: str) -> IssueInvoiceRequest:
    return json_format.Parse((SAMPLES / file).read_text("utf-8"), IssueInvoiceRequest())


def judged(file: str) -> list[Violation]:
    asked = request(file)
    draft, unknown = convert.draft(asked)
    return [*unknown, *violations(draft, TAXPAYERS[asked.seller.tax_number])]


@pytest.mark.parametrize("row", ROWS, ids=FILES)
def test_a_sample_gets_its_verdict_and_breaks_that_rule_alone(row: dict[str, str]) -> None:
    named = {(one.rule, re.sub("_(fen|ppm)$", "", one.field)) for one in judged(row["file"])}

    if row["verdict"] == "ACCEPT":
        assert named == set()
    else:
        assert (row["verdict"], row["field"]) in named
        assert {rule for rule, _ in named} == {row["verdict"]}


@pytest.mark.parametrize("file", FILES)
def test_two_independent_translations_agree(file: str) -> None:
    draft, unknown = convert.draft(request(file))

    assert (draft, unknown) == (translation.draft(request(file)), [])


@pytest.mark.parametrize("file", FILES)
def test_a_sample_is_written_with_the_names_of_the_contract(file: str) -> None:
    stated = json.loads((SAMPLES / file).read_text("utf-8"))
    spelled = json_format.MessageToDict(request(file), preserving_proto_field_name=True)

    assert stated.keys() == spelled.keys()
    assert stated["request_id"] == file.replace("/", "-").removesuffix(".json")
    taxpayer = parse_point_name(stated["point"]).taxpayer
    assert taxpayer == stated["seller"]["tax_number"]


def test_every_sample_has_a_row_and_every_row_a_sample() -> None:
    files = [path for folder in ("digital", "donation") for path in (SAMPLES / folder).iterdir()]

    assert {str(Path(path).relative_to(SAMPLES)) for path in files} == set(FILES)
    assert len(set(FILES)) == len(ROWS)


@pytest.mark.parametrize(("folder", "type_codes"), [("digital", {"081", "082"}), ("donation", {"D01"})])  # fmt: skip
def test_a_folder_shows_what_is_taken_and_what_is_not(folder: str, type_codes: set[str]) -> None:
    rows = [row for row in ROWS if row["file"].startswith(f"{folder}/")]
    accepted = [row["file"] for row in rows if row["verdict"] == "ACCEPT"]

    assert len(rows) >= 5
    assert len(accepted) >= 2
    assert {request(file).type for file in accepted} == type_codes


def test_sellers_have_right_tax_numbers_and_types_of_one_authority() -> None:
    assert all(map(social_credit_code_valid, TAXPAYERS))
    assert [sorted(taxpayer.grants) for taxpayer in TAXPAYERS.values()] == [
        ["026", "081", "082"],
        ["D01"],
    ]


def test_samples_differ_in_content() -> None:
    tails = {content.tail(convert.draft(request(file))[0], taxpayer="x", point=0) for file in FILES}

    assert len(tails) == len(FILES)
