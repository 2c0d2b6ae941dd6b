"""A real gateway tells Prometheus what it did, at the port that its configuration names."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from taxcontrol.admin.v1 import (
    stock_admin_service_pb2,
    stock_threshold_pb2,
    upload_admin_service_pb2,
)
from taxcontrol.v1 import invoice_service_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import new_id, ticket
from tests.e2e.wire import eventually, raw, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess
from tests.gateway.metrics import scraped

_ISSUE = "taxcontrol.v1.InvoiceService/IssueInvoice"
_BATCH = "taxcontrol.v1.InvoiceService/BatchIssueInvoices"


_AT_TIMES = {
    "taxcontrol_alerts",
    "taxcontrol_device_period_lock_timestamp_seconds",
    "taxcontrol_offline_limit_timestamp_seconds",
    "taxcontrol_stock_empty_timestamp_seconds",
    "taxcontrol_trace_spans_total",
    "taxcontrol_upload_in_doubt_timestamp_seconds",
    "taxcontrol_upload_window_allowed_calls",  # this authority has no windows
    "taxcontrol_upload_window_used_calls",
    "taxcontrol_webhook_failures_total",
    "taxcontrol_webhook_oldest_timestamp_seconds",
    "taxcontrol_webhook_waiting_messages",
}


class Scraper:
    """Prometheus, as far as this gateway can tell."""

    def __init__(self, gateway: GatewayProcess) -> None:
        lines = map(json.loads, gateway.log.read_text("utf-8").splitlines())
        (self.address,) = [line["address"] for line in lines if line["event"] == "metrics.started"]

    def text(self) -> bytes:
        return httpx.get(f"http://{self.address}/metrics", trust_env=False).content

    def series(self) -> scraped.Series:
        return scraped.read(self.text())


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    home = tmp_path_factory.mktemp("authority")
    with SimulatorProcess(home, arguments=["--windows", ""]) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    settings = '[metrics]\nlisten = "127.0.0.1:0"\n'
    home = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(home, authority=simulator.target, settings=settings) as running:
        yield running


def test_what_was_done_is_counted(gateway: GatewayProcess) -> None:
    platform, scraper = Platform(gateway.channel), Scraper(gateway)
    seller = platform.new_seller("026", stock=10)
    requests = [ticket(seller, new_id("metrics")) for _ in range(4)]

    for request in requests[:3]:
        platform.issue(request)
    bad = ticket(seller, new_id("metrics"))
    bad.buyer.name = ""
    with refused("INVALID_INVOICE"):
        platform.issue(bad)
    platform.invoices.BatchIssueInvoices(
        invoice_service_pb2.BatchIssueInvoicesRequest(requests=[requests[3], bad])
    )
    series = scraper.series()

    calls = "taxcontrol_rpc_calls_total"
    assert scraped.value(series, calls, method=_ISSUE, reason="OK") == 3
    assert scraped.value(series, calls, method=_ISSUE, reason="INVALID_INVOICE") == 1
    assert scraped.value(series, calls, method=_BATCH, reason="OK") == 1
    assert scraped.value(series, "taxcontrol_rpc_duration_seconds_count", method=_ISSUE) == 4
    assert scraped.value(series, "taxcontrol_invoices_issued_total", type="026") == 4
    refusals = "taxcontrol_invoices_refused_total"
    assert scraped.value(series, refusals, reason="INVALID_INVOICE") == 2
    assert scraped.value(series, "taxcontrol_sign_batch_invoices_sum") == 4
    assert scraped.value(series, "taxcontrol_issue_group_invoices_sum") == 8  # reserved and settled
    assert scraped.value(series, "taxcontrol_hsm_calls_total") >= 4
    assert scraped.value(series, "taxcontrol_hsm_failures_total") == 0
    assert scraped.value(series, "taxcontrol_hsm_keys") == 1
    assert scraped.value(series, "taxcontrol_ledger_commit_seconds_count") >= 4
    assert scraped.value(series, "taxcontrol_ledger_file_bytes") >= 4096
    assert scraped.value(series, "taxcontrol_ledger_wal_bytes") > 4096
    assert scraped.value(series, "taxcontrol_ready", service="all") == 1
    assert scraped.value(series, "taxcontrol_issue_in_work_invoices") == 0


def test_stock_and_backlog_are_told_of_as_they_were_surveyed(gateway: GatewayProcess) -> None:
    platform, scraper = Platform(gateway.channel), Scraper(gateway)
    seller = platform.new_seller("026", stock=10)
    platform.uploads.PauseUploads(
        upload_admin_service_pb2.PauseUploadsRequest(
            request_id=new_id("pause"), parent=seller.name, reason="检修"
        )
    )
    for _ in range(3):
        platform.issue(ticket(seller, new_id("metrics"), net_fen=12_300))
    tax = {"tax_number": seller.tax_number}

    def surveyed() -> bool:
        found = scraper.series()
        return found.get(("taxcontrol_unuploaded_invoices", frozenset(tax.items()))) == 3

    eventually(surveyed)
    series = scraper.series()

    stock = {**tax, "point": "0", "type": "026"}
    assert scraped.value(series, "taxcontrol_stock_available_invoices", **stock) == 7
    assert scraped.value(series, "taxcontrol_unuploaded_amount_yuan", **tax) == 369
    assert 0 <= scraped.value(series, "taxcontrol_unuploaded_oldest_age_seconds", **tax) < 60
    used = scraped.value(series, "taxcontrol_offline_budget_used_ratio", **tax, limit="amount")
    assert 0 < used < 1
    assert scraped.value(series, "taxcontrol_authority_reachable", authority="tax") == 1
    assert scraped.value(series, "taxcontrol_ledger_writable") == 1
    assert scraped.value(series, "taxcontrol_signing_available") == 1
    assert scraped.value(series, "taxcontrol_survey_age_seconds") < 60
    ends = "taxcontrol_device_certificate_expiry_timestamp_seconds"
    assert scraped.total(series, ends) > 0
    assert "other" not in scraped.labels_of(series, ends, "machine_number")


def test_whatever_rules_and_dashboard_ask_for_is_in_a_real_scrape(gateway: GatewayProcess) -> None:
    """But for what is there only when something is wrong, or when it is switched on."""
    platform, scraper = Platform(gateway.channel), Scraper(gateway)
    seller = platform.new_seller("026", stock=10)
    platform.stock_admin.SetStockThreshold(
        stock_admin_service_pb2.SetStockThresholdRequest(
            request_id=new_id("threshold"),
            threshold=stock_threshold_pb2.StockThreshold(
                parent=seller.point(0), type="026", low_count=9, target_count=10
            ),
            reason="示例",
        )
    )
    platform.issue(ticket(seller, new_id("metrics")))
    folder = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
    asked = {
        name
        for page in ("alerts.yml", "dashboard.json")
        for name in re.findall(
            r"\b(?:taxcontrol|process)_[a-z0-9_]+", folder.joinpath(page).read_text("utf-8")
        )
    }

    eventually(lambda: asked - scraped.names(scraper.series()) <= _AT_TIMES)

    page = folder.joinpath("README.md").read_text("utf-8")
    there = {
        family.name + "_total" * (family.type == "counter")
        for family in text_string_to_metric_families(scraper.text().decode())
        if family.name.startswith("taxcontrol_")
    }
    assert [name for name in there if f"`{name}" not in page] == []


def test_what_is_said_is_what_promtool_expects(gateway: GatewayProcess) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=Scraper(gateway).text(),
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_method_that_is_none_makes_no_series(gateway: GatewayProcess) -> None:
    call = raw(gateway.channel, "/taxcontrol.v1.InvoiceService/Surprise")

    with pytest.raises(grpc.RpcError):
        call(b"")

    methods = scraped.labels_of(Scraper(gateway).series(), "taxcontrol_rpc_calls_total", "method")
    assert not [method for method in methods if "Surprise" in method]


def test_a_metrics_port_in_use_ends_the_start_by_name(
    gateway: GatewayProcess, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    taken = Scraper(gateway).address
    second = GatewayProcess(
        tmp_path / "second",
        authority=simulator.target,
        settings=f'[metrics]\nlisten = "{taken}"\n',
    )
    second.prepare()

    status, said = second.refused()

    assert status == 1
    assert f"gateway: metrics: cannot listen on {taken}: Address already in use" in said
    assert "Traceback" not in said


def test_a_device_that_goes_away_is_seen(simulator: SimulatorProcess, tmp_path: Path) -> None:
    """Its token's folder is gone, so the next signature fails and the key's breaker opens."""
    settings = '[metrics]\nlisten = "127.0.0.1:0"\n'
    home = tmp_path / "gateway"
    with GatewayProcess(home, authority=simulator.target, settings=settings) as gateway:
        platform, scraper = Platform(gateway.channel), Scraper(gateway)
        seller = platform.new_seller("026", stock=10)
        platform.issue(ticket(seller, new_id("metrics")))
        tokens = home / "token" / "tokens"
        tokens.rename(home / "token" / "away")

        def gone() -> bool:
            try:
                platform.issue(ticket(seller, new_id("metrics")))
            except grpc.RpcError:
                return scraped.value(scraper.series(), "taxcontrol_hsm_open_breakers") == 1
            return False

        eventually(gone)

        series = scraper.series()
        assert scraped.value(series, "taxcontrol_hsm_failures_total") >= 1
        assert scraped.value(series, "taxcontrol_hsm_breaker_trips_total") == 1
        eventually(lambda: scraped.value(scraper.series(), "taxcontrol_ready", service="all") == 0)
