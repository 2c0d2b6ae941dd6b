"""Times are China's unless they name another zone, and nothing that is no time is taken for one."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from taxctl.screen import civil
from taxctl.times import instant, month


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-22", "2026-11-22 00:00:00"),
        ("2026-11-22T10:30", "2026-11-22 10:30:00"),
        ("2026-11-22 10:30:59", "2026-11-22 10:30:59"),
        ("2026-11-22T10:30:59.25", "2026-11-22 10:30:59"),
        ("2026-11-22T02:30:00Z", "2026-11-22 10:30:00"),
        ("2026-11-22T11:30:00+09:00", "2026-11-22 10:30:00"),
    ],
)
def test_a_time_is_read(text: str, shown: str) -> None:
    assert civil(instant(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("", "today", "2026-11", "2026-13-01", "2026-02-30", "20261122", "2026-11-22T25:00"),
        *("2026-11-22T10", "2026-11-22T10:30 +08:00", "２０２６-11-22", "0000-01-01", "0001-01-01"),
    ],
)
def test_what_is_no_time_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        instant(text)


def test_a_month_begins_at_midnight_in_china() -> None:
    last = Timestamp(seconds=1_796_054_399)  # 2026-11-30 23:59:59 there

    assert month(last) == "2026-11"
    assert month(Timestamp(seconds=last.seconds + 1)) == "2026-12"
    assert month(datetime.fromtimestamp(last.seconds, UTC)) == "2026-11"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (
            253_402_300_799,
            "9999-12-31 23:59:59",
        ),  # a certificate without an end (RFC 5280, 4.1.2.5)
        (2**62, "9999-12-31 23:59:59"),
        (-(2**62), "1-01-01 00:00:00"),
    ],
)
def test_a_time_beyond_the_calendar_is_its_last_or_first(seconds: int, shown: str) -> None:
    at = Timestamp(seconds=seconds)

    assert civil(at) == shown
    assert shown.startswith(month(at))
