"""docs/taxctl.md is the help there is; the picture in it is made by a command."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sandbox.layout import ROOT
from scripts import reference
from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsResponse
from taxctl.session import ExitCode
from tests.taxctl import views
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_usage import commands


def test_the_page_is_what_the_commands_say() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page()


@pytest.mark.parametrize("command", [*commands()], ids=" ".join)
def test_every_command_has_its_section(command: list[str]) -> None:
    assert f"\n### {' '.join(['taxctl', *command])}\n" in reference.page()


def test_every_exit_code_is_explained() -> None:
    told = [f"| {code.value} | " for code in ExitCode]

    assert all(row in reference.page() for row in told)


def test_a_picture_of_the_desk_is_a_picture_of_its_own(fake: FakeGateway, tmp_path: Path) -> None:
    fake.lookout.publish(views.view())
    for alert in views.alerts():
        fake.lookout.tell(alert, WatchAlertsResponse.CHANGE_RAISED)
    out = tmp_path / "images" / "top.svg"
    command = [
        sys.executable,
        "-m",
        "taxctl.screenshot",
        "--target",
        fake.target,
        "--out",
        str(out),
    ]

    for _ in range(2):
        subprocess.run([*command, "--lang", "zh"], cwd=ROOT, check=True, timeout=60)
        first = out.read_bytes()

    text = "".join(ET.fromstring(first).itertext()).replace("\xa0", " ")
    assert "告警" in text
    assert "912" in text
    assert b"@font-face" not in first
    assert b"https:" not in first
    assert out.read_bytes() == first


def test_no_picture_of_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    out = tmp_path / "top.svg"
    command = [sys.executable, "-m", "taxctl.screenshot", "--target", "127.0.0.1:1"]

    ran = subprocess.run(
        [*command, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 1
    assert "UNAVAILABLE" in ran.stderr
    assert not out.exists()


def test_the_picture_of_the_docs_needs_nothing_from_elsewhere() -> None:
    picture = (ROOT / "docs" / "images" / "taxctl-top.svg").read_text(encoding="utf-8")

    assert ET.fromstring(picture).tag.endswith("svg")
    assert "https:" not in picture
