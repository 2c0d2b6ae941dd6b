"""A gateway that cannot start says why in one sentence, without a trace, and starts once mended."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Self

import apsw
import pytest

from tests.e2e.conftest import System
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import eventually
from tests.fakes.gateway_process import GatewayProcess

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "127.0.0.1:1"
# Root ignores permission bits while it has this capability.
AS_A_USER = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    if os.geteuid() == 0
    else ()
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a token and a configuration, to be copied."""
    gateway = GatewayProcess(tmp_path_factory.mktemp("prepared") / "home", authority=NOBODY)
    gateway.prepare()
    return gateway.folder


@pytest.fixture
def gateway(prepared: Path, tmp_path: Path) -> GatewayProcess:
    """A gateway that would start."""
    folder = tmp_path / "gateway"
    shutil.copytree(prepared, folder)
    conf = folder / "token" / "softhsm2.conf"
    conf.write_text(conf.read_text().replace(str(prepared), str(folder)))
    return GatewayProcess(folder, authority=NOBODY)


def sentence(gateway: GatewayProcess) -> str:
    """What a gateway that refuses to start says, shown to be one sentence."""
    status, said = gateway.refused()
    lines = [line for line in said.splitlines() if not line.startswith("{")]

    assert status == 1, said
    assert len(lines) == 1, said
    assert lines[0].startswith("gateway: "), said
    assert "Traceback" not in said
    return lines[0]


def configure(gateway: GatewayProcess, old: str, new: str) -> None:
    text = gateway.config.read_text()
    assert old in text
    gateway.config.write_text(text.replace(old, new))


def append(text: str) -> Callable[[GatewayProcess], None]:
    def change(gateway: GatewayProcess) -> None:
        gateway.config.write_text(gateway.config.read_text() + text)

    return change


def pin(text: str, mode: int = 0o400) -> Callable[[GatewayProcess], None]:
    def change(gateway: GatewayProcess) -> None:
        file = gateway.folder / "token" / "pin"
        file.chmod(0o600)
        file.write_text(text)
        file.chmod(mode)

    return change


def listen_on(host: str) -> Callable[[GatewayProcess], None]:
    return lambda one: configure(one, 'listen = "127.0.0.1:0"', f'listen = "{host}:0"')


def foreign_text(gateway: GatewayProcess) -> None:
    (gateway.folder / "ledger").mkdir()
    (gateway.folder / "ledger" / "ledger.db").write_text("not a database at all\n" * 200)


def foreign_database(gateway: GatewayProcess) -> None:
    (gateway.folder / "ledger").mkdir()
    with closing(sqlite3.connect(gateway.folder / "ledger" / "ledger.db")) as other:
        other.execute("CREATE TABLE someone_elses (thing TEXT)")


def folder_is_a_file(gateway: GatewayProcess) -> None:
    (gateway.folder / "ledger").write_text("")


def module_of_text(gateway: GatewayProcess) -> None:
    (gateway.folder / "module.so").write_text("no library")
    configure(gateway, "[hsm]", '[hsm]\nmodule = "module.so"')


FAULTS: dict[str, tuple[Callable[[GatewayProcess], None], str]] = {
    "wrong PIN": (pin("000000"), "refused"),
    "empty PIN file": (pin("\n"), "is empty"),
    "PIN file open to all": (pin("000000", 0o444), "open to other users"),
    "no PIN file": (lambda one: (one.folder / "token" / "pin").unlink(), "cannot be read"),
    "token missing": (
        lambda one: configure(one, 'token_label = "gateway"', 'token_label = "elsewhere"'),
        "no token with label 'elsewhere'",
    ),
    "module missing": (
        lambda one: configure(one, "[hsm]", '[hsm]\nmodule = "/nowhere/module.so"'),
        "/nowhere/module.so",
    ),
    "module of text": (module_of_text, "module.so"),
    "unknown key": (append("colour = 1\n"), "unknown key log.colour"),
    "unknown section": (append("[colours]\nred = 1\n"), "unknown key colours"),
    "no TOML": (append("[[[\n"), "not TOML"),
    "value of the wrong type": (
        lambda one: configure(one, "drain_s = 5.0", 'drain_s = "long"'),
        "server.drain_s must be a number",
    ),
    "value out of range": (
        lambda one: configure(one, "drain_s = 5.0", "drain_s = 0"),
        "server.drain_s must be in (0, 300]",
    ),
    "no root certificates": (
        lambda one: configure(one, "[authority]", '[authority]\nroot_certificates = "ca.pem"'),
        "authority.root_certificates cannot be read",
    ),
    "a label too long": (listen_on("a" * 64 + ".example"), "not a host name"),
    "an empty label": (listen_on("a..b"), "not a host name"),
    "NUL in the ledger's path": (
        lambda one: configure(one, '"ledger/ledger.db"', r'"ledger\u0000/ledger.db"'),
        "ledger.path must not contain a NUL character",
    ),
    "NUL in the PIN file's path": (
        lambda one: configure(one, '"token/pin"', r'"token/pin\u0000"'),
        "hsm.pin_file must not contain a NUL character",
    ),
    "NUL in the device's configuration": (
        lambda one: configure(one, '"token/softhsm2.conf"', r'"token\u0000/softhsm2.conf"'),
        "hsm.softhsm2_conf must not contain a NUL character",
    ),
    "no configuration": (lambda one: one.config.unlink(), "No such file"),
    "ledger folder is a file": (folder_is_a_file, "cannot be made"),
    "a text as ledger": (foreign_text, "is not a database"),
    "a foreign database as ledger": (foreign_database, "a database of something else"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_start_that_cannot_be_is_refused_in_one_sentence(
    gateway: GatewayProcess, fault: str
) -> None:
    plant, expected = FAULTS[fault]
    plant(gateway)

    assert expected in sentence(gateway)


def test_a_wrong_pin_is_tried_once_and_never_shown(gateway: GatewayProcess) -> None:
    right = (gateway.folder / "token" / "pin").read_text()
    file = gateway.folder / "token" / "pin"
    file.unlink()
    # The PIN is read anew for each try, so a pipe counts the tries.
    os.mkfifo(file, 0o600)
    with _Pin(file, "13572468") as given:
        said = sentence(gateway)

    assert given.count == 1
    assert "not tried again" in said
    assert "13572468" not in said
    assert right not in said


def test_a_refused_pin_once_mended_starts(gateway: GatewayProcess) -> None:
    file = gateway.folder / "token" / "pin"
    right = file.read_text()
    pin("000000")(gateway)
    sentence(gateway)
    pin(right)(gateway)

    with gateway:
        assert gateway.stop() == 0


def test_a_folder_that_cannot_be_written_is_named(gateway: GatewayProcess) -> None:
    folder = gateway.folder / "ledger"
    folder.mkdir()
    folder.chmod(0o500)
    bound = GatewayProcess(gateway.folder, authority=NOBODY, prefix=AS_A_USER)

    said = sentence(bound)
    folder.chmod(0o700)

    assert f"{folder}/ledger.db" in said
    assert "cannot be written" in said
    with bound:
        assert bound.stop() == 0


def test_a_ledger_that_became_read_only_is_named(gateway: GatewayProcess) -> None:
    with gateway:
        assert gateway.stop() == 0
    file = gateway.folder / "ledger" / "ledger.db"
    file.chmod(0o400)

    bound = GatewayProcess(gateway.folder, authority=NOBODY, prefix=AS_A_USER)

    assert "cannot be written" in sentence(bound)


def test_a_ledger_that_another_program_keeps_locked_is_named(gateway: GatewayProcess) -> None:
    with gateway:
        assert gateway.stop() == 0
    file = gateway.folder / "ledger" / "ledger.db"
    with closing(apsw.Connection(str(file))) as other:
        other.execute("BEGIN IMMEDIATE")

        said = sentence(gateway)

    assert "another program keeps" in said or "locked" in said
    assert "cannot be read as a ledger" not in said


def test_a_ledger_of_a_newer_version_is_left_alone(gateway: GatewayProcess) -> None:
    with gateway:
        assert gateway.stop() == 0
    file = gateway.folder / "ledger" / "ledger.db"
    with closing(apsw.Connection(str(file))) as ledger:
        ledger.execute("INSERT INTO migration VALUES (9999, 'to_come', 'checksum', 0)")

    assert "migration 9999 (to_come) is not known to this version" in sentence(gateway)


def test_a_port_in_use_is_named(gateway: GatewayProcess) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        configure(gateway, 'listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"')

        assert f"cannot listen on 127.0.0.1:{port}" in sentence(gateway)


def test_a_second_gateway_on_the_port_is_refused(gateway: GatewayProcess, system: System) -> None:
    configure(gateway, 'listen = "127.0.0.1:0"', f'listen = "{system.gateway.target}"')

    assert f"cannot listen on {system.gateway.target}" in sentence(gateway)


def test_a_second_gateway_on_the_ledger_is_refused_and_the_first_goes_on(
    gateway: GatewayProcess, system: System, seller: Seller
) -> None:
    ledger = system.gateway.folder / "ledger" / "ledger.db"
    configure(gateway, 'path = "ledger/ledger.db"', f'path = "{ledger}"')

    assert f"another gateway holds {ledger}" in sentence(gateway)
    assert system.platform.issue(ticket(seller)).number


def test_check_shows_the_settings_and_no_secret(gateway: GatewayProcess) -> None:
    secret = (gateway.folder / "token" / "pin").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--config", str(gateway.config), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "hsm.token_label = 'gateway'" in done.stdout
    assert "server.drain_s = 5.0" in done.stdout
    assert secret not in done.stdout + done.stderr


class _Pin:
    """Gives the same PIN to whoever opens the pipe, and counts."""

    def __init__(self, pipe: Path, text: str) -> None:
        self.count = 0
        self._pipe = pipe
        self._text = text
        self._ended = False
        self._thread = threading.Thread(target=self._give, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        # The giver waits for a reader: be one.
        os.close(os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK))
        self._thread.join(10)

    def _give(self) -> None:
        while True:
            with self._pipe.open("w") as pipe:
                if self._ended:
                    return
                self.count += 1
                pipe.write(self._text)
            # Until the reader has closed its end, a new opening would be the same reading.
            eventually(self._read_out)

    def _read_out(self) -> bool:
        try:
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return True
        return False
