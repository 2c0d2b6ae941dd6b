"""The PIN: read from a closed file, tried once, never shown. On the real SoftHSM."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm.errors import PinFileUnusable
from hsm.token import read_pin
from tests.conftest import SoftHsmToken

ROOT = Path(__file__).parents[2]

# One start with the PIN file given; prints what it said.
START = """
import asyncio, sys
from pathlib import Path
from hsm.config import HsmConfig
from hsm.errors import HsmError
from hsm.signer import Pkcs11Signer

async def main(conf, label, pin_file):
    config = HsmConfig(softhsm2_conf=Path(conf), token_label=label, pin_file=Path(pin_file))
    signer = Pkcs11Signer(config)
    try:
        await signer.start()
    except HsmError as error:
        print(type(error).__name__, error)

asyncio.run(main(*sys.argv[1:]))
"""


def pin_file(folder: Path, content: bytes, mode: int = 0o400) -> Path:
    path = folder / "pin"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_wrong_pin_is_named_by_its_file_and_token(
    softhsm_token: SoftHsmToken, tmp_path: Path
) -> None:
    wrong = pin_file(tmp_path, b"4711-wrong\n")

    ran = subprocess.run(
        [sys.executable, "-c", START, softhsm_token.conf, softhsm_token.label, wrong],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert ran.stdout == (
        f"PinRefused hsm: the PIN in {wrong} was refused by token 'test-token' (PinIncorrect); "
        "not tried again\n"
    )
    assert "4711" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("content", [b"1234", b"1234\n", b"1234\r\n"])
def test_the_line_end_is_not_part_of_the_pin(tmp_path: Path, content: bytes) -> None:
    assert read_pin(pin_file(tmp_path, content)) == "1234"


def test_a_pin_file_open_to_every_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PinFileUnusable, match="open to other users"):
        read_pin(pin_file(tmp_path, b"1234", 0o404))


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe42", "not UTF-8")]
)
def test_a_pin_file_without_a_pin_is_refused_and_not_shown(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    with pytest.raises(PinFileUnusable, match=sentence) as refused:
        read_pin(pin_file(tmp_path, content))

    assert "42" not in str(refused.value).replace(os.fspath(tmp_path), "")


def test_a_missing_pin_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PinFileUnusable, match="No such file"):
        read_pin(tmp_path / "absent")
