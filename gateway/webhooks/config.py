"""Where alerts are delivered to, and which."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from taxcontrol.admin.v1.alert_pb2 import Alert

Severity = Literal["WARNING", "SERIOUS", "CRITICAL"]
SEVERITIES: Final = get_args(Severity)
KINDS: Final = tuple(name.removeprefix("KIND_") for name in Alert.Kind.keys()[1:])


def origin_of(url: str) -> str:
    """An address as it may be shown: its path and query may carry a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """One receiver of alerts. The secret is a path, so it never shows in a log.

    Args:
        name: Who it is in logs and in the ledger. What waits for a name that is gone is given up, so
            a new address keeps its name.
        url: Where messages are posted: https, or http on this machine itself.
        secret_file: Lines of ``whsec_`` and base64 of 24 to 64 bytes. The first is the one to use; with
            two, messages carry both signatures, so that a receiver can change over. Closed to other users.
        source: Who sends, a URI reference. Two gateways with one receiver need two; "" is the
            machine's name.
        severity: Alerts milder than that are not told, except that they are over.
        kinds: Of these kinds only; empty for all.
        taxpayers: Of these tax numbers, and of the whole gateway; empty for all.
        ca_file: Certificates that the receiver's has to follow from; None for the machine's own.
        timeout_s: So long a try may take.
        insecure: Allows http to other machines: everybody on the way can read and hold back alerts.
    """

    name: str
    url: str = field(repr=False, metadata={"shown": origin_of})
    secret_file: Path
    source: str = ""
    severity: Severity = "WARNING"
    kinds: tuple[str, ...] = ()
    taxpayers: tuple[str, ...] = ()
    ca_file: Path | None = None
    timeout_s: float = 10.0
    insecure: bool = False

    def __post_init__(self) -> None:
        if not (1 <= len(self.name) <= 63 and self.name.isascii() and self.name.isprintable()):
            raise ValueError(
                f"webhook.name must be 1 to 63 printable ASCII characters, not {self.name!r}"
            )
        self._check_url()
        if any(not character.isascii() or character <= " " for character in self.source):
            raise ValueError(f"webhook.source must be a URI reference, not {self.source!r}")
        if self.severity not in SEVERITIES:
            raise ValueError(f"webhook.severity must be one of {SEVERITIES}, not {self.severity!r}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(f"webhook.kinds must be of {KINDS}, not {kind!r}")
        if not 0 < self.timeout_s <= 60:
            raise ValueError(f"webhook.timeout_s must be in (0, 60], not {self.timeout_s}")

    def _check_url(self) -> None:
        # The whole address may carry a token, so no error shows more than scheme and host.
        try:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"webhook.url of {self.name!r} is no address: {error}") from None
        if parts.scheme not in ("https", "http") or not host:
            raise ValueError(f"webhook.url of {self.name!r} must be https://host/…")
        if parts.username is not None or parts.fragment:
            raise ValueError(
                f"webhook.url of {self.name!r} must not carry a user name, password or fragment"
            )
        if parts.scheme == "http" and not (self.insecure or _is_here(host)):
            raise ValueError(
                f"webhook.url of {self.name!r} is http to another machine, {host}: use https, or set"
                f" insecure = true"
            )


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
