"""The command line as a whole: what is typed wrongly is said as every other failure is."""

import re
import sys
from typing import Any, Final, NoReturn

from typer.exceptions import TyperException

from taxctl.help_text import translate
from taxctl.screen import Screen
from taxctl.session import ExitCode, Group
from taxctl.words import Language, chosen, mark, tr, use

# A bare group is no mistake: its help says which commands there are.
_HELP = "Usage: "
_SAMPLES: Final = {Language.EN: "tax", Language.ZH: "税"}
# How typer says what was typed wrongly, and the same for the catalog.
_FAULTS: Final = (
    (re.compile(r"missing option '(.+)'", re.DOTALL), mark("missing option '{}'")),
    (re.compile(r"missing argument '(.+)'", re.DOTALL), mark("missing argument '{}'")),
    (re.compile(r"no such option: (.+)", re.DOTALL), mark("no such option: {}")),
    (re.compile(r"no such command '(.+)'", re.DOTALL), mark("no such command '{}'")),
    (re.compile(r"invalid value for '(.+?)': (.+)", re.DOTALL), mark("invalid value for '{}': {}")),
)


class Application(Group):
    """Runs a command and ends the process with its exit code."""

    def main(self, *arguments: Any, **options: Any) -> NoReturn:
        """Run it. Wrong usage ends with one ``taxctl:`` line, and where to find help."""
        given = options.get("args")
        language = chosen(sys.argv[1:] if given is None else given)
        use(language if _can_show(language) else Language.EN)
        translate(self)
        options["standalone_mode"] = False
        try:
            code = super().main(*arguments, **options)
        except TyperException as error:
            _tell(error)
            sys.exit(ExitCode.UNUSABLE)
        sys.exit(code or ExitCode.DONE)


def _can_show(language: Language) -> bool:
    """Whether the output can carry the language: Chinese in ASCII would be rows of escapes."""
    try:
        for stream in (sys.stdout, sys.stderr):
            _SAMPLES[language].encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _tell(error: Any) -> None:
    screen = Screen(as_json=False)
    said = str(error.format_message())
    if said.startswith((_HELP, tr(_HELP))):
        for line in said.splitlines():
            screen.note(line)
        return
    # The last is how typer hands on what a choice has to say.
    plain = said.replace("Value error, ", "").removesuffix(".")
    screen.note(f"taxctl: {_translated(plain[:1].lower() + plain[1:])}")
    context = getattr(error, "ctx", None)
    if context is not None:
        screen.note(tr("  see {command} --help").format(command=context.command_path))


def _translated(fault: str) -> str:
    for form, sentence in _FAULTS:
        if match := form.fullmatch(fault):
            return tr(sentence).format(*match.groups())
    return fault
