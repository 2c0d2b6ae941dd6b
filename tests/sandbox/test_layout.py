"""The configuration that is written is the one that is meant."""

import tomllib
from pathlib import Path

from gateway import config
from sandbox.layout import GatewaySettings, config_text


def test_settings_come_back_as_they_were_given(tmp_path: Path) -> None:
    settings = GatewaySettings(
        listen="127.0.0.1:0",
        sections={
            "hsm": {"lanes": 1, "verify": "sampled"},
            "issue": {"group_count_max": 64},
            "server": {"drain_s": 2.5},
        },
    )
    file = tmp_path / "gateway.toml"
    file.write_text(config_text(settings, authority="127.0.0.1:1", finance="127.0.0.1:2"))

    read = config.read(file)

    assert (read.server.listen, read.server.drain_s) == ("127.0.0.1:0", 2.5)
    assert read.authority.target == "127.0.0.1:1"
    assert read.finance is not None
    assert read.finance.target == "127.0.0.1:2"
    assert (read.hsm.lanes, read.hsm.verify) == (1, "sampled")
    assert read.issue.group_count_max == 64
    assert read.hsm.pin_file == tmp_path / "token" / "pin"


def test_text_is_quoted_as_toml_has_it() -> None:
    text = config_text(
        GatewaySettings(sections={"x": {"path": 'a "b" \\c', "on": True}}), authority="", finance=""
    )

    assert tomllib.loads(text)["x"] == {"path": 'a "b" \\c', "on": True}
