"""The gateway's configuration: one TOML file, read once at start.

Rules of the file: an unknown key is an error by name, a value of the wrong type too; relative
paths are relative to the configuration file's folder; secrets are paths, never values.
"""

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path

from authority.config import AuthorityConfig, FinanceConfig
from gateway.webhooks.config import WebhookConfig
from hsm.config import HsmConfig

_T = typing.TypeVar("_T")
_KIND_NAMES: dict[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names the file and the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where callers reach the gateway.

    Args:
        listen: ``host:port``; port 0 takes a free one.
        drain_s: How long running calls may take after SIGTERM.
    """

    listen: str = "127.0.0.1:50051"
    drain_s: float = 10.0

    def __post_init__(self) -> None:
        _check_address("server.listen", self.listen)
        if not 0 < self.drain_s <= 300:
            raise ValueError(f"server.drain_s must be in (0, 300], not {self.drain_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerConfig:
    """Where everything is kept: ``path`` is the database file, on a local disk."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueConfig:
    """The issuing path.

    Args:
        group_count_max: Invoices in one transaction. Larger groups add latency, not rate: at 128
            the fsync is below a microsecond an invoice.
        waiting_count_max: Invoices in work, from arrival to commit; beyond it callers get
            OVERLOADED. What is taken must be signed within the device's wait, so this is at most
            what the device signs in that time.
        wait_s_max: Callers get OVERLOADED rather than wait longer than about that, by what came out
            lately; 512 invoices are let in however slow it goes.
        stream_count_max: Streams open at once; beyond it OVERLOADED.
        stream_unanswered_max: Items a stream has read and not answered; it reads on below that.
    """

    group_count_max: int = 128
    waiting_count_max: int = 4096
    wait_s_max: float = 0.5
    stream_count_max: int = 100
    stream_unanswered_max: int = 256

    def __post_init__(self) -> None:
        if not 1 <= self.group_count_max <= 1000:
            raise ValueError(
                f"issue.group_count_max must be in [1, 1000], not {self.group_count_max}"
            )
        # A batch is admitted whole or not at all, so its 500 items must fit.
        if not 500 <= self.waiting_count_max <= 100_000:
            raise ValueError(
                f"issue.waiting_count_max must be in [500, 100000], not {self.waiting_count_max}"
            )
        if not 0.05 <= self.wait_s_max <= 60:
            raise ValueError(f"issue.wait_s_max must be in [0.05, 60], not {self.wait_s_max}")
        if not 1 <= self.stream_count_max <= 10_000:
            raise ValueError(
                f"issue.stream_count_max must be in [1, 10000], not {self.stream_count_max}"
            )
        if not 1 <= self.stream_unanswered_max <= 4096:
            raise ValueError(
                f"issue.stream_unanswered_max must be in [1, 4096], not"
                f" {self.stream_unanswered_max}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """Watches of invoices.

    Args:
        count_max: So many open at once; beyond it callers get OVERLOADED.
        count_max_per_taxpayer: The same for each taxpayer, so that one leaves room for the others.
    """

    count_max: int = 200
    count_max_per_taxpayer: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.count_max <= 10_000:
            raise ValueError(f"watch.count_max must be in [1, 10000], not {self.count_max}")
        if not 1 <= self.count_max_per_taxpayer <= 10_000:
            raise ValueError(
                f"watch.count_max_per_taxpayer must be in [1, 10000], not"
                f" {self.count_max_per_taxpayer}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskConfig:
    """The operator's desk.

    Args:
        survey_s: Seconds between two looks at stock, backlogs and devices; a second while somebody watches.
        watch_count_max: Desks that may be watched at once; beyond it callers get OVERLOADED.
    """

    survey_s: float = 5.0
    watch_count_max: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.survey_s <= 60:
            raise ValueError(f"desk.survey_s must be in [1, 60], not {self.survey_s}")
        if not 1 <= self.watch_count_max <= 1000:
            raise ValueError(
                f"desk.watch_count_max must be in [1, 1000], not {self.watch_count_max}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyConfig:
    """What strangers may ask.

    Args:
        calls_per_minute: For each caller's address, at once and from then on as time passes; beyond
            it RATE_LIMITED.
    """

    calls_per_minute: int = 60

    def __post_init__(self) -> None:
        if not 1 <= self.calls_per_minute <= 1_000_000:
            raise ValueError(
                f"verify.calls_per_minute must be in [1, 1000000], not {self.calls_per_minute}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Where Prometheus asks: ``listen`` is ``host:port``; port 0 takes a free one."""

    listen: str

    def __post_init__(self) -> None:
        _check_address("metrics.listen", self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """Where spans go.

    Args:
        endpoint: Of an OTLP collector, by gRPC: ``http://host:port``, or ``https://`` with TLS.
        sample_ratio: The part of the calls that is traced. A caller that sends a ``traceparent`` has
            decided for itself.
    """

    endpoint: str
    sample_ratio: float = 0.01

    def __post_init__(self) -> None:
        scheme, _, address = self.endpoint.partition("://")
        if scheme not in ("http", "https") or not address:
            raise ValueError(
                f"tracing.endpoint must be http://host:port or https://host:port, not"
                f" {self.endpoint!r}"
            )
        _check_address("tracing.endpoint", address)
        if not 0 <= self.sample_ratio <= 1:
            raise ValueError(f"tracing.sample_ratio must be in [0, 1], not {self.sample_ratio}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Log lines.

    ``level``: debug, info, warning or error. ``format``: json, pretty, or auto, which is pretty
    on a terminal.
    """

    level: str = "info"
    format: str = "auto"

    def __post_init__(self) -> None:
        if self.level not in ("debug", "info", "warning", "error"):
            raise ValueError(f"log.level must be debug, info, warning or error, not {self.level!r}")
        if self.format not in ("auto", "json", "pretty"):
            raise ValueError(f"log.format must be auto, json or pretty, not {self.format!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything one gateway process needs to know.

    Without ``finance`` no donation receipts are served; without ``metrics`` nothing listens for
    Prometheus; without ``tracing`` nothing is traced; alerts are delivered to each ``webhook``.
    """

    server: ServerConfig = field(default_factory=ServerConfig)
    ledger: LedgerConfig
    hsm: HsmConfig
    authority: AuthorityConfig
    finance: FinanceConfig | None = None
    issue: IssueConfig = field(default_factory=IssueConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    desk: DeskConfig = field(default_factory=DeskConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    log: LogConfig = field(default_factory=LogConfig)
    metrics: MetricsConfig | None = None
    tracing: TracingConfig | None = None
    webhook: tuple[WebhookConfig, ...] = ()

    def __post_init__(self) -> None:
        names = [webhook.name for webhook in self.webhook]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"webhook.name must be unique, not {name!r} twice")


def _check_address(key: str, address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f"{key} must be host:port, not {address!r}")


def read(path: Path) -> Config:
    """Read ``path``.

    Raises:
        ConfigError: The file is missing, is no TOML, or a key is unknown, missing, of the wrong
            type or out of range.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return _record(Config, table, base=path.resolve().parent, key="")
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def effective(config: Config) -> str:
    """Write out every setting in force, defaults included, one ``section.key = value`` a line."""
    lines = []
    for section in dataclasses.fields(config):
        part = getattr(config, section.name)
        if part is None:
            lines.append(f"{section.name} = {_shown(part)}")
            continue
        # What may be there several times is shown with its place, from 0.
        parts = (
            [(f"{section.name}.{place}", one) for place, one in enumerate(part)]
            if isinstance(part, tuple)
            else [(section.name, part)]
        )
        lines += [
            f"{name}.{setting.name} = {_shown(_of(one, setting))}"
            for name, one in parts
            for setting in dataclasses.fields(one)
        ]
    return "\n".join(lines)


def _of(section: object, setting: "dataclasses.Field[object]") -> object:
    """A setting's value, as its own way of being shown has it."""
    value = getattr(section, setting.name)
    shown = setting.metadata.get("shown")
    return value if shown is None else shown(value)


def _shown(value: object) -> str:
    return "(none)" if value is None else f'"{value}"' if isinstance(value, Path) else repr(value)


def _record(kind: type[_T], table: dict[str, object], *, base: Path, key: str) -> _T:
    """Make a record of ``kind`` from a TOML table; ``key`` is the table's own name."""
    hints = typing.get_type_hints(kind)
    prefix = f"{key}." if key else ""
    fields = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in table:
        if name not in fields:
            raise ValueError(f"unknown key {prefix}{name}")
    for name, item in fields.items():
        absent = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if name not in table and absent:
            raise ValueError(f"{prefix}{name} is missing")
    return kind(
        **{
            name: _value(hints[name], value, base=base, key=f"{prefix}{name}")
            for name, value in table.items()
        }
    )


def _value(kind: object, value: object, *, base: Path, key: str) -> object:
    if isinstance(kind, types.UnionType):  # an optional setting: absent means None
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"[{key}] must be a table")
        return _record(kind, value, base=base, key=key)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{key} must be a list")
        part = typing.get_args(kind)[0]
        return tuple(_value(part, one, base=base, key=key) for one in value)
    if kind is Path and isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{key} must not contain a NUL character")
        return base / value
    if kind is float and type(value) is int:
        return float(value)
    wanted = str if typing.get_origin(kind) is typing.Literal else kind
    if type(value) is not wanted:
        raise ValueError(f"{key} must be {_KIND_NAMES.get(wanted, 'of another type')}")
    return value
