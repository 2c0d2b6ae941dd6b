"""The console's configuration: one TOML file, or two options, read once at start.

Rules of the file: an unknown key is an error by name, a value of the wrong type too; a relative path
is relative to the file's folder; the secret is a path, never a value.
"""

import dataclasses
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("zh-CN", "en")
AUTO: Final = "auto"
# What a gRPC metadata value may hold: printable ASCII.
OPERATOR: Final = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?", re.ASCII)
SECRET_BYTES_MIN: Final = 32
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file and the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything one console needs to know.

    Args:
        target: The gateway, ``host:port``.
        listen: Where browsers reach the console, ``host:port``; port 0 takes a free one.
        language: ``zh-CN`` or ``en`` for everybody who has not chosen; ``auto`` as the browser asks.
        operator: The name writes are done under by who has not given theirs; empty asks for one.
        operator_header: The request header in which a proxy names whom it has let in; empty for none.
            Only for a console that nobody reaches past that proxy.
        secret_file: What sessions are signed with; without one a fresh secret at each start.
        hosts: Names the console is called by, beside its own address; without port.
        secure_cookie: Whether browsers send the session over TLS only: behind a proxy that has it.
        call_timeout_s: How long a call to the gateway may take.
    """

    target: str = "127.0.0.1:50051"
    listen: str = "127.0.0.1:8080"
    language: str = AUTO
    operator: str = ""
    operator_header: str = ""
    secret_file: Path | None = None
    hosts: tuple[str, ...] = ()
    secure_cookie: bool = False
    call_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("target must be host:port, not empty")
        host, colon, port = self.listen.rpartition(":")
        if not (host and colon and port.isascii() and port.isdecimal() and int(port) <= 65535):
            raise ValueError(f"listen must be host:port, not {self.listen!r}")
        if self.language not in (AUTO, *LANGUAGES):
            raise ValueError(f"language must be auto, zh-CN or en, not {self.language!r}")
        if self.operator and OPERATOR.fullmatch(self.operator) is None:
            raise ValueError("operator must be at most 64 characters of printable ASCII")
        if self.operator_header and _HEADER.fullmatch(self.operator_header) is None:
            raise ValueError(f"operator_header must name a header, not {self.operator_header!r}")
        for name in self.hosts:
            if _HOST.fullmatch(name) is None:
                raise ValueError(f"hosts must be names without port, not {name!r}")
        if not 0 < self.call_timeout_s <= 300:
            raise ValueError(f"call_timeout_s must be in (0, 300], not {self.call_timeout_s}")

    @property
    def listen_host(self) -> str:
        """The address it binds, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port it binds; 0 for a free one."""
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.listen_host in ("localhost", "::1") or self.listen_host.startswith("127.")


def read(path: Path) -> Config:
    """Read ``path``.

    Raises:
        ConfigError: The file is missing, is no TOML, or a key is unknown, of the wrong type or out
            of range.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return _config(table, base=path.resolve().parent)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_secret(path: Path) -> bytes:
    """Read what sessions are signed with; raise :class:`ConfigError`."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"secret_file {path}: {error.strerror}") from error
    if len(secret) < SECRET_BYTES_MIN:
        raise ConfigError(f"secret_file {path}: at least {SECRET_BYTES_MIN} bytes are wanted")
    return secret


def effective(config: Config) -> str:
    """Write out every setting in force, defaults included, one ``key = value`` a line."""
    return "\n".join(
        f"{item.name} = {_shown(getattr(config, item.name))}" for item in dataclasses.fields(config)
    )


def _config(table: dict[str, object], *, base: Path) -> Config:
    known = {item.name for item in dataclasses.fields(Config)}
    for name in table:
        if name not in known:
            raise ValueError(f"unknown key {name}")
    return Config(**{name: _value(name, value, base=base) for name, value in table.items()})  # type: ignore[arg-type]


def _value(name: str, value: object, *, base: Path) -> object:
    match name:
        case "secret_file":
            if not isinstance(value, str) or "\0" in value:
                raise ValueError("secret_file must be a path")
            return base / value
        case "hosts":
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise ValueError("hosts must be a list of text")
            return tuple(value)
        case "secure_cookie":
            if not isinstance(value, bool):
                raise ValueError("secure_cookie must be true or false")  # noqa: TRY004 - a setting, not a call
        case "call_timeout_s":
            if type(value) not in (int, float):
                raise ValueError("call_timeout_s must be a number")
        case _:
            if not isinstance(value, str):
                raise ValueError(f"{name} must be text")  # noqa: TRY004 - the same
    return value


def _shown(value: object) -> str:
    return "(none)" if value is None else f'"{value}"' if isinstance(value, Path) else repr(value)
