"""Every row of ``verdicts.csv`` gets its verdict and its field from codec and rules together."""

import csv
import re

import pytest

import fpkj
from invoice import content
from invoice.rules import violations
from tests.samples.translation import SAMPLES, draft, taxpayers

with (SAMPLES / "verdicts.csv").open(encoding="utf-8", newline="") as table:
    ROWS = list(csv.DictReader(table))
TAXPAYERS = taxpayers()


def judged(file: str) -> set[tuple[str, str]]:
    """Name what is wrong with a sample as ``verdicts.csv`` does: fields without their units."""
    [request] = fpkj.read((SAMPLES / file).read_bytes())
    taxpayer = TAXPAYERS[request.seller.tax_number]
    return {
        (violation.rule, re.sub("_(fen|ppm)$", "", violation.field))
        for violation in violations(draft(request), taxpayer)
    }


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_a_sample_gets_its_verdict(row: dict[str, str]) -> None:
    named = judged(row["file"])

    if row["verdict"] == "ACCEPT":
        assert named == set()
    else:
        assert (row["verdict"], row["field"]) in named


def test_every_sample_has_a_row_and_every_row_a_sample() -> None:
    files = {f"fpkj/{path.name}" for path in (SAMPLES / "fpkj").glob("*.xml")}

    assert {row["file"] for row in ROWS} == files
    assert len(ROWS) == 41


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_a_sample_survives_the_way_through_our_message(row: dict[str, str]) -> None:
    [request] = fpkj.read((SAMPLES / row["file"]).read_bytes(), point=3)

    assert fpkj.read(fpkj.write(request), point=3) == [request]


def test_samples_differ_in_content() -> None:
    accepted = [row["file"] for row in ROWS if row["verdict"] == "ACCEPT"]
    tails = set()
    for file in accepted:
        [request] = fpkj.read((SAMPLES / file).read_bytes())
        tails.add(content.tail(draft(request), taxpayer=request.seller.tax_number, point=0))

    assert len(tails) == len(accepted)
