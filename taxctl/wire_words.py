"""The contract's values as words: ``partly reversed`` for ``STATE_PARTLY_REVERSED``."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsResponse
from taxcontrol.admin.v1.offline_pb2 import Grade, LimitUse
from taxcontrol.admin.v1.period_pb2 import Period, RateTotal
from taxcontrol.admin.v1.stock_admin_service_pb2 import Grant
from taxcontrol.admin.v1.upload_pb2 import UnuploadedEvent
from taxcontrol.v1.invoice_pb2 import Invoice, InvoiceKind
from taxcontrol.v1.invoice_query_pb2 import InvoiceChange, VerifyInvoiceResponse
from taxctl.words import tr


class _Values(Protocol):
    def keys(self) -> list[str]: ...


# Every enumeration that is shown, with the prefix of its names: the catalog has all of their words.
SHOWN: Final[tuple[tuple[_Values, str], ...]] = (
    (Invoice.State, "STATE_"),
    (Invoice.UploadState, "UPLOAD_STATE_"),
    (InvoiceKind, "INVOICE_KIND_"),
    (InvoiceChange.Type, "TYPE_"),
    (VerifyInvoiceResponse.Verdict, "VERDICT_"),
    (UnuploadedEvent.Event, "EVENT_"),
    (Grant.State, "STATE_"),
    (Alert.Kind, "KIND_"),
    (Alert.State, "STATE_"),
    (Alert.Severity, "SEVERITY_"),
    (WatchAlertsResponse.Change, "CHANGE_"),
    (Grade, "GRADE_"),
    (LimitUse.Limit, "LIMIT_"),
    (Period.State, "STATE_"),
    (RateTotal.Group, "GROUP_"),
)


def word(name_of: Callable[[Any], str], value: int, prefix: str) -> str:
    """The word for a value; a newer gateway's value as its number."""
    try:
        return tr(english(name_of(value), prefix))
    except ValueError:
        return f"#{value}"


def english(name: str, prefix: str) -> str:
    """The word for a value's name, as the catalog knows it."""
    return name.removeprefix(prefix).lower().replace("_", " ")


def all_words() -> Iterator[str]:
    """Every word there is, each once."""
    yield from dict.fromkeys(
        english(name, prefix)
        for values, prefix in SHOWN
        for name in values.keys()  # noqa: SIM118 - it is no dict
    )


def kind_word(alert: Alert) -> str:
    """What an alert is about."""
    return word(Alert.Kind.Name, alert.kind, "KIND_")


def severity_word(alert: Alert) -> str:
    """How bad it is."""
    return word(Alert.Severity.Name, alert.severity, "SEVERITY_")


def grade_word(grade: int) -> str:
    """How near a limit is."""
    return word(Grade.Name, grade, "GRADE_")


def limit_word(limit: int) -> str:
    """Which limit."""
    return word(LimitUse.Limit.Name, limit, "LIMIT_")
