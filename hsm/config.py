"""Where the signing device is, and how hard to lean on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from hsm.port import Algorithm

Verify = Literal["full", "sampled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmConfig:
    """The device of one gateway. The PIN is a path, so it never shows in a log.

    Args:
        module: The PKCS#11 module.
        softhsm2_conf: Exported as SOFTHSM2_CONF before the module loads; None for other devices.
        token_label: Slot ids change; the label is how a token is found.
        pin_file: Read at each login and not kept. Closed to other users.
        algorithm: Of keys that are made; existing keys keep theirs.
        lanes: Threads that sign, each with its own session.
        wait_s: After this a call is late: its callers get HSM_UNAVAILABLE.
        verify: ``full`` checks every signature before it is returned, ``sampled`` 1 in 64.
        probe_s: Pause between tries while a key's breaker is open.
    """

    module: Path = Path("/usr/lib/softhsm/libsofthsm2.so")
    softhsm2_conf: Path | None = None
    token_label: str
    pin_file: Path
    algorithm: Algorithm = "P-256"
    lanes: int = 2
    wait_s: float = 2.0
    verify: Verify = "full"
    probe_s: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.token_label.encode()) <= 32:  # CK_TOKEN_INFO.label is 32 bytes
            raise ValueError(f"hsm.token_label must be 1 to 32 bytes, not {self.token_label!r}")
        if self.algorithm not in get_args(Algorithm):
            raise ValueError(
                f"hsm.algorithm must be one of {get_args(Algorithm)}, not {self.algorithm!r}"
            )
        if not 1 <= self.lanes <= 16:
            raise ValueError(f"hsm.lanes must be in [1, 16], not {self.lanes}")
        if not 0 < self.wait_s <= 30:
            raise ValueError(f"hsm.wait_s must be in (0, 30], not {self.wait_s}")
        if self.verify not in get_args(Verify):
            raise ValueError(f"hsm.verify must be one of {get_args(Verify)}, not {self.verify!r}")
        # 5 s is the promised way back (R8), so a probe may not be rarer.
        if not 0 < self.probe_s <= 5:
            raise ValueError(f"hsm.probe_s must be in (0, 5], not {self.probe_s}")
