"""The language of what people read: English, or Chinese from the catalog.

``--lang`` decides, else LC_ALL, LC_MESSAGES or LANG, the first of them that says anything. What
programs read (``--json``, the contract's names, lines for scripts) is never translated.
"""

import gettext
import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

DOMAIN: Final = "taxctl"
LOCALE: Final = Path(__file__).parent / "locale"
_CATALOG: Final = "zh_CN"
_OPTION: Final = "--lang"


class Language(StrEnum):
    """What ``--lang`` takes."""

    ZH = "zh"
    EN = "en"


class _Speech:
    """One process speaks one language at a time, whichever thread of it speaks."""

    language = Language.EN


def use(language: Language) -> None:
    """Speak ``language`` from now on."""
    _Speech.language = language


def language() -> Language:
    """The language spoken now."""
    return _Speech.language


def chosen(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Language:
    """The language that a command line and an environment ask for.

    The command line is looked at before it is parsed, since its faults are said in that language too.
    """
    given = ""
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == _OPTION and place + 1 < len(arguments):
            given = arguments[place + 1]
        elif argument.startswith(f"{_OPTION}="):
            given = argument.removeprefix(f"{_OPTION}=")
    if given in set(Language):
        return Language(given)
    said = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next(filter(None, said), "")
    return Language.ZH if locale.lower().startswith("zh") else Language.EN


def tr(text: str) -> str:
    """Translate a sentence or a word; fill its ``{places}`` afterwards, with ``format``."""
    # The empty text is where a catalog keeps its header.
    return _catalog(_Speech.language).gettext(text) if text else ""


def tr_n(one: str, many: str, count: int) -> str:
    """Translate what differs for one and for many."""
    return _catalog(_Speech.language).ngettext(one, many, count)


def mark(text: str) -> str:
    """Note a text for the catalog that is translated where it is shown."""
    return text


@cache
def _catalog(language: Language) -> gettext.NullTranslations:
    if language is Language.EN:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALE, [_CATALOG])
