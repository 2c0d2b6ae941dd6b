"""A whole system for the commands, a fake gateway, and the command line in this process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from sandbox.invoices import counters
from sandbox.system import System
from sandbox.taxpayers import register_samples, stock_up
from taxctl.connection import connect
from taxctl.main import app
from tests.taxctl.gateway import FakeGateway, fake_gateway


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str
    data: bytes

    @property
    def json(self) -> Any:
        """The JSON document it printed."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """The JSON documents it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs ``taxctl`` commands against one target."""

    target: str

    def run(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run one command to its end."""
        result = CliRunner().invoke(app, ["--target", self.target, *arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr, result.stdout_bytes)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Token, simulator and gateway, the sample taxpayers registered and with stock."""
    with System(tmp_path_factory.mktemp("taxctl") / "system") as running:
        connection = connect(running.target)
        with connection.channel:
            places = counters(register_samples(connection))
            stock_up(connection, places, low=1, count=200)
        yield running


@pytest.fixture
def terminal(system: System) -> Terminal:
    """The command line, pointed at the system."""
    return Terminal(system.target)


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    """A fake gateway with the new calls of the contract."""
    with fake_gateway() as running:
        yield running


@pytest.fixture
def console(fake: FakeGateway) -> Terminal:
    """The command line, pointed at the fake gateway."""
    return Terminal(fake.target)
