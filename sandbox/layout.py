"""Where everything of one sandbox lies, and the gateway's configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SAMPLES: Final = ROOT / "samples"
TOKEN_LABEL: Final = "taxcontrol"  # noqa: S105 - the name of a token, not a secret
FREE_PORT: Final = "127.0.0.1:0"

Setting = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sandbox, all under ``folder``."""

    folder: Path

    @property
    def token(self) -> Path:
        """SoftHSM's configuration, tokens and PIN."""
        return self.folder / "token"

    @property
    def authority(self) -> Path:
        """The store of the tax authority's simulator."""
        return self.folder / "authority"

    @property
    def finance(self) -> Path:
        """The store of the finance department's simulator."""
        return self.folder / "finance"

    @property
    def config(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "gateway.toml"

    def log(self, name: str) -> Path:
        """Standard error of a process."""
        return self.folder / f"{name}.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What differs from a gateway's defaults, by section."""

    listen: str = FREE_PORT
    sections: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)


def config_text(settings: GatewaySettings, *, authority: str, finance: str) -> str:
    """The TOML of a gateway; its paths are relative to its folder."""
    sections: dict[str, dict[str, Setting]] = {
        "server": {"listen": settings.listen},
        "ledger": {"path": "ledger/ledger.db"},
        "hsm": {
            "softhsm2_conf": "token/softhsm2.conf",
            "token_label": TOKEN_LABEL,
            "pin_file": "token/pin",
        },
        "authority": {"target": authority},
        "finance": {"target": finance},
        "log": {"format": "json"},
    }
    for name, further in settings.sections.items():
        sections.setdefault(name, {}).update(further)
    lines = ["# Written by the sandbox at each start; what is changed here is lost."]
    for name, values in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Setting) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
