"""``demo``, ``serve`` and ``console`` as processes: they do the whole job, and leave nothing running."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import httpx
import pytest

from sandbox.layout import ROOT
from taxcontrol.admin.v1.taxpayer_service_pb2 import ListTaxpayersRequest
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub

PORTS = ("--port", "--simulator-port", "--finance-port")
_WAIT_S = 120


def start(*arguments: str, tmp_path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_until(process: "subprocess.Popen[str]", wanted: str) -> list[str]:
    """Read lines up to the one that has ``wanted`` in it."""
    assert process.stdout is not None
    read = []
    for line in process.stdout:
        read.append(line)
        if wanted in line:
            return read
    raise AssertionError(f"{wanted!r} was never said: {read} {process.communicate()}")


def ours(folder: Path) -> list[str]:
    """Command lines of running processes that work in ``folder``."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in command:
                found.append(command.replace("\0", " "))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert ours(tmp_path) == []


def test_the_demo_does_the_main_job_and_says_ok(folder: Path) -> None:
    process = start("demo", "--invoices", "60", "--callers", "3", tmp_path=folder)

    out, err = process.communicate(timeout=_WAIT_S)

    assert process.returncode == 0, err
    # Samples 18, callers 60, stream 100, reds of 3 blues, a void, what follows the blank number, one
    # to verify, 5 held back, one after the restart.
    assert out.splitlines()[-1] == (
        "demo: ok issued=193 refused=45 uploaded=193 signatures=195 balanced=yes reds=3 voided=1"
        " blank_voided=1 returned=20"
    )
    assert list(folder.iterdir()) == []


def test_a_demo_that_is_stopped_stops_what_it_started(folder: Path) -> None:
    process = start("demo", "--invoices", "100000", tmp_path=folder)
    lines_until(process, "samples")
    assert len(ours(folder)) == 3

    while process.poll() is None:  # somebody impatient
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    out, err = process.communicate(timeout=_WAIT_S)

    assert process.returncode == 130
    assert out.splitlines()[-1].startswith("demo: FAILED ")
    assert "Traceback" not in err
    assert list(folder.iterdir()) == []


def test_a_demo_that_cannot_work_fails_in_one_line(tmp_path: Path) -> None:
    # A folder name that SoftHSM's configuration cannot hold.
    odd = tmp_path / "with blank"
    odd.mkdir()

    out, err = start("demo", tmp_path=odd).communicate(timeout=_WAIT_S)

    last = out.splitlines()[-1]
    assert last.startswith("demo: FAILED init-token.sh: DIR must be made of")
    assert "Traceback" not in err


def test_serve_is_ready_says_how_and_keeps_its_data(folder: Path) -> None:
    free = [text for port in PORTS for text in (port, "0")]
    arguments = ("serve", *free, "--folder", str(folder / "s"))
    machine_numbers = []
    for _ in range(2):
        process = start(*arguments, tmp_path=folder)
        said = lines_until(process, "Ctrl-C stops everything")
        machine_numbers.append(_machine_numbers(said))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=_WAIT_S)

        assert process.returncode == 0, err
        assert "serve: stopped" in out
        assert any("buf curl" in line for line in said)
        assert any("taxctl" in line for line in said)

    assert machine_numbers[0] == machine_numbers[1]
    assert len(machine_numbers[0]) == 6


def test_console_opens_the_page_on_a_gateway_and_stops_both(folder: Path) -> None:
    arguments = ("console", "--console-port", "0", "--folder", str(folder / "s"))
    process = start(*arguments, tmp_path=folder)
    said = lines_until(process, "Ctrl-C stops everything")
    found = re.search(r"^console: (http://\S+)", "".join(said), re.MULTILINE)
    assert found is not None

    answer = httpx.get(found[1], headers={"Accept-Language": "en"}, trust_env=False)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=_WAIT_S)

    assert answer.status_code == 200
    assert "<h1>Overview</h1>" in answer.text
    assert process.returncode == 0, err
    assert "console: stopped" in out


@pytest.mark.parametrize("option", PORTS)
def test_a_port_in_use_is_said_in_one_sentence(folder: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = dict.fromkeys(PORTS, "0")
        ports[option] = str(taken.getsockname()[1])
        arguments = [text for pair in ports.items() for text in pair]

        process = start("serve", *arguments, "--folder", str(folder / "s"), tmp_path=folder)
        _, err = process.communicate(timeout=_WAIT_S)

    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{ports[option]}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [[], ["demo", "--invoices", "0"], ["demo", "--callers", "x"], ["serve", "--port=-1"]],
)
def test_wrong_usage_ends_with_two(tmp_path: Path, arguments: list[str]) -> None:
    process = start(*arguments, tmp_path=tmp_path)

    _, err = process.communicate(timeout=_WAIT_S)

    assert process.returncode == 2
    assert "usage:" in err


def _machine_numbers(said: list[str]) -> list[str]:
    found = re.search(r"^gateway: +(\S+) ", "".join(said), re.MULTILINE)
    assert found is not None
    with grpc.insecure_channel(found[1]) as channel:
        answer = TaxpayerServiceStub(channel).ListTaxpayers(ListTaxpayersRequest(), timeout=10)
        return [device.machine_number for one in answer.taxpayers for device in one.devices]
