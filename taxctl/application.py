"""The command line as a whole: what is typed wrongly is said as every other failure is."""

import sys
from typing import Any, NoReturn

from typer.core import TyperGroup
from typer.exceptions import TyperException

from taxctl.screen import Screen
from taxctl.session import ExitCode

# A bare group is no mistake: its help says which commands there are.
_HELP = "Usage:"


class Application(TyperGroup):
    """Runs a command and ends the process with its exit code."""

    def main(self, *arguments: Any, **options: Any) -> NoReturn:
        """Run it. Wrong usage ends with one ``taxctl:`` line, and where to find help."""
        options["standalone_mode"] = False
        try:
            code = super().main(*arguments, **options)
        except TyperException as error:
            _tell(error)
            sys.exit(ExitCode.UNUSABLE)
        sys.exit(code or ExitCode.DONE)


def _tell(error: Any) -> None:
    screen = Screen(as_json=False)
    said = str(error.format_message())
    if said.startswith(_HELP):
        for line in said.splitlines():
            screen.note(line)
        return
    # The last is how typer hands on what a choice has to say.
    plain = said.replace("Value error, ", "").removesuffix(".")
    screen.note(f"taxctl: {plain[:1].lower()}{plain[1:]}")
    context = getattr(error, "ctx", None)
    if context is not None:
        screen.note(f"  see {context.command_path} --help")
