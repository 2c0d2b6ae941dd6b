"""Writes docs/taxctl.md from the help of every command: `make gen`. A test keeps the page equal to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from typer.main import get_command

from taxctl.main import app
from taxctl.session import ExitCode

PAGE: Final = Path(__file__).parent.parent / "docs" / "taxctl.md"
_WIDTH: Final = 80
_MEANINGS: Final = {
    ExitCode.DONE: "done; of `doctor`: the books balance; of `verify`: genuine",
    ExitCode.REFUSED: "refused by the gateway, or declined by you; of `issue` and `taxpayer register`: some were",
    ExitCode.UNUSABLE: "wrong usage, an unreadable file, or nobody to ask",
    ExitCode.UNREACHABLE: "the gateway was not reached",
    ExitCode.UNDECIDED: "the gateway cannot say now; after a write the effect is unknown, and the same"
    " `--request-id` tells it",
    ExitCode.NOT_OURS: "`verify`: not issued here, or not as printed",
    ExitCode.VOIDED: "`verify`: voided",
    ExitCode.REVERSED: "`verify`: reversed, in part or in full",
}
_HEAD: Final = """\
# taxctl

The command line of a gateway's operators. This page is made from the commands' own help by `make gen`;
`taxctl COMMAND --help` says the same.

![The live view of taxctl top](images/taxctl-top.svg)

## What holds for every command

- **Where**: `--target HOST:PORT`, or `TAXCTL_TARGET`. `--timeout` is for each call.
- **Who**: `--operator NAME`, or `TAXCTL_OPERATOR`, or else the login name, goes with every call and on the audit
  record; `taxctl audit` reads it. It is a name that the caller gives, and no proof of who calls.
- **Answers** are tables for people on standard output; `--json` prints the contract's reply instead.
  Everything else goes to standard error: request ids, questions, progress, faults.
- **Writes** have a `--request-id`: a new one is printed first, and giving it again retries without doing
  anything twice. `--dry-run` says what would happen and changes nothing; what cannot be taken back, or
  holds up work, asks first, and `--yes` answers.
- **Colours** and progress bars are for terminals only, and no colour is used where `NO_COLOR` is set.
- **Language**: English, or Chinese where `LC_ALL`, `LC_MESSAGES` or `LANG` (the first that is set) begins with
  `zh`; `--lang zh` or `--lang en` wins. `--json` is never translated, nor are the lines that scripts read
  (`doctor: …`, `issue: …`).
- **Completion** of commands, options and choices for bash, zsh and fish: `taxctl --install-completion` puts
  it in the shell you are in, `taxctl --show-completion` prints it. It calls no gateway.

## Exit codes

| code | means |
|---|---|
"""


_INTERRUPTED: Final = (
    "| 130 | interrupted by Ctrl-C; `watch`, `alerts watch` and `top` end with 0 |\n"
)


def page() -> str:
    """The page."""
    codes = [f"| {code.value} | {meaning} |\n" for code, meaning in _MEANINGS.items()]
    commands = [_section(name, told) for name, told in _helps(get_command(app), "taxctl", None)]
    return "".join([_HEAD, *codes, _INTERRUPTED, "\n## Commands\n", *commands])


def main() -> None:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")


def _helps(command: Any, name: str, above: Any) -> Iterator[tuple[str, str]]:
    context = typer.Context(command, info_name=name, parent=above, terminal_width=_WIDTH)
    yield context.command_path, command.get_help(context)
    for below, one in getattr(command, "commands", {}).items():
        yield from _helps(one, below, context)


def _section(name: str, told: str) -> str:
    lines = "\n".join(line.rstrip() for line in told.splitlines())
    return f"\n### {name}\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    main()
