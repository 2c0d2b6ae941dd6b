"""The runbook is whole: every alert and every refusal is in it, and what it tells people to type exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gateway.status import CODE_OF
from taxcontrol.admin.v1.alert_pb2 import Alert
from taxctl.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8")
KINDS = [
    name.removeprefix("KIND_").lower()
    for name in Alert.Kind.keys()  # noqa: SIM118 - no dict
    if name != "KIND_UNSPECIFIED"
]
SECTIONS = dict(re.findall(r"(?ms)^### (\w+)\n(.*?)(?=^##)", PAGE))
# In a block or between backticks, to the end of the line or of the code; a comment is none of it.
COMMANDS = sorted(
    {
        command.partition(" #")[0].strip()
        for command in (
            *re.findall(r"(?m)^    (taxctl .+)$", PAGE),
            *re.findall(r"`(taxctl [^`\n]+)`", PAGE),
        )
    }
)


def test_every_alert_has_a_section_and_none_is_left_over() -> None:
    assert list(SECTIONS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_section_says_what_to_look_at_and_what_to_do(kind: str) -> None:
    assert re.search(r"(?m)^Look( and do)?:", SECTIONS[kind])
    assert re.search(r"(?m)^(Do|Look and do)[:,]", SECTIONS[kind])


def test_every_refusal_has_a_row_with_all_its_cells() -> None:
    table = PAGE.partition("\n## Refusals\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| `")
    ]

    assert sorted(row[0].strip("`") for row in rows) == sorted(
        {*(kind.reason for kind in CODE_OF), "INTERNAL"}
    )
    assert [row[0] for row in rows if len(row) != 4 or not all(row)] == []


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_can_be_typed_as_it_stands(text: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(text)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    options = {option for param in command.params for option in param.opts}

    assert not hasattr(command, "commands"), f"{text}: no such command"
    assert {word for word in words if word.startswith("--")} <= options | {"--help"}


def test_a_link_within_the_page_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"(?m)^#+ (.+)$", PAGE)
    }

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
