"""What is typed for a name is taken in the forms that help tells, or the form that is wanted is said."""

import pytest

from taxctl.names import invoice_name, parent_name, point_of, taxpayer_name
from taxctl.session import Unusable
from tests.taxctl.books import CODE, TAXPAYER
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway

OWNER = TAXPAYER.removeprefix("taxpayers/")
NAME = f"{TAXPAYER}/invoices/{CODE}-00000001"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (NAME, NAME),
        (f"{OWNER}/{CODE}-00000001", NAME),
        (f"{OWNER}/{'2' * 20}", f"{TAXPAYER}/invoices/{'2' * 20}"),
    ],
)
def test_an_invoice_is_named_in_full_or_shortly(given: str, name: str) -> None:
    assert invoice_name(given) == name
    assert invoice_name(given, owner="91310115X12J2H3L4B") == name


def test_where_the_taxpayer_is_known_an_invoice_needs_none() -> None:
    assert invoice_name(f"{CODE}-00000001", owner=OWNER) == NAME
    assert invoice_name(f"{CODE}-00000001", owner=TAXPAYER) == NAME


def test_taxpayers_and_points_are_named_in_either_form() -> None:
    assert taxpayer_name(OWNER) == taxpayer_name(TAXPAYER) == TAXPAYER
    assert parent_name(OWNER, None) == TAXPAYER
    assert parent_name(OWNER, 2) == parent_name(f"{TAXPAYER}/points/2", None)
    assert point_of(f"{TAXPAYER}/points/65535") == f"{TAXPAYER}/points/65535"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", f"{CODE}-00000001"], "give {tax number}/{code}-{number}"),
        (["get", f"{OWNER}/{CODE}-"], "give {tax number}/{code}-{number}"),
        (["get", f"{OWNER}/invoices/{CODE}-1"], "give {tax number}/{code}-{number}"),
        (["get", f"9111/{CODE}-1"], "'9111' is no tax number"),
        (["upload", "status", "9111"], "'9111' is no tax number"),
        (["upload", "list", OWNER.lower()], "is no tax number"),
        (["list", f"{TAXPAYER}/points/x"], "give taxpayers/{tax number}/points/{n}"),
        (["list", f"{TAXPAYER}/points/70000"], "give taxpayers/{tax number}/points/{n}"),
        (
            ["upload", "retry", OWNER, "--invoice", "x", "--reason", "y", "--yes"],
            "names no invoice: give {code}-{number}",
        ),
    ],
)
def test_what_is_no_name_is_said_before_anything_is_sent(
    fake: FakeGateway, console: Terminal, arguments: list[str], said: str
) -> None:
    ran = console.run(*arguments)

    assert ran.code == 2
    assert said in ran.err
    assert fake.books.seen == []


@pytest.mark.parametrize("given", ["", "a/b/c", "taxpayers//invoices/1", f"{NAME}/x", "../1"])
def test_nothing_else_is_taken_for_an_invoice(given: str) -> None:
    with pytest.raises(Unusable):
        invoice_name(given)
