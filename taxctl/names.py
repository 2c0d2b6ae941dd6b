"""Names as people type them, and the options that every write has."""

from typing import Annotated, Final
from uuid import uuid4

import typer

from taxctl.screen import Screen

_TAXPAYERS: Final = "taxpayers/"

TaxpayerArgument = Annotated[
    str, typer.Argument(metavar="TAXPAYER", help="Tax number, or taxpayers/{tax number}.")
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
ReasonOption = Annotated[
    str, typer.Option(help="Why; goes on the audit record.", show_default=False)
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")
]


def taxpayer_name(given: str) -> str:
    """Accept a bare tax number for a resource name."""
    return given if given.startswith(_TAXPAYERS) else _TAXPAYERS + given


def point_name(taxpayer: str, point: int) -> str:
    """Name a point of a taxpayer given in either form."""
    return f"{taxpayer_name(taxpayer)}/points/{point}"


def request_id_of(given: str, screen: Screen) -> str:
    """Return the id for a write: the one given, or a fresh one that the user gets to see first."""
    if given:
        return given
    fresh = str(uuid4())
    screen.note(f"request id: {fresh}")
    return fresh
