"""How the tax authority is reached."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityConfig:
    """Where the authority is and how long to wait for it.

    ``target`` is a gRPC target, such as ``127.0.0.1:50061``. ``timeout_s`` holds for each call.
    ``root_certificates`` is a PEM file; None connects without TLS (the simulator).
    """

    section: ClassVar[str] = "authority"  # what an operator knows these settings by

    target: str
    timeout_s: float = 10.0
    root_certificates: Path | None = None

    def __post_init__(self) -> None:
        if not self.target.strip():
            raise ValueError(f"{self.section}.target must not be empty")
        if not 0 < self.timeout_s <= 120:
            raise ValueError(f"{self.section}.timeout_s must be in (0, 120], not {self.timeout_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinanceConfig(AuthorityConfig):
    """The same for the finance department (财政)."""

    section: ClassVar[str] = "finance"
