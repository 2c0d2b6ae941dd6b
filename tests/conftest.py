"""What several rooms' tests share: a SoftHSM token of their own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

INIT_TOKEN = Path(__file__).parents[1] / "softhsm-config" / "init-token.sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftHsmToken:
    """A private token: its files, and nothing of the machine's own SoftHSM."""

    conf: Path
    label: str
    pin_file: Path

    @property
    def directory(self) -> Path:
        """Where the token's objects are; moving it away is pulling the plug."""
        return self.conf.parent / "tokens"


@pytest.fixture(scope="session")
def softhsm_token(tmp_path_factory: pytest.TempPathFactory) -> SoftHsmToken:
    """One token for the whole run: a process can have one SoftHSM configuration at a time."""
    home = tmp_path_factory.mktemp("softhsm")
    subprocess.run([INIT_TOKEN, home, "test-token"], check=True, capture_output=True)
    return SoftHsmToken(conf=home / "softhsm2.conf", label="test-token", pin_file=home / "pin")
