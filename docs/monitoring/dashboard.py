"""Writes dashboard.json, the Grafana dashboard: ``python docs/monitoring/dashboard.py``.

Each panel is a line here, so that a change reads as one; a test keeps the file and this in step.
"""

import json
from pathlib import Path
from typing import Any, Final

_JOB: Final = 'job="taxcontrol",instance=~"$instance"'
_COLUMN_COUNT: Final = 24
_HEIGHT: Final = 8

# (title, unit, kind, width, (query, legend)…). JOB stands for the chosen gateways.
_Panel = tuple[str, str, str, int, tuple[tuple[str, str], ...]]
_RATE: Final = "[$__rate_interval]"


def _quantiles(name: str, *, more: str = "", by: str = "") -> tuple[tuple[str, str], ...]:
    rate = f"sum by (le{by}) (rate({name}_bucket{{JOB{more}}}{_RATE}))"
    return tuple(
        (f"histogram_quantile({share}, {rate})", f"p{share[2:]}") for share in ("0.50", "0.99")
    )


_ISSUE: Final = ',method="taxcontrol.v1.InvoiceService/IssueInvoice"'
_ROWS: Final[tuple[tuple[str, tuple[_Panel, ...]], ...]] = (
    (
        "At a glance",
        (
            ("Ready", "bool_yes_no", "stat", 4, (('min(taxcontrol_ready{JOB,service="all"})', ""),)),
            ("Invoices per second", "short", "stat", 4, ((f"sum(rate(taxcontrol_invoices_issued_total{{JOB}}{_RATE}))", ""),)),
            ("Un-uploaded", "short", "stat", 4, (("sum(taxcontrol_unuploaded_invoices{JOB})", ""),)),
            ("Most used budget", "percentunit", "stat", 4, (("max(taxcontrol_offline_budget_used_ratio{JOB})", ""),)),
            ("Oldest un-uploaded", "s", "stat", 4, (("max(taxcontrol_unuploaded_oldest_age_seconds{JOB})", ""),)),
            ("Alerts", "short", "stat", 4, (("sum(taxcontrol_alerts{JOB})", ""),)),
        ),
    ),
    (
        "Stock and alerts",
        (
            ("Stock nearest to its end", "short", "table", 12, (("sort(bottomk(20, taxcontrol_stock_available_invoices{JOB}))", "{{tax_number}} {{point}} {{type}}"),)),
            ("Stock used up in", "s", "timeseries", 12, (("bottomk(10, taxcontrol_stock_empty_timestamp_seconds{JOB} - time())", "{{tax_number}} {{point}} {{type}}"),)),
            ("Places by grade of their stock", "short", "timeseries", 8, (("sum by (grade) (taxcontrol_stock_places{JOB})", "{{grade}}"),)),
            ("Below their threshold by", "short", "timeseries", 8, (("topk(10, taxcontrol_stock_low_invoices{JOB} - taxcontrol_stock_available_invoices{JOB} > 0)", "{{tax_number}} {{point}} {{type}}"),)),
            ("Alerts by kind", "short", "timeseries", 8, (("sum by (kind, severity) (taxcontrol_alerts{JOB}) > 0", "{{kind}} {{severity}}"),)),
        ),
    ),
    (
        "Backlog and budgets",
        (
            ("Un-uploaded invoices", "short", "timeseries", 8, (("topk(10, taxcontrol_unuploaded_invoices{JOB})", "{{tax_number}}"),)),
            ("Un-uploaded amount", "currencyCNY", "timeseries", 8, (("topk(10, taxcontrol_unuploaded_amount_yuan{JOB})", "{{tax_number}}"),)),
            ("Age of the oldest", "s", "timeseries", 8, (("topk(10, taxcontrol_unuploaded_oldest_age_seconds{JOB})", "{{tax_number}}"),)),
            ("Budgets used", "percentunit", "timeseries", 8, (("topk(10, taxcontrol_offline_budget_used_ratio{JOB})", "{{tax_number}} {{limit}}"),)),
            ("First limit reached in", "s", "timeseries", 8, (("bottomk(10, taxcontrol_offline_limit_timestamp_seconds{JOB} - time())", "{{tax_number}}"),)),
            ("Devices and types by grade", "short", "timeseries", 8, (("sum by (grade) (taxcontrol_offline_meters{JOB})", "{{grade}}"),)),
        ),
    ),
    (
        "Uploads",
        (
            ("Rate windows used", "percentunit", "timeseries", 8, (("topk(10, taxcontrol_upload_window_used_calls{JOB} / taxcontrol_upload_window_allowed_calls{JOB})", "{{tax_number}} {{period_seconds}} s"),)),
            ("Share of the allowed rate", "percentunit", "timeseries", 8, (("bottomk(10, taxcontrol_upload_rate_share_ratio{JOB})", "{{tax_number}}"),)),
            ("In doubt and rejected", "short", "timeseries", 8, (("topk(10, taxcontrol_upload_in_doubt_invoices{JOB}) > 0", "in doubt {{tax_number}}"), ("topk(10, taxcontrol_upload_rejected_invoices{JOB}) > 0", "rejected {{tax_number}} {{cause}}"))),
            ("Authority reachable", "bool_yes_no", "timeseries", 8, (("taxcontrol_authority_reachable{JOB}", "{{instance}} {{authority}}"),)),
            ("Clock ahead of the authority", "s", "timeseries", 8, (("taxcontrol_clock_ahead_seconds{JOB}", "{{instance}}"), ("taxcontrol_clock_clamped_seconds{JOB}", "{{instance}} clamped"))),
            ("Webhook: messages that wait", "short", "timeseries", 8, (("taxcontrol_webhook_waiting_messages{JOB}", "{{instance}}"),)),
        ),
    ),
    (
        "Calls and issuing",
        (
            ("Calls by method", "reqps", "timeseries", 8, ((f"sum by (method) (rate(taxcontrol_rpc_calls_total{{JOB}}{_RATE}))", "{{method}}"),)),
            ("Refusals by reason", "reqps", "timeseries", 8, ((f'sum by (reason) (rate(taxcontrol_rpc_calls_total{{JOB,reason!="OK"}}{_RATE}))', "call {{reason}}"), (f"sum by (reason) (rate(taxcontrol_invoices_refused_total{{JOB}}{_RATE}))", "invoice {{reason}}"))),
            ("Latency of IssueInvoice", "s", "timeseries", 8, _quantiles("taxcontrol_rpc_duration_seconds", more=_ISSUE)),
            ("Invoices by type", "short", "timeseries", 8, ((f"sum by (type) (rate(taxcontrol_invoices_issued_total{{JOB}}{_RATE}))", "{{type}}"),)),
            ("In work", "short", "timeseries", 8, (("taxcontrol_issue_in_work_invoices{JOB}", "{{instance}} in work"), ("taxcontrol_issue_waiting_invoices{JOB}", "{{instance}} waiting"), ("taxcontrol_issue_in_work_limit_invoices{JOB}", "{{instance}} limit"))),
            ("Group size", "short", "timeseries", 8, _quantiles("taxcontrol_issue_group_invoices")),
        ),
    ),
    (
        "Device and ledger",
        (
            ("Signing", "s", "timeseries", 8, _quantiles("taxcontrol_sign_seconds")),
            ("Invoices in one call to the device", "short", "timeseries", 8, _quantiles("taxcontrol_sign_batch_invoices")),
            ("Lanes", "short", "timeseries", 8, (("taxcontrol_hsm_busy_lanes{JOB}", "{{instance}} busy"), ("taxcontrol_hsm_hanging_lanes{JOB}", "{{instance}} hanging"), ("taxcontrol_hsm_lanes{JOB}", "{{instance}} all"))),
            ("Device failures", "short", "timeseries", 8, ((f"rate(taxcontrol_hsm_failures_total{{JOB}}{_RATE})", "{{instance}} failed"), (f"rate(taxcontrol_hsm_late_calls_total{{JOB}}{_RATE})", "{{instance}} late"), ("taxcontrol_hsm_open_breakers{JOB}", "{{instance}} open breakers"))),
            ("Group commit and COMMIT", "s", "timeseries", 8, (*_quantiles("taxcontrol_issue_group_commit_seconds"), *_quantiles("taxcontrol_ledger_commit_seconds"))),
            ("Ledger", "bytes", "timeseries", 8, (("taxcontrol_ledger_file_bytes{JOB}", "{{instance}} file"), ("taxcontrol_ledger_wal_bytes{JOB}", "{{instance}} log"), ("taxcontrol_ledger_disk_free_bytes{JOB}", "{{instance}} free"))),
            ("Writes that wait", "short", "timeseries", 8, (("taxcontrol_ledger_waiting_writes{JOB}", "{{instance}}"),)),
            ("Certificates expire in", "s", "timeseries", 8, (("bottomk(10, taxcontrol_device_certificate_expiry_timestamp_seconds{JOB} - time())", "{{tax_number}} {{machine_number}}"),)),
            ("Process", "bytes", "timeseries", 8, (("process_resident_memory_bytes{JOB}", "{{instance}} memory"),)),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in _ROWS:
        panels.append(
            {
                "type": "row",
                "title": title,
                "id": len(panels) + 1,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": _COLUMN_COUNT, "h": 1},
            }
        )
        left, top = 0, top + 1
        for panel in row:
            width = panel[3]
            height = _HEIGHT // 2 if panel[2] == "stat" else _HEIGHT
            if left + width > _COLUMN_COUNT:
                left, top = 0, top + height
            place = {"x": left, "y": top, "w": width, "h": height}
            panels.append(_panel(panel, len(panels) + 1, place))
            left += width
        top += height
    return {
        "title": "taxcontrol",
        "uid": "taxcontrol",
        "schemaVersion": 39,
        "tags": ["taxcontrol"],
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "Asia/Shanghai",
        "templating": {"list": _VARIABLES},
        "panels": panels,
    }


_VARIABLES: Final = [
    {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
    {
        "name": "instance",
        "label": "Gateway",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "query": 'label_values(taxcontrol_build_info{job="taxcontrol"}, instance)',
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    },
]


def _panel(panel: _Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    title, unit, kind, _, queries = panel
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "type": kind,
        "title": title,
        "id": number,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": source,
                "expr": query.replace("JOB", _JOB),
                "legendFormat": legend,
                "instant": kind == "table",
                "format": "table" if kind == "table" else "time_series",
            }
            for index, (query, legend) in enumerate(queries)
        ],
    }


def text() -> str:
    """What dashboard.json holds."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("dashboard.json").write_text(text(), "utf-8")
