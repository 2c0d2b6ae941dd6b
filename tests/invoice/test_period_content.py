"""The bytes of a month's summary, what they say again, and what an invoice adds up to by rate."""

import json

import pytest

from invoice import period_content, rates
from invoice.document import Line
from invoice.period_content import Group, GroupTotal, PeriodFacts, TypeStatistics

APRIL_1 = 1_806_508_805  # 2027-04-01T00:00:05+08:00
FIGURES = TypeStatistics(
    type="026",
    opening=5,
    drawn=100,
    returned=10,
    blue=3,
    blue_void=1,
    red=1,
    blank_void=1,
    totals=(
        GroupTotal(Group.BLUE, 60_000, 3, 55_000, 3_300),
        GroupTotal(Group.RED, 60_000, 1, -30_000, -1_800),
    ),
)
SUMMARY = {
    "device": "661000000001",
    "taxpayer": "91310115MA1FEXMP0M",
    "period": "2027-03",
    "summary_time": APRIL_1,
}


def test_the_members_stand_in_the_order_of_the_contract() -> None:
    other = TypeStatistics(type="007")

    made = period_content.summary(types=(FIGURES, other), **SUMMARY)  # type: ignore[arg-type]

    members = json.loads(made)
    assert list(members) == ["schema", "device", "taxpayer", "period", "summary_time", "types"]
    assert members["schema"] == "taxcontrol.period.v1"
    assert members["summary_time"] == "2027-04-01T00:00:05+08:00"
    assert [one["type"] for one in members["types"]] == ["007", "026"]
    assert list(members["types"][1]) == [
        *("type", "opening", "drawn", "returned", "blue", "blue_void", "red", "red_void"),
        *("blank_void", "closing", "totals"),
    ]
    assert members["types"][1]["closing"] == 90
    assert members["types"][1]["totals"][1] == {
        "group": "red",
        "rate_ppm": 60_000,
        "invoices": 1,
        "net_fen": -30_000,
        "tax_fen": -1_800,
    }


def test_a_summary_says_again_what_it_was_made_of() -> None:
    made = period_content.summary(types=(FIGURES,), **SUMMARY)  # type: ignore[arg-type]

    assert period_content.facts(made) == PeriodFacts(types=(FIGURES,), **SUMMARY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"closing":90', b'"closing":91'),
        (b"taxcontrol.period.v1", b"taxcontrol.invoice.v1"),
        (b'"device"', b'"other"'),
        (b'"group":"red"', b'"group":"green"'),
        (b'"opening":5,', b""),
    ],
)
def test_what_is_no_summary_is_not_read(right: bytes, wrong: bytes) -> None:
    made = period_content.summary(types=(FIGURES,), **SUMMARY)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r".+"):
        period_content.facts(made.replace(right, wrong))


def test_lines_add_up_by_rate_without_their_tax() -> None:
    lines = (
        Line(rate_ppm=130_000, amount_fen=1_130, tax_fen=130, tax_inclusive=True),
        Line(rate_ppm=60_000, amount_fen=500, tax_fen=30),
        Line(rate_ppm=130_000, amount_fen=-100, tax_fen=-13),
    )

    assert rates.of_lines(lines) == ((60_000, 500, 30), (130_000, 900, 117))
