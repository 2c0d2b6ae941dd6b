"""Settings: what a file may hold, what is refused by name, and what a process does with it."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from console import config
from console.config import Config, ConfigError
from tests.console.conftest import console

NOBODY = "127.0.0.1:1"


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "console.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_whole_and_its_path_is_relative_to_it(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'target = "gateway:50051"\nlisten = "[::1]:0"\nlanguage = "en"\noperator = "desk-1"\n'
        'operator_header = "X-Remote-User"\nsecret_file = "secret"\nhosts = ["desk.example"]\n'
        "secure_cookie = true\ncall_timeout_s = 3\n",
    )

    settings = config.read(path)

    assert settings.secret_file == tmp_path / "secret"
    assert (settings.listen_host, settings.listen_port, settings.loopback) == ("::1", 0, True)
    assert settings.hosts == ("desk.example",)
    assert 'operator = "desk-1"' not in config.effective(settings)
    assert "operator = 'desk-1'" in config.effective(settings)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("colour = 1", "unknown key colour"),
        ("listen = 8080", "listen must be text"),
        ('listen = "8080"', "listen must be host:port"),
        ('listen = "a:99999"', "listen must be host:port"),
        ('target = ""', "target must be host:port"),
        ('language = "fr"', "language must be auto, zh-CN or en"),
        ('operator = "张三"', "operator must be at most 64 characters"),
        ('operator_header = "a b"', "operator_header must name a header"),
        ('hosts = "a"', "hosts must be a list of text"),
        ('hosts = ["a:1"]', "hosts must be names without port"),
        ("secure_cookie = 1", "secure_cookie must be true or false"),
        ("call_timeout_s = true", "call_timeout_s must be a number"),
        ("call_timeout_s = 0", "call_timeout_s must be in"),
        ("secret_file = 1", "secret_file must be a path"),
        ("listen", "not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config.read(written(tmp_path, text))


def test_a_secret_that_is_short_or_missing_is_refused(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("secret")

    with pytest.raises(ConfigError, match="at least 32 bytes"):
        config.read_secret(short)
    with pytest.raises(ConfigError, match="No such file"):
        config.read_secret(tmp_path / "missing")


def test_check_prints_every_setting(tmp_path: Path) -> None:
    path = written(tmp_path, 'target = "gateway:1"')
    command = [sys.executable, "-m", "console", "--config", str(path), "--check"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "target = 'gateway:1'"
    assert len(done.stdout.splitlines()) == len(Config.__dataclass_fields__)


def test_what_an_operator_can_mend_is_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, "colour = 1")
    command = [sys.executable, "-m", "console", "--config", str(path)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"console: {path}: unknown key colour\n"


def test_before_the_gateway_was_ever_there_the_page_waits_and_says_so(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    process = console(log, "--target", NOBODY)
    try:
        with httpx.Client(base_url=f"http://{process.start()}", trust_env=False) as client:
            answer = client.get("/", headers={"Accept-Language": "en"})
            refused = client.get("/taxpayers/91110000AYTLHUJ0ET")
    finally:
        status = process.stop()

    assert answer.status_code == 200
    assert "first answer" in answer.text
    assert refused.status_code == 503
    assert "UNAVAILABLE" in refused.text
    assert (status, log.read_text()) == (0, "")


def test_a_console_that_others_reach_warns_and_takes_its_names_from_the_file(
    tmp_path: Path,
) -> None:
    log = tmp_path / "console.log"
    file = written(
        tmp_path,
        'listen = "0.0.0.0:0"\nhosts = ["desk.example"]\noperator_header = "X-Remote-User"\n'
        f'target = "{NOBODY}"\n',
    )
    process = console(log, "--listen", "0.0.0.0:0", "--config", str(file))
    try:
        port = process.start().rpartition(":")[2]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            named = {"Host": "desk.example", "X-Remote-User": "wang.li", "Accept-Language": "en"}
            answer = client.get("/operator", headers=named)
            unnamed = client.get("/operator", headers={**named, "X-Remote-User": "x" * 65})
    finally:
        process.stop()

    assert "put a proxy with TLS and authentication before it" in log.read_text()
    assert "The proxy says that you are wang.li." in answer.text
    assert "The proxy has not said who you are" in unnamed.text
