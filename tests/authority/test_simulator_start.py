"""Starting the simulator: one clear sentence when it cannot, never a traceback."""

import socket
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.fakes.simulator_process import SimulatorProcess

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "authority.simulator", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def refused(*arguments: str) -> str:
    """Run what must not start; return its one sentence."""
    ended = run(*arguments)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("simulator: ")
    return sentence


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        sentence = refused("--listen", address, "--store", str(tmp_path / "store"))

    assert sentence == f"simulator: cannot listen on {address}: Address already in use"


def test_an_address_that_is_not_here_is_named(tmp_path: Path) -> None:
    sentence = refused("--listen", "192.0.2.1:0", "--store", str(tmp_path), "--allow-remote")

    assert "cannot listen on 192.0.2.1:0" in sentence


def test_a_store_that_is_a_file_is_named(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_text("")

    sentence = refused("--listen", "127.0.0.1:0", "--store", str(store))

    assert sentence == f"simulator: store {store} cannot be written: File exists"


def test_a_store_in_a_read_only_place_is_named() -> None:
    sentence = refused("--listen", "127.0.0.1:0", "--store", "/proc/simulator")

    assert sentence.startswith("simulator: store /proc/simulator cannot be written: ")


def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "lock").mkdir()  # what a file cannot be opened as, whoever runs the tests

    sentence = refused("--listen", "127.0.0.1:0", "--store", str(store))

    assert sentence == f"simulator: store {store} cannot be written: Is a directory"


def test_a_store_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "simulator.sqlite").write_text("no database, but long enough to be looked at" * 9)

    sentence = refused("--listen", "127.0.0.1:0", "--store", str(tmp_path))

    assert "cannot be used" in sentence


def test_a_store_of_a_newer_simulator_is_left_alone(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "simulator.sqlite"))
    connection.execute("PRAGMA user_version = 999")
    connection.close()

    sentence = refused("--listen", "127.0.0.1:0", "--store", str(tmp_path))

    assert "is of a newer simulator: schema 999" in sentence


def test_a_garbled_ca_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca-key.pem").write_text("no key")

    sentence = refused("--listen", "127.0.0.1:0", "--store", str(tmp_path))

    assert f"the CA in {tmp_path} cannot be used" in sentence


def test_two_simulators_never_share_a_store(own_simulator: SimulatorProcess) -> None:
    own_simulator.start()

    sentence = refused("--listen", "127.0.0.1:0", "--store", str(own_simulator.store))

    assert sentence == f"simulator: store {own_simulator.store} is in use by another simulator"


@pytest.mark.parametrize("address", ["0.0.0.0:0", "10.0.0.1:0", "example.org:0", "[::]:0"])
def test_it_listens_on_loopback_only_unless_told(address: str, tmp_path: Path) -> None:
    ended = run("--listen", address, "--store", str(tmp_path))

    assert ended.returncode == 2
    assert "not for production" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_ready_file_gets_the_address(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    arguments = ["--ready-file", str(ready)]
    with SimulatorProcess(tmp_path / "store", arguments=arguments) as simulator:
        while not ready.exists():  # the line comes first; the test's time limit is the judge
            continue
        assert ready.read_text() == f"{simulator.target}\n"
