"""Rules and dashboard ask for nothing that is not there, and every rule is seen to fire."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics.gathering import Gathering
from taxcontrol.admin.v1 import alert_pb2
from tests.gateway.metrics import scraped
from tests.gateway.metrics.surveys import NOW, everything, meter, stock, survey, taxpayer

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "docs" / "monitoring"
RULES = (MONITORING / "alerts.yml").read_text("utf-8")
RULE_TESTS = (MONITORING / "alerts.test.yml").read_text("utf-8")
README = (MONITORING / "README.md").read_text("utf-8")
DASHBOARD = (MONITORING / "dashboard.json").read_text("utf-8")

_METRIC = re.compile(r"\b(?:taxcontrol|process)_[a-z0-9_]+")


@pytest.fixture(scope="module")
def text() -> bytes:
    """A scrape with everything in it that there is."""
    one = taxpayer(
        "91110000AYTLHUJ0ET", stock=(stock(10, empty_at=NOW + 60),), meters=(meter(4, used=0.5),)
    )
    return Gathering(everything(survey(one))).text()


@pytest.fixture(scope="module")
def scrape(text: bytes) -> scraped.Series:
    return scraped.read(text)


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", "alerts.yml")


def test_each_rule_says_what_it_should_when_it_should() -> None:
    promtool("test", "rules", "alerts.test.yml")


def test_each_rule_is_seen_to_fire() -> None:
    names = re.findall(r"- alert: (\w+)", RULES)

    unseen = [
        name for name in names if not re.search(rf"alertname: {name}\n +exp_alerts:\n", RULE_TESTS)
    ]

    assert len(names) == len(set(names)) > 25
    assert unseen == []


def test_each_rule_has_words_and_leads_to_what_to_do() -> None:
    kinds = {name.removeprefix("KIND_").lower() for name, _ in alert_pb2.Alert.Kind.items()}
    headings = set(re.findall(r"^### (\w+)$", README, re.MULTILINE))

    for rule in RULES.split("- alert: ")[1:]:
        assert re.search(r"severity: (warning|serious|critical)\}", rule), rule
        assert "summary: " in rule, rule
        assert "description: " in rule, rule
        page, _, anchor = rule.split("runbook: ")[1].split()[0].partition("#")
        known = {"docs/operating.md": kinds, "docs/monitoring/README.md": headings}
        assert anchor in known[page], rule
    assert headings == set(re.findall(r"README.md#(\w+)", RULES))


def test_rules_ask_for_nothing_that_is_not_there(scrape: scraped.Series) -> None:
    asked = set(_METRIC.findall(re.sub(r"#.*", "", RULES)))

    assert asked - scraped.names(scrape) == set()


def test_the_dashboard_asks_for_nothing_that_is_not_there(scrape: scraped.Series) -> None:
    board = json.loads(DASHBOARD)
    queries = [
        target["expr"] for panel in board["panels"] for target in panel.get("targets", ())
    ] + [each["query"] for each in board["templating"]["list"]]

    asked = {name for query in queries for name in _METRIC.findall(query)}

    assert len(asked) > 40
    assert asked - scraped.names(scrape) == set()


def test_the_dashboard_is_the_one_that_its_program_writes() -> None:
    program = (MONITORING / "dashboard.py").as_posix()
    code = f"import runpy; print(runpy.run_path({program!r})['text'](), end='')"

    written = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert written == DASHBOARD


def test_panels_lie_beside_and_below_each_other() -> None:
    taken: set[tuple[int, int]] = set()

    for panel in json.loads(DASHBOARD)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_queries_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    """As recording rules, which is how promtool reads an expression."""
    lines = ["groups:", "  - name: panels", "    rules:"]
    for panel in json.loads(DASHBOARD)["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            lines += [f"      - record: panel:p{len(lines)}", f"        expr: {json.dumps(query)}"]
    rules = tmp_path / "panels.yml"
    rules.write_text("\n".join(lines), "utf-8")

    promtool("check", "rules", str(rules))


def test_the_page_explains_every_metric_and_no_other(text: bytes) -> None:
    explained = set(_METRIC.findall(re.sub(r"process_\*", "", README)))
    there = {
        family.name + "_total" * (family.type == "counter")
        for family in text_string_to_metric_families(text.decode())
        if family.name.startswith("taxcontrol_")
    }

    assert explained == there
