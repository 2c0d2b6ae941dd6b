"""Instants and days as people type them: civil time in China where nothing else is said."""

import re
import time
from datetime import datetime
from typing import Annotated, Final

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from taxctl.screen import SHANGHAI, in_china
from taxctl.session import Unusable
from taxctl.words import mark, tr

_FORM: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_LATER: Final = re.compile(r"([1-9]\d{0,4})([smhd])", re.ASCII)
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WANTED: Final = mark("2026-11-22, or 2026-11-22T10:30:00, in China's time unless it names another")


def instant(text: str) -> Timestamp:
    """Read ``2026-11-22`` (its first moment) or an ISO time; raise :class:`ValueError`."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(
            tr("must be a time such as {wanted}, not {given!r}").format(
                wanted=tr(_WANTED), given=text
            )
        )
    day, clock, zone = match.groups(default="")
    try:
        found = datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone}")
        at = Timestamp()
        at.FromDatetime(found if found.tzinfo else found.replace(tzinfo=SHANGHAI))
    except (ValueError, OverflowError) as error:
        raise ValueError(
            tr("{given!r} is no time: {error}").format(given=text, error=error)
        ) from error
    return at


def instant_or_later(text: str) -> tuple[Timestamp, bool]:
    """Read an instant, or ``10m`` for ten minutes from now; the second value tells the latter.

    Raises:
        Unusable: It is neither.
    """
    match = _LATER.fullmatch(text)
    try:
        if match is None:
            return instant(text), False
        later = Timestamp()
        # Whole seconds: what is shown is what is sent.
        later.FromSeconds(int(time.time()) + int(match[1]) * _UNIT_S[match[2]])
    except ValueError as error:
        raise Unusable(
            tr("--until {error}, nor 10m, 2h or 1d from now on").format(error=error)
        ) from error
    return later, True


def month(at: Timestamp | datetime) -> str:
    """The calendar month in China: ``2026-11``."""
    when = in_china(at) if isinstance(at, Timestamp) else at.astimezone(SHANGHAI)
    return f"{when:%Y-%m}"


def _option(text: str) -> Timestamp:
    try:
        return instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


TIME_METAVAR: Final = "TIME"
FromOption = Annotated[
    Timestamp | None,
    typer.Option(
        "--issued-from",
        parser=_option,
        metavar=TIME_METAVAR,
        help=f"Only issued at this time or later: {_WANTED}.",
        show_default=False,
    ),
]
BeforeOption = Annotated[
    Timestamp | None,
    typer.Option(
        "--issued-before",
        parser=_option,
        metavar=TIME_METAVAR,
        help="Only issued before this time; a day's own invoices are not.",
        show_default=False,
    ),
]
UntilOption = Annotated[
    str,
    typer.Option(
        "--until",
        metavar=TIME_METAVAR,
        help="When they go on by themselves: a time, or from now on, such as 10m, 2h, 1d. Default:"
        " not before they are resumed.",
        show_default=False,
    ),
]
