"""Every taxpayer is looked at, not one of them."""

from dataclasses import replace

from gateway.alerts.conditions import conditions
from tests.gateway.metrics.surveys import survey, taxpayer


def test_what_is_wrong_with_each_of_several_taxpayers_is_found() -> None:
    names = {f"{number:018}" for number in range(5)}
    lines = [replace(taxpayer(name), rejected_count=1) for name in sorted(names)]

    found = conditions(survey(*lines), {})

    assert {place.tax_number for place in found if place.kind == "UPLOAD_REJECTED"} == names
