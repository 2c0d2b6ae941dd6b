"""The scripts that make a token: idempotent, and silent about PINs."""

import stat
import subprocess
from pathlib import Path

import pytest

from tests.conftest import INIT_TOKEN


def init_token(folder: Path, label: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INIT_TOKEN, folder, label], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_token_is_made_once_and_its_pins_are_closed_and_never_shown(tmp_path: Path) -> None:
    home = tmp_path / "new" / "softhsm"

    first, second = init_token(home, "demo"), init_token(home, "demo")

    pins = [home / "pin", home / "so-pin"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in pins] == [0o400, 0o400]
    assert (first.returncode, second.returncode) == (0, 0)
    assert second.stdout == "token 'demo' is there already\n"
    said = first.stdout + first.stderr + second.stdout + second.stderr
    assert all(path.read_text() not in said for path in pins)
    assert len({path.read_text() for path in pins}) == 2
    assert len(list((home / "tokens").iterdir())) == 1


def test_existing_pins_are_kept_for_a_second_token(tmp_path: Path) -> None:
    init_token(tmp_path, "one")
    pin = (tmp_path / "pin").read_text()

    second = init_token(tmp_path, "two")

    assert second.stdout == f"initialised token 'two' in {tmp_path}/tokens\n"
    assert (tmp_path / "pin").read_text() == pin


def test_a_token_whose_pin_is_lost_is_left_alone(tmp_path: Path) -> None:
    init_token(tmp_path, "demo")
    (tmp_path / "pin").unlink()

    again = init_token(tmp_path, "demo")

    assert again.returncode == 1
    assert "pin does not; nothing was changed" in again.stderr


@pytest.mark.parametrize("label", ["", "a b", "x" * 33, "a'b"])
def test_a_label_that_could_be_misread_is_refused(tmp_path: Path, label: str) -> None:
    assert init_token(tmp_path, label).returncode == 1
    assert not (tmp_path / "tokens").exists()
