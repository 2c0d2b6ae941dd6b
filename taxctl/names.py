"""Names as people type them, and the options that every write has."""

import re
from typing import Annotated, Final
from uuid import uuid4

import typer

from taxctl.screen import Screen
from taxctl.session import Unusable
from taxctl.words import tr

_TAXPAYERS: Final = "taxpayers/"
_INVOICES: Final = "/invoices/"
_POINTS: Final = "/points/"
# The form the gateway wants; whether there is such a one is for it to say.
_TAX_NUMBER: Final = re.compile(r"[0-9A-Z]{15,20}")
_INVOICE: Final = re.compile(
    r"(?:taxpayers/(?P<full>[^/]+)/invoices/|(?P<owner>[^/]+)/)?(?P<rest>(?:[0-9]+-)?[0-9]+)"
)
_DEVICES: Final = "/devices/"
_MACHINE: Final = re.compile(r"[0-9]{12}")
POINT_MAX: Final = 65535

TaxpayerArgument = Annotated[
    str, typer.Argument(metavar="TAXPAYER", help="Tax number, or taxpayers/{tax number}.")
]
AnyTaxpayerArgument = Annotated[
    str,
    typer.Argument(
        metavar="TAXPAYER",
        help="Tax number, or taxpayers/{tax number}. All of them when left out.",
        show_default=False,
    ),
]
DeviceArgument = Annotated[
    str,
    typer.Argument(
        metavar="DEVICE",
        help="taxpayers/{tax number}/devices/{machine number}, or {tax number}/{machine number}.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="At most so many. Default: all.", show_default=False)
]
ParentArgument = Annotated[
    str,
    typer.Argument(
        metavar="PARENT", help="Tax number, taxpayers/{tax number}, or …/points/{n} of it."
    ),
]
InvoiceArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="taxpayers/{tax number}/invoices/{code}-{number}, or {tax number}/{code}-{number};"
        " without {code}- where the type has none.",
        show_default=False,
    ),
]
TypeOption = Annotated[str, typer.Option("--type", help="Invoice type, such as 026.")]
PointOption = Annotated[int, typer.Option("--point", min=0, max=65535, help="Issuing point.")]
CountOption = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many.")]
RequestIdOption = Annotated[
    str,
    typer.Option(
        help="Give the id of an earlier try to retry it. Default: a new one, which is printed.",
        show_default=False,
    ),
]
OnePointOption = Annotated[
    int | None, typer.Option("--point", min=0, max=65535, help="Only this issuing point.")
]
OneTypeOption = Annotated[str, typer.Option("--type", help="Only this invoice type.")]
ReasonOption = Annotated[
    str, typer.Option(help="Why; goes on the audit record.", show_default=False)
]
RequiredReasonOption = Annotated[
    str, typer.Option("--reason", help="Why; required, and kept for good.", show_default=False)
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def taxpayer_name(given: str) -> str:
    """Accept a bare tax number for a resource name; raise :class:`Unusable` where there is none."""
    number = given.removeprefix(_TAXPAYERS)
    if _TAX_NUMBER.fullmatch(number) is None:
        raise Unusable(
            tr("{given!r} is no tax number: it has 15 to 20 digits and capital letters").format(
                given=given
            )
        )
    return _TAXPAYERS + number


def point_name(taxpayer: str, point: int) -> str:
    """Name a point of a taxpayer given in either form."""
    return f"{taxpayer_name(taxpayer)}/points/{point}"


def parent_name(given: str, point: int | None) -> str:
    """Name a taxpayer, or one point of it; raise :class:`Unusable` for two points."""
    if point is not None and _POINTS in given:
        raise Unusable(tr("{given} names a point already; leave --point out").format(given=given))
    if point is not None:
        return point_name(given, point)
    return point_of(given) if _POINTS in given else taxpayer_name(given)


def point_of(given: str) -> str:
    """Check a point's full name; raise :class:`Unusable`."""
    owner, _, number = given.partition(_POINTS)
    if not (number.isascii() and number.isdigit() and int(number) <= POINT_MAX):
        raise Unusable(
            tr("{given!r} is no point: give taxpayers/{{tax number}}/points/{{n}}").format(
                given=given
            )
        )
    return point_name(owner, int(number))


def invoice_name(given: str, *, owner: str = "") -> str:
    """Accept ``{tax number}/{code}-{number}`` for a resource name; raise :class:`Unusable`.

    With ``owner``, a taxpayer's name, ``{code}-{number}`` will do.
    """
    match = _INVOICE.fullmatch(given)
    named = owner if match is None else match["full"] or match["owner"] or owner
    if match is None or not named:
        wanted = "{code}-{number}" if owner else "{tax number}/{code}-{number}"
        raise Unusable(
            tr("{given!r} names no invoice: give {wanted}").format(given=given, wanted=wanted)
        )
    return f"{taxpayer_name(named)}{_INVOICES}{match['rest']}"


def device_name(given: str) -> str:
    """Accept ``{tax number}/{machine number}`` for a resource name; raise :class:`Unusable`."""
    owner, _, number = given.removeprefix(_TAXPAYERS).partition("/")
    number = number.removeprefix(_DEVICES.removeprefix("/"))
    if _MACHINE.fullmatch(number) is None:
        raise Unusable(
            tr("{given!r} names no device: give {{tax number}}/{{machine number}}").format(
                given=given
            )
        )
    return f"{taxpayer_name(owner)}{_DEVICES}{number}"


def device_owner(device: str) -> str:
    """The tax number of a device's name."""
    return device.removeprefix(_TAXPAYERS).partition("/")[0]


def short_name(name: str) -> str:
    """The ``{code}-{number}`` of an invoice's name: enough where its taxpayer is known."""
    return name.rpartition("/")[2]


def point_number(name: str) -> str:
    """The number of a point's name; ``pool`` for no point, as stock has it."""
    return name.rpartition("/")[2] or tr("pool")


def request_id_of(given: str, screen: Screen) -> str:
    """Return the id for a write: the one given, or a fresh one that the user gets to see first."""
    if given:
        return given
    fresh = str(uuid4())
    screen.note(tr("request id: {id}").format(id=fresh))
    return fresh
