"""Chinese and English: which is answered in, and that no text is missing in either."""

import re

import pytest
from babel.messages.catalog import Message
from google.protobuf.timestamp_pb2 import Timestamp

from console import languages, translate
from console.figures import civil, clock, count, duration, moment, percent, yuan
from console.languages import CHINESE, ENGLISH, choose

SPOKEN = languages.load()
_FACT = re.compile(r"%\([a-z_]+\)s")


@pytest.mark.parametrize(
    ("chosen", "configured", "accepted", "code"),
    [
        ("", "auto", "", CHINESE),
        ("", "auto", "en-GB,en;q=0.9", ENGLISH),
        ("", "auto", "fr,zh;q=0.3,en;q=0.4", ENGLISH),
        ("", "auto", "de,zh-TW;q=0.3", CHINESE),
        ("", "auto", "en;q=0, zh", CHINESE),
        ("", "auto", "en;q=x, *", CHINESE),
        ("", "zh-CN", "en", CHINESE),
        ("en", "zh-CN", "zh", ENGLISH),
        ("fr", "auto", "en", ENGLISH),
    ],
)
def test_the_chosen_language_wins_then_the_configured_then_the_browsers(
    chosen: str, configured: str, accepted: str, code: str
) -> None:
    assert choose(chosen, configured, accepted) == code


def written(message: Message) -> str:
    """The Chinese of a text; it has one form for all counts."""
    string = message.string or ""
    return string if isinstance(string, str) else string[0]


def test_every_text_of_the_code_is_in_the_catalog_in_chinese_and_no_other() -> None:
    wanted = {message.id for message in translate.texts() if message.id}
    found = {message.id: message for message in translate.translated() if message.id}

    assert set(found) == wanted
    assert [one.id for one in found.values() if one.fuzzy or not written(one)] == []


def test_a_translation_has_the_facts_of_its_text() -> None:
    for message in translate.translated():
        source = message.id if isinstance(message.id, str) else message.id[-1]
        if source:
            assert sorted(_FACT.findall(source)) == sorted(_FACT.findall(written(message))), source


def test_what_is_read_at_start_was_compiled_from_what_people_edit() -> None:
    chinese = SPOKEN[CHINESE].catalog
    for message in translate.translated():
        one, many = (message.id, "") if isinstance(message.id, str) else tuple(message.id)[:2]
        if one:
            read = chinese.ngettext(one, many, 2) if many else chinese.gettext(one)
            assert read == written(message)
    assert translate.PO.read_text("utf-8") == translate.po_text(translate.brought_up())


def test_figures_are_read_as_people_write_them() -> None:
    assert count(-1_234_567) == "−1,234,567"
    assert (yuan(123_450), yuan(-5), yuan(0)) == ("1,234.50", "−0.05", "0.00")
    assert (percent(999_999), percent(1_000_000)) == ("99 %", "100 %")


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (-5, "0 s", "0 秒"),
        (59.9, "59 s", "59 秒"),
        (3599, "59 min", "59 分钟"),
        (3660, "1 h 1 min", "1 小时 1 分"),
        (90_000, "1 d 1 h", "1 天 1 小时"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, english: str, chinese: str) -> None:
    assert duration(seconds, language=SPOKEN[ENGLISH]) == english
    assert duration(seconds, language=SPOKEN[CHINESE]) == chinese


@pytest.mark.parametrize(
    ("ahead_s", "english"),
    [
        (60, "23:31"),
        (3600, "tomorrow 00:30"),
        (-86_400, "yesterday 23:30"),
        (86_400 * 3, "01-03 23:30"),
    ],
)
def test_a_time_is_as_short_as_it_is_clear(ahead_s: float, english: str) -> None:
    now = civil(1_767_195_000)  # 2025-12-31 23:30 in Shanghai

    text = clock(civil(1_767_195_000 + ahead_s), now=now, language=SPOKEN[ENGLISH])

    assert text.removeprefix("2026-") == english


@pytest.mark.parametrize(
    ("seconds", "year"), [(253_402_300_799, 9999), (2**62, 9999), (-(2**62), 1)]
)
def test_a_time_beyond_the_calendar_is_its_last_or_first(seconds: int, year: int) -> None:
    assert moment(Timestamp(seconds=seconds)).year == year
