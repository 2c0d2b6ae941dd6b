"""Windows of upload calls, in one notation everywhere: ``10/1s``, ``30/1m``, ``600/1h``."""

import re
from collections.abc import Iterable
from typing import Final

from taxcontrol.admin.v1.taxpayer_pb2 import RateWindow
from taxcontrol.admin.v1.upload_pb2 import WindowUse
from taxctl.session import Unusable
from taxctl.words import tr

_WINDOW: Final = re.compile(r"([1-9]\d{0,9})/(\d{0,9})(ms|s|m|h)", re.ASCII)
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_INT32_MAX: Final = 2**31 - 1


def window(text: str) -> RateWindow:
    """Read ``10/1s``, ``30/m`` or ``600/1h``; raise :class:`Unusable`."""
    match = _WINDOW.fullmatch(text)
    calls, length, unit = match.groups() if match else ("0", "0", "s")
    period_ms = int(length or "1") * _UNIT_MS[unit]
    if not 0 < int(calls) <= _INT32_MAX or period_ms == 0:
        raise Unusable(
            tr("--window must be calls and time, such as 10/1s or 30/1m, not {given!r}").format(
                given=text
            )
        )
    return RateWindow(call_count_max=int(calls), period_ms=period_ms)


def rates(windows: Iterable[RateWindow]) -> str:
    """Windows as ``rate --window`` takes them: ``10/1s 30/1m``."""
    return " ".join(map(_rate, windows))


def uses(windows: Iterable[WindowUse]) -> str:
    """How many calls count in each window now: ``3 of 10/1s, 3 of 30/1m``."""
    return ", ".join(
        tr("{used} of {rate}").format(used=one.used_count, rate=_rate(one)) for one in windows
    )


def _rate(window: RateWindow | WindowUse) -> str:
    return f"{window.call_count_max}/{_length(window.period_ms)}"


def _length(period_ms: int) -> str:
    for unit in ("h", "m", "s"):
        if period_ms % _UNIT_MS[unit] == 0:
            return f"{period_ms // _UNIT_MS[unit]}{unit}"
    return f"{period_ms}ms"
