"""The configuration file: what is wrong is named, what is left out has its default."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import config as configuration
from gateway import server
from gateway.config import ConfigError

GOOD = """
[ledger]
path = "ledger/ledger.db"
[hsm]
token_label = "t"
pin_file = "token/pin"
[authority]
target = "127.0.0.1:1"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text, "utf-8")
    return path


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)

    config = configuration.read(path)

    assert config.ledger.path == tmp_path / "ledger/ledger.db"
    assert config.hsm.pin_file == tmp_path / "token/pin"


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    config = configuration.read(written(tmp_path, GOOD))

    assert config.issue.group_count_max == 128
    assert config.server.listen == "127.0.0.1:50051"
    assert config.hsm.softhsm2_conf is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD + "[issue]\ngroup_count = 3\n", "unknown key issue.group_count"),
        (GOOD + "[isue]\n", "unknown key isue"),
        (GOOD.replace('token_label = "t"\n', ""), "hsm.token_label is missing"),
        (GOOD.replace('[ledger]\npath = "ledger/ledger.db"\n', ""), "ledger is missing"),
        (GOOD + "[issue]\ngroup_count_max = 0\n", "issue.group_count_max must be in [1, 1000]"),
        (GOOD + '[issue]\ngroup_count_max = "9"\n', "issue.group_count_max must be a whole number"),
        (
            GOOD + "[issue]\ngroup_count_max = true\n",
            "issue.group_count_max must be a whole number",
        ),
        (GOOD + '[log]\nlevel = "loud"\n', "log.level must be"),
        (GOOD + '[server]\nlisten = "nowhere"\n', "server.listen must be host:port"),
        (
            GOOD + '[server]\nlisten = "127.0.0.1:\N{ARABIC-INDIC DIGIT THREE}"\n',
            "server.listen must be",
        ),
        (GOOD + "[server]\ndrain_s = 0\n", "server.drain_s must be in (0, 300]"),
        (GOOD + "[watch]\ncount_max = 0\n", "watch.count_max must be in [1, 10000]"),
        (
            GOOD + "[watch]\ncount_max_per_taxpayer = 0\n",
            "watch.count_max_per_taxpayer must be in [1, 10000]",
        ),
        (GOOD + "[verify]\ncalls_per_minute = 0\n", "verify.calls_per_minute must be in [1, 1000"),
        (GOOD.replace('"t"', "7"), "hsm.token_label must be text"),
        (GOOD.replace("[authority]\n", "authority = 3\n[x]\n"), "unknown key"),
        (GOOD + '[finance]\ntarget = " "\n', "finance.target must not be empty"),
        (GOOD + "[finance]\ntimeout_s = 1\n", "finance.target is missing"),
        (
            GOOD + '[finance]\ntarget = "x"\ntimeout_s = 0\n',
            "finance.timeout_s must be in (0, 120]",
        ),
        (GOOD + "[metrics]\n", "metrics.listen is missing"),
        (GOOD + '[metrics]\nlisten = "9464"\n', "metrics.listen must be host:port"),
        (GOOD + '[metrics]\nlisten = ":0"\nport = 1\n', "unknown key metrics.port"),
        (GOOD + "[tracing]\nsample_ratio = 1.0\n", "tracing.endpoint is missing"),
        (GOOD + '[tracing]\nendpoint = "a:1"\n', "tracing.endpoint must be http://host:port"),
        (GOOD + '[tracing]\nendpoint = "ftp://a:1"\n', "tracing.endpoint must be http://host:port"),
        (GOOD + '[tracing]\nendpoint = "http://a"\n', "tracing.endpoint must be host:port"),
        (
            GOOD + '[tracing]\nendpoint = "http://a:1"\nsample_ratio = 1.5\n',
            "tracing.sample_ratio must be in [0, 1], not 1.5",
        ),
        ("[ledger", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, text: str, named: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(ConfigError, match=re.escape(named)) as caught:
        configuration.read(path)

    assert str(path) in str(caught.value)


async def test_the_finance_department_is_another_authority_and_may_be_left_out(
    tmp_path: Path,
) -> None:
    without = configuration.read(written(tmp_path, GOOD))
    config = configuration.read(
        written(tmp_path, GOOD + '[finance]\ntarget = "127.0.0.1:2"\nroot_certificates = "ca"\n')
    )

    assert without.finance is None
    assert "finance = (none)" in configuration.effective(without)
    assert config.finance is not None
    assert (config.authority.target, config.finance.target) == ("127.0.0.1:1", "127.0.0.1:2")
    assert "finance.target = '127.0.0.1:2'" in configuration.effective(config)
    with pytest.raises(ConfigError, match=r"finance\.root_certificates cannot be read"):
        server.assemble(config)


def test_without_their_sections_nothing_listens_and_nothing_is_traced(tmp_path: Path) -> None:
    config = configuration.read(written(tmp_path, GOOD))

    assert (config.metrics, config.tracing) == (None, None)
    assert "metrics = (none)" in configuration.effective(config)


def test_no_address_of_a_receiver_is_shown_whole(tmp_path: Path) -> None:
    webhook = """
[[webhook]]
name = "desk"
url = "https://hooks.example:8443/services/T0KEN?key=K3Y"
secret_file = "secret"
"""
    config = configuration.read(written(tmp_path, GOOD + webhook))

    shown = configuration.effective(config)

    assert "webhook.0.url = 'https://hooks.example:8443/…'" in shown
    assert not {"T0KEN", "K3Y"} & set(re.findall(r"\w+", shown + repr(config)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: No such file"):
        configuration.read(tmp_path / "absent.toml")


def test_check_prints_every_effective_setting(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)

    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--config", str(path), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "issue.group_count_max = 128" in done.stdout
    assert f'ledger.path = "{tmp_path}/ledger/ledger.db"' in done.stdout


def test_a_refused_file_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    path = written(tmp_path, "[nothing]\n")

    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == f"gateway: {path}: unknown key nothing\n"
