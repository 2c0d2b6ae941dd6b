"""What people are told: in English and in Chinese, with the figures and the times that the alert has."""

import re

import pytest

from gateway.alerts.condition import Condition
from gateway.alerts.conditions import conditions
from gateway.alerts.messages import clock_text, sentences, span_text
from tests.gateway.alerts.cases import CASES, Case
from tests.gateway.alerts.scenes import DAY_S, HOUR_S, NOW

# The Han characters that a Chinese sentence is made of.
_HAN = re.compile("[\u4e00-\u9fff]")


def of(case: Case) -> Condition:
    [found] = [one for one in conditions(case.raised, {}).values() if one.place.kind == case.kind]
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_is_said_in_both_languages(case: Case) -> None:
    english, chinese = sentences(of(case), NOW)

    assert english.isascii()
    assert not _HAN.search(english)
    assert _HAN.search(chinese)
    assert _numbers(chinese) <= _numbers(english)


def _numbers(sentence: str) -> set[int]:
    return set(map(int, re.findall(r"\d+", sentence)))


SAID = {
    "stock is at its threshold": (
        "point 0, type 026: 50 numbers left; empty at 2025-12-01 03:53",
        "0 号开票点 026 剩余 50 张，预计 12月1日 03:53 用尽",
    ),
    "stock without a threshold lasts less than half an hour": (
        "point 0, type 026: 20 numbers left; empty at 19:21",
        "0 号开票点 026 剩余 20 张，预计 19:21 用尽",
    ),
    "none may be issued: all are past their day": (
        "point 0, type 026: none that may be issued; 12 numbers are past their day",
        "0 号开票点 026 无可用号码，12 张已过开具期限",
    ),
    "few are un-uploaded, and the limit is two hours away": (
        (
            "device 661000000001, type 026: 100 invoices un-uploaded of at most 1000; "
            "the limit is reached at 20:53"
        ),
        "设备 661000000001 026 未上传 100 张（限 1000 张），预计 20:53 达到限额",
    ),
    "so much is un-uploaded": (
        (
            "device 661000000001, type 026: 700.00 yuan un-uploaded of at most 1,000.00; "
            "the backlog is gone at 18:54"
        ),
        "设备 661000000001 026 未上传金额 700.00 元（限 1,000.00 元），预计 18:54 传完",
    ),
    "the count is reached": (
        (
            "device 661000000001, type 026: offline count reached, nothing is issued; "
            "1000 invoices wait for upload"
        ),
        "设备 661000000001 026 已达离线张数，停止开票，1000 张待上传",
    ),
    "the clock is five minutes behind": (
        "this machine's clock is -300 s from the authority's",
        "本机时钟与税务局相差 -300 秒",
    ),
    "the clock ran back": (
        "this machine's clock ran back 6 s behind the last invoice",
        "本机时钟回拨，落后最近一张发票 6 秒",
    ),
    "a month that is over has locked the device": (
        "device 661000000001: 2025-10 is not summarised, and issuing has been stopped since 18:53",
        "设备 661000000001 的 2025-10 未抄报，已于 18:53 停止开票",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_it_is_said_like_this(name: str) -> None:
    assert sentences(of(CASES[name]), NOW) == SAID[name]


@pytest.mark.parametrize(
    ("after_s", "said"),
    [
        (0, ("18:53", "18:53")),
        (5 * HOUR_S, ("23:53", "23:53")),
        (6 * HOUR_S, ("2025-12-01 00:53", "12月1日 00:53")),
        (-DAY_S, ("2025-11-29 18:53", "11月29日 18:53")),
    ],
)
def test_a_time_has_its_day_unless_it_is_today(after_s: float, said: tuple[str, str]) -> None:
    assert clock_text(NOW + after_s, NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59, "0 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (72 * 3600 - 1, "71 h"),
        (72 * 3600, "3 days"),
    ],
)
def test_a_span_is_in_the_unit_that_people_use(seconds: float, said: str) -> None:
    assert span_text(seconds)[0] == said
