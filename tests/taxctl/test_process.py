"""``taxctl`` as a process: nobody there, interrupted, cut off, told where to call by the environment."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.rpc import code_pb2

from sandbox.layout import ROOT, SAMPLES
from tests.taxctl.desk import Desk, Trouble, serving

TICKET = str(SAMPLES / "fpkj" / "ok-railway-ticket-0.xml")


def start(*arguments: str, target: str = "", **environment: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "taxctl", *(["--target", target] if target else [])]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what a buffer has read beyond a line, communicate would not find again
    )


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def nobody() -> Iterator[str]:
    """A port that is taken and that nobody serves."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    "command", [["doctor"], ["stock", "show", "91110000AYTLHUJ0ET"], ["issue", TICKET]]
)
def test_a_gateway_that_is_not_there_is_said_so(nobody: str, command: list[str]) -> None:
    code, _, err = ended(start(*command, target=nobody))

    assert code == 3
    assert f"no answer from the gateway at {nobody}" in err
    assert "Traceback" not in err


def test_an_impossible_target_is_no_traceback() -> None:
    code, _, err = ended(start("doctor", target="http://no such host:x"))

    assert code == 3
    assert "Traceback" not in err


def test_ctrl_c_ends_at_once_without_a_traceback() -> None:
    desk = Desk(troubles=deque([Trouble(code=code_pb2.UNAVAILABLE, retry_s=10)] * 100))
    with serving(desk) as target:
        process = start("issue", TICKET, target=target)
        until = time.monotonic() + 30
        while not desk.calls and time.monotonic() < until:
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)

    assert desk.calls
    assert code == 130
    assert "interrupted" in err
    assert "Traceback" not in err


def test_the_environment_says_where_and_the_command_line_wins(nobody: str) -> None:
    with serving(Desk()) as target:
        by_environment = ended(start("issue", TICKET, TAXCTL_TARGET=target))
        before = ended(start("issue", TICKET, target=target, TAXCTL_TARGET=nobody))
        after = ended(start("issue", TICKET, "--target", target, TAXCTL_TARGET=nobody))

    assert [code for code, *_ in (by_environment, before, after)] == [0, 0, 0]


def test_an_answer_that_nobody_reads_is_no_traceback(tmp_path: Path) -> None:
    for n in range(300):
        (tmp_path / f"{n}.xml").write_bytes(Path(TICKET).read_bytes())
    with serving(Desk()) as target:
        process = start("issue", "--json", str(tmp_path), target=target)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read().decode()
        process.wait(60)
        process.stderr.close()

    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_a_terminal_without_unicode_gets_it_spelled_out() -> None:
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with serving(Desk()) as target:
        code, _, err = ended(start("issue", "示例.xml", target=target, **environment))

    assert code == 2
    assert r"\u793a\u4f8b.xml" in err


@pytest.mark.parametrize(
    ("trouble", "code", "outcome"),
    [
        (Trouble(code=code_pb2.INTERNAL, reason="INTERNAL"), 4, "effect unknown"),
        (Trouble(code=code_pb2.NOT_FOUND, reason="TAXPAYER_NOT_FOUND"), 1, "refused"),
    ],
)
def test_what_the_gateway_cannot_say_is_not_refused(
    trouble: Trouble, code: int, outcome: str
) -> None:
    samples = [str(SAMPLES / "fpkj" / f"ok-railway-ticket-{n}.xml") for n in range(2)]
    desk = Desk(items={"RAI00700000000000001": deque([trouble] * 2)})
    with serving(desk) as target:
        told = ended(start("issue", *samples, target=target))
        as_json = ended(start("issue", "--json", *samples, target=target))

    assert (told[0], as_json[0]) == (code, code)
    assert outcome in told[1]
    results = json.loads(as_json[1])["results"]
    assert sorted(one["outcome"] for one in results) == sorted([outcome, "replayed"])


@pytest.mark.parametrize(
    ("encoding", "said"), [("ascii", "missing option"), ("gbk", "缺少选项"), ("utf-8", "缺少选项")]
)
def test_chinese_is_spoken_where_it_can_be_shown(encoding: str, said: str) -> None:
    process = start("void", "x", LC_ALL="zh_CN", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    _, err = process.communicate(timeout=60)

    assert said in err.decode(encoding)
