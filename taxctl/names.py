"""Names as people type them, and the options that every write has."""

from typing import Annotated, Final
from uuid import uuid4

import typer

from taxctl.screen import Screen
from taxctl.session import Unusable

_TAXPAYERS: Final = "taxpayers/"
_INVOICES: Final = "/invoices/"
_POINTS: Final = "/points/"

TaxpayerArgument = Annotated[
    str, typer.Argument(metavar="TAXPAYER", help="Tax number, or taxpayers/{tax number}.")
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
    """Accept a bare tax number for a resource name."""
    return given if given.startswith(_TAXPAYERS) else _TAXPAYERS + given


def point_name(taxpayer: str, point: int) -> str:
    """Name a point of a taxpayer given in either form."""
    return f"{taxpayer_name(taxpayer)}/points/{point}"


def parent_name(given: str, point: int | None) -> str:
    """Name a taxpayer, or one point of it; raise :class:`Unusable` for two points."""
    if point is None:
        return taxpayer_name(given)
    if _POINTS in given:
        raise Unusable(f"{given} names a point already; leave --point out")
    return point_name(given, point)


def invoice_name(given: str) -> str:
    """Accept ``{tax number}/{code}-{number}`` for a resource name; leave the rest to the gateway."""
    owner, slash, rest = given.partition("/")
    if not slash or "/" in rest:
        return given
    return f"{_TAXPAYERS}{owner}{_INVOICES}{rest}"


def short_name(name: str) -> str:
    """The ``{code}-{number}`` of an invoice's name: enough where its taxpayer is known."""
    return name.rpartition("/")[2]


def point_number(name: str) -> str:
    """The number of a point's name; ``pool`` for no point, as stock has it."""
    return name.rpartition("/")[2] or "pool"


def request_id_of(given: str, screen: Screen) -> str:
    """Return the id for a write: the one given, or a fresh one that the user gets to see first."""
    if given:
        return given
    fresh = str(uuid4())
    screen.note(f"request id: {fresh}")
    return fresh
