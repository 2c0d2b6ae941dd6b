"""However many taxpayers there are, a scrape has 2,000 series at most, and says of all of them how many."""

import shutil
import subprocess

import pytest

from gateway.metrics import taxpayers
from gateway.metrics.breath import Breath
from gateway.metrics.gathering import SERIES_COUNT_MAX, Gathering
from quota.offline import Grade
from tests.gateway.metrics import scraped
from tests.gateway.metrics.surveys import NOW, crowd, everything, meter, stock, survey, taxpayer

TAXPAYER_COUNT = 10_000
POINT_COUNT = 5


@pytest.fixture(scope="module")
def crowded() -> bytes:
    return Gathering(everything(crowd(TAXPAYER_COUNT, POINT_COUNT), names=80)).text()


def test_ten_thousand_taxpayers_make_no_more_than_two_thousand_series(crowded: bytes) -> None:
    series = scraped.read(crowded)

    print(f"series={len(series)} bytes={len(crowded)}")
    assert 1500 < len(series) <= SERIES_COUNT_MAX == 2000


def test_whatever_is_not_named_is_in_the_sums(crowded: bytes) -> None:
    series = scraped.read(crowded)

    invoices = 2 * sum(range(TAXPAYER_COUNT))
    assert scraped.total(series, "taxcontrol_unuploaded_invoices") == invoices
    assert scraped.total(series, "taxcontrol_rpc_calls_total") == 80 * 80
    assert scraped.total(series, "taxcontrol_rpc_duration_seconds_count") == 80 * 80
    assert scraped.total(series, "taxcontrol_invoices_issued_total") == 80 * 7
    assert scraped.total(series, "taxcontrol_alerts") == 80 * 80
    assert scraped.total(series, "taxcontrol_stock_places") == TAXPAYER_COUNT * POINT_COUNT
    assert scraped.total(series, "taxcontrol_devices") == TAXPAYER_COUNT * 3
    available = sum(
        number + max(point, 0)
        for number in range(TAXPAYER_COUNT)
        for point in range(-1, POINT_COUNT - 1)
    )
    assert scraped.total(series, "taxcontrol_stock_available_invoices") == available


def test_promtool_has_nothing_to_say_about_the_names(crowded: bytes) -> None:
    assert shutil.which("promtool"), "run scripts/install-test-tools.sh"

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=crowded, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_stock_nearest_to_its_end_has_a_name() -> None:
    many = [
        taxpayer(f"A{number:03}", stock=(stock(1000 + number, empty_at=NOW + 1e6),))
        for number in range(200)
    ]
    soon = taxpayer("SOON", stock=(stock(9999, empty_at=NOW + 60),))
    gone = taxpayer("GONE", stock=(stock(0, grade=Grade.STOP),))

    series = scraped.read(Gathering(everything(survey(*many, soon, gone))).text())

    named = scraped.labels_of(series, "taxcontrol_stock_available_invoices", "tax_number")
    assert {"SOON", "GONE", "A000", "other"} < named
    assert "A199" not in named
    assert len(named) == 90
    empty = "taxcontrol_stock_empty_timestamp_seconds"
    assert scraped.value(series, empty, tax_number="SOON", point="0", type="026") == NOW + 60
    other = {"tax_number": "other", "point": "other", "type": "other"}
    assert scraped.value(series, empty, **other) == NOW + 1e6


def test_the_most_used_budget_has_a_name_whoever_issues_most() -> None:
    many = [taxpayer(f"A{number:03}", meters=(meter(9000 + number),)) for number in range(100)]
    tight = taxpayer("TIGHT", meters=(meter(10, used=0.95),))

    series = scraped.read(Gathering(everything(survey(*many, tight))).text())

    used = "taxcontrol_offline_budget_used_ratio"
    assert scraped.value(series, used, tax_number="TIGHT", limit="count") == 0.95
    left = "taxcontrol_offline_budget_left_ratio"
    assert scraped.value(series, left, tax_number="TIGHT", limit="count") == pytest.approx(0.05)
    assert scraped.value(series, used, tax_number="other", limit="count") == 0
    assert "A000" not in scraped.labels_of(series, used, "tax_number")
    age = "taxcontrol_unuploaded_oldest_age_seconds"
    assert scraped.value(series, age, tax_number="TIGHT") == 600


def test_a_few_are_all_named_and_there_is_no_other() -> None:
    one = taxpayer("ONE", stock=(stock(10, point=None), stock(20)), meters=(meter(4, used=0.5),))

    series = scraped.read(Gathering(everything(survey(one))).text())

    assert not any("other" in dict(labels).values() for _, labels in series)
    name = "taxcontrol_stock_available_invoices"
    assert scraped.value(series, name, tax_number="ONE", point="pool", type="026") == 10
    assert scraped.value(series, "taxcontrol_unuploaded_amount_yuan", tax_number="ONE") == 493.8
    window = {"tax_number": "ONE", "period_seconds": "1"}
    assert scraped.value(series, "taxcontrol_upload_window_used_calls", **window) == 4
    assert scraped.value(series, "taxcontrol_upload_window_allowed_calls", **window) == 10
    assert scraped.value(series, "taxcontrol_survey_age_seconds") == 5
    assert scraped.value(series, "taxcontrol_authority_reachable", authority="finance") == 0


def test_before_the_first_survey_there_is_nothing_of_taxpayers() -> None:
    series = scraped.read(Gathering(everything(None)).text())

    assert not [name for name in scraped.names(series) if "stock" in name or "unuploaded" in name]
    assert scraped.value(series, "taxcontrol_hsm_open_breakers") == 1


def test_a_scrape_of_many_gives_way_time_and_again() -> None:
    pauses_s: list[float] = []

    taxpayers.families(crowd(3000, POINT_COUNT), NOW, Breath(pauses_s.append))

    # Ranking 15,000 places takes a hundred times a slice of a millisecond on any machine.
    assert len(pauses_s) > 20
    assert min(pauses_s) > 0
