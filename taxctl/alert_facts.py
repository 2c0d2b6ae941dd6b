"""An alert as a person reads it, and short times."""

from collections.abc import Iterable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxctl.names import point_number, short_name
from taxctl.screen import in_china
from taxctl.words import Language, language, tr

_SEVERITY_STYLES: Final = {
    Alert.SEVERITY_WARNING: "yellow",
    Alert.SEVERITY_SERIOUS: "bold yellow",
    Alert.SEVERITY_CRITICAL: "bold red",
}
_FAR_S: Final = 2**62


def message(alert: Alert) -> str:
    """The sentence of an alert in the language that is spoken."""
    chinese = language() is Language.ZH and alert.message_zh
    return alert.message_zh if chinese else alert.message


def place(alert: Alert) -> str:
    """Where an alert is: taxpayer, point or device, and type; the gateway where it is nobody's."""
    if not alert.taxpayer:
        return tr("gateway")
    parts = [short_name(alert.taxpayer)]
    if alert.point:
        parts.append(tr("point {n}").format(n=point_number(alert.point)))
    parts += [part for part in (alert.machine_number, alert.type) if part]
    return " ".join(parts)


def severity_style(alert: Alert) -> str:
    """The colour of how bad it is."""
    return _SEVERITY_STYLES.get(alert.severity, "")


def worst_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Alerts as the desk orders them."""
    return sorted(alerts, key=_worst_alert)


def moment(at: Timestamp, now: Timestamp) -> str:
    """A time as short as it is clear: ``16:40`` today, ``12-03 16:40``, ``2027-12-03``."""
    if not (at.seconds or at.nanos):
        return ""
    then, today = in_china(at), in_china(now)
    if then.date() == today.date():
        return f"{then:%H:%M}"
    return f"{then:%m-%d %H:%M}" if then.year == today.year else f"{then:%Y-%m-%d}"


def soon(at: Timestamp) -> int:
    """A time for sorting: what never comes is last."""
    return at.seconds or _FAR_S


def _worst_alert(alert: Alert) -> tuple[int, bool, int, int]:
    taken = alert.state == Alert.STATE_ACKNOWLEDGED
    return -alert.severity, taken, soon(alert.limit_time), alert.raise_time.seconds
