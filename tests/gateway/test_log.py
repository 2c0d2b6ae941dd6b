"""On a terminal a bug shows where it happened and nothing of whom it happened to."""

import subprocess
import sys
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


def said(format_: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(format=format_)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
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
