"""Chinese and English: the texts are English in the code, Chinese in the catalog beside it."""

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from console.config import AUTO, LANGUAGES

CHINESE: Final = "zh-CN"
ENGLISH: Final = "en"
FOLDER: Final = Path(__file__).parent / "locale"
DOMAIN: Final = "console"
_OWN_NAMES: Final = {CHINESE: "中文", ENGLISH: "English"}


def marked(text: str) -> str:
    """Mark a text for the catalog where it is not translated on the spot."""
    return text


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the page. ``code`` is its BCP 47 tag."""

    code: str
    catalog: gettext.NullTranslations

    @property
    def own_name(self) -> str:
        """What it calls itself."""
        return _OWN_NAMES[self.code]

    @property
    def chinese(self) -> bool:
        """Whether it is Chinese: some data come in both languages."""
        return self.code == CHINESE

    def text(self, message: str, **facts: object) -> str:
        """Translate ``message`` and fill in ``facts``."""
        translated = self.catalog.gettext(message)
        return translated % facts if facts else translated

    def texts(self, one: str, many: str, count: int, **facts: object) -> str:
        """Translate by ``count``, which fills in ``%(count)s`` with separators."""
        translated = self.catalog.ngettext(one, many, count)
        return translated % {"count": f"{count:,}", **facts}


def load() -> Mapping[str, Language]:
    """Read the catalogs; English needs none."""
    chinese = gettext.translation(DOMAIN, FOLDER, languages=["zh_CN"])
    return {
        CHINESE: Language(CHINESE, chinese),
        ENGLISH: Language(ENGLISH, gettext.NullTranslations()),
    }


def choose(chosen: str, configured: str, accepted: str) -> str:
    """The code of the language to answer in.

    What a user has ``chosen`` wins, then what is ``configured``, then what the browser has ``accepted``
    (the value of ``Accept-Language``); Chinese for who asks for neither.
    """
    if chosen in LANGUAGES:
        return chosen
    if configured != AUTO:
        return configured
    for tag in _by_wish(accepted):
        primary = tag.partition("-")[0]
        if primary == "zh":
            return CHINESE
        if primary == "en":
            return ENGLISH
    return CHINESE


def _by_wish(accepted: str) -> list[str]:
    """The language tags of an ``Accept-Language`` value, most wanted first."""
    wishes = []
    for place, part in enumerate(accepted[:200].split(",")):
        tag, _, weight = part.partition(";")
        wishes.append((-_weight(weight), place, tag.strip().lower()))
    return [tag for weight, _, tag in sorted(wishes) if weight < 0]


def _weight(text: str) -> float:
    name, _, value = text.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
