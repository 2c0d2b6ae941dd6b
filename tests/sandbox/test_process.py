"""A server is ready when it says so; what does not get ready is told in its own words and is gone."""

import sys
from pathlib import Path

import pytest

from sandbox.process import CannotStart, Process


def script(tmp_path: Path, code: str) -> Process:
    return Process("server", [sys.executable, "-c", code], log=tmp_path / "server.log")


READY = "import sys, time; print('server: listening on 127.0.0.1:7', flush=True); "


def test_it_is_ready_when_it_says_so_and_stops_when_asked(tmp_path: Path) -> None:
    process = script(tmp_path, READY + "time.sleep(60)")

    address = process.start()

    assert address == "127.0.0.1:7"
    assert process.exit_status is None
    assert process.stop() == -15
    assert process.exit_status == -15


def test_its_last_words_are_the_reason(tmp_path: Path) -> None:
    process = script(tmp_path, "import sys; sys.exit('noise\\nserver: the disk is full')")

    with pytest.raises(CannotStart, match=r"^server: the disk is full$"):
        process.start()

    assert process.exit_status == 1


def test_another_line_is_not_ready_and_nothing_is_left_running(tmp_path: Path) -> None:
    process = script(tmp_path, "import time; print('hello', flush=True); time.sleep(60)")

    with pytest.raises(CannotStart, match="server did not get ready"):
        process.start()

    assert process.exit_status == -9


def test_a_line_in_pieces_is_one_line(tmp_path: Path) -> None:
    pieces = "import sys, time\nfor c in 'server: listening on h:1\\n':\n"
    pieces += "    sys.stdout.write(c); sys.stdout.flush()\ntime.sleep(60)"
    process = script(tmp_path, pieces)

    assert process.start() == "h:1"

    assert process.kill() == -9


def test_stopping_what_never_ran_is_nothing(tmp_path: Path) -> None:
    assert script(tmp_path, "").stop() == 0
