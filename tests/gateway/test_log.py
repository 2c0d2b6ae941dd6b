"""Each line says when; on a terminal a bug shows where it happened and nothing of whom it happened to."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A process of its own: logging is set up once in a process.
PROGRAM = """
import structlog
from gateway import log
from gateway.config import LogConfig

log.configure(LogConfig(format={format!r}))

def issue(buyer):
    raise RuntimeError("a bug\\x1b[2J\\nforged.line")

try:
    issue("BUYER-NAME")
except RuntimeError:
    structlog.get_logger().exception("rpc.bug", method="m\\x1b]0;title\\x07\\nforged.fact", odd=["\\x1b"])
"""


def said(format_: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(format=format_)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"NO_COLOR": "1", "PYTHONPATH": str(ROOT), **environment},
    )
    return done.stderr


@pytest.mark.parametrize("format_", ["pretty", "json"])
def test_a_bug_shows_its_trace_and_no_local_variable(format_: str) -> None:
    text = said(format_)

    assert "RuntimeError" in text
    assert "in issue" in text
    # The program's own line is no file, so the trace quotes no source.
    assert "BUYER-NAME" not in text


@pytest.mark.parametrize("format_", ["pretty", "json"])
def test_no_fact_and_no_exception_moves_the_cursor_or_forges_a_fact(format_: str) -> None:
    text = said(format_)

    for sign in ("\x1b]0", "\x1b[2J", "\x07"):
        assert sign not in text
    assert "\nforged.fact" not in text


@pytest.mark.parametrize(("zone", "offset"), [("UTC", "+00:00"), ("Asia/Shanghai", "+08:00")])
def test_a_line_says_when_with_the_offset_of_this_machine(zone: str, offset: str) -> None:
    before = datetime.now(UTC)
    line = json.loads(said("json", TZ=zone))

    assert line["timestamp"].endswith(offset)
    assert before <= datetime.fromisoformat(line["timestamp"]) <= datetime.now(UTC)
