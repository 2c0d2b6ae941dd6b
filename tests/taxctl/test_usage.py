"""Help reads as plain text, and whatever is typed wrongly is said in one way."""

import re
from collections.abc import Iterator

import pytest
import typer

from taxctl.main import app
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_reversal import OWNER

GROUPS = ("stock", "upload", "taxpayer", "alerts", "device", "period")


def commands(app: typer.Typer = app, above: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Every command by its name, and the whole."""
    if not above:
        yield []
    for one in app.registered_commands:
        yield [*above, str(one.name)]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, (*above, str(group.name)))


@pytest.mark.parametrize("command", [*commands()], ids=" ".join)
def test_help_is_plain_and_tells_the_exit_codes(console: Terminal, command: list[str]) -> None:
    ran = console.run(*command, "--help")

    assert ran.code == 0
    assert "``" not in ran.out
    assert not re.search(r"[{}]", ran.out.partition("\n")[0])
    told = " ".join(ran.out.split())
    assert "Exit code: 0 " in told
    assert re.search(r" 4 (effect unknown|it could not look now|the effect|the gateway)", told)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", OWNER, "--state", "lost"], "taxctl: invalid value for '--state': 'lost' is not"),
        (["void", f"{OWNER}/1-2", "--yes"], "taxctl: missing option '--reason'"),
        (["nonsense"], "taxctl: no such command 'nonsense'"),
        (["get", "--colour"], "taxctl: no such option: --colour"),
        (["get"], "taxctl: give either the invoice's NAME or --request-id"),
        (["upload", "rate", OWNER, "--reason", "x"], "taxctl: give either --window or --reset"),
        (["issue"], "taxctl: missing argument 'PATH'"),
    ],
)
def test_every_fault_of_usage_is_said_in_one_way(
    console: Terminal, arguments: list[str], said: str
) -> None:
    ran = console.run(*arguments)

    assert ran.code == 2
    assert ran.err.startswith(said)
    assert "Error" not in ran.err
    assert "Value error" not in ran.err


@pytest.mark.parametrize("group", GROUPS)
def test_a_bare_group_tells_its_commands(console: Terminal, group: str) -> None:
    ran = console.run(group)

    assert ran.code == 2
    assert ran.err.startswith(f"Usage: taxctl {group}") or f" {group} [OPTIONS]" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "stock", "show", OWNER],
        ["stock", "--json", "show", OWNER],
        ["stock", "show", "--json", OWNER],
    ],
)
def test_an_option_of_all_may_stand_anywhere(console: Terminal, arguments: list[str]) -> None:
    ran = console.run(*arguments)

    assert ran.code == 0
    assert ran.json["levels"]


def test_the_nearest_target_wins(fake: FakeGateway) -> None:
    nobody = Terminal("127.0.0.1:1")

    ran = nobody.run("stock", "--target", fake.target, "show", OWNER)

    assert ran.code == 0


def test_an_empty_target_is_no_gateway_rather_than_the_usual_one(fake: FakeGateway) -> None:
    ran = Terminal(fake.target).run("stock", "show", OWNER, "--target", "")

    assert (ran.code, ran.err) == (2, "taxctl: --target must be HOST:PORT, not empty\n")


def test_a_gateway_that_does_not_know_a_call_is_said_to_be_older(console: Terminal) -> None:
    ran = console.run("taxpayer", "list")

    assert ran.code == 1
    assert "UNIMPLEMENTED: the gateway at" in ran.err
    assert "is older than taxctl" in ran.err
