"""Devices, months, thresholds, limits and the audit record from the command line."""

import getpass

import pytest
from rich.cells import cell_len

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsResponse
from taxcontrol.admin.v1.offline_pb2 import GRADE_RESTRICT, LimitUse
from taxcontrol.admin.v1.upload_pb2 import Meter
from taxctl.session import login_name
from taxctl.words import Language
from tests.taxctl import views
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_reversal import OWNER
from tests.taxctl.tty import COLUMNS, on_terminal
from tests.taxctl.workshop import DEVICE, MACHINE

WHY = ("--reason", "值班")


@pytest.fixture
def alerts(fake: FakeGateway) -> list[Alert]:
    """The sample alerts, and one that is over."""
    told = views.alerts()
    over = Alert(name="alerts/9", kind=Alert.KIND_CLOCK_SKEW, state=Alert.STATE_RESOLVED)
    for alert in (*told, over):
        fake.lookout.tell(alert, WatchAlertsResponse.CHANGE_RAISED)
    return told


def test_devices_are_listed_and_monitored(fake: FakeGateway, console: Terminal) -> None:
    listed = console.run("device", "list")
    shown = console.run("device", "monitor", f"{OWNER}/{MACHINE}")
    told = console.run("device", "monitor", DEVICE, "--json")
    unknown = console.run("device", "monitor", f"{OWNER}/499000000009")

    assert MACHINE in listed.out
    for part in ("-120 ms", "count 720 of 1,000", "warn", "2026-10", "k1", "2026-11-22 10:00:00"):
        assert part in shown.out
    assert told.json["device"]["name"] == DEVICE
    assert (unknown.code, "DEVICE_NOT_FOUND" in unknown.err) == (1, True)
    assert "see `taxctl device list`" in unknown.err


def test_a_key_is_rotated_once_and_not_without_a_word(fake: FakeGateway, console: Terminal) -> None:
    command = ["device", "rotate-key", DEVICE, *WHY]
    asked = console.run(*command)
    tried = console.run(*command, "--dry-run")
    before = list(fake.workshop.keys)
    done = console.run(*command, "--yes", "--request-id", "mine")
    again = console.run(*command, "--yes", "--request-id", "mine", "--json")

    assert (asked.code, tried.code, done.code, again.code) == (2, 0, 0, 0)
    assert before == ["k1"]
    assert fake.workshop.keys == ["k2", "k1"]
    assert "a new key would be made" in tried.out
    assert again.json["replayed"] is True


def test_closing_a_month_shows_what_would_be_sent(fake: FakeGateway, console: Terminal) -> None:
    command = ["period", "close", DEVICE, "--month", "2026-10"]
    tried = console.run(*command, "--dry-run")
    before = list(fake.workshop.summarised)
    done = console.run(*command, "--yes")
    shown = console.run("period", "show", DEVICE)
    one = console.run("period", "show", DEVICE, "--month", "2026-10")

    assert [ran.code for ran in (tried, done, shown, one)] == [0, 0, 0, 0]
    assert before == []
    for part in ("opening", "100", "1,000", "600", "494", "13%", "600,000.00", "78,000.00"):
        assert part in tried.out
    assert "nothing was changed" in tried.err
    assert "summarised" in shown.out
    assert "HZ0001" in one.out


@pytest.mark.parametrize(
    ("month", "unuploaded", "said"),
    [
        ("2026-11", 0, "close it from the 1st of the next month on"),
        ("2026-10", 3, f"`taxctl upload status {OWNER}` says why"),
    ],
)
def test_what_is_in_the_way_of_closing_is_said_with_what_to_do(
    fake: FakeGateway, console: Terminal, month: str, unuploaded: int, said: str
) -> None:
    fake.workshop.unuploaded = unuploaded

    ran = console.run("period", "close", DEVICE, "--month", month, "--dry-run")

    assert ran.code == 1
    assert "PERIOD_NOT_CLOSABLE" in ran.err
    assert said in ran.err


def test_a_month_is_closed_on_a_terminal_once_it_is_agreed(fake: FakeGateway) -> None:
    command = ["period", "close", DEVICE, "--month", "2026-10"]
    declined = on_terminal(*command, target=fake.target, typed=b"n\n")
    agreed = on_terminal(*command, target=fake.target, typed=b"y\n")

    assert (declined.code, agreed.code) == (1, 0)
    assert "close the month? [y/N]" in declined.text
    assert fake.workshop.summarised == ["2026-10"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["period", "show", DEVICE, "--month", "2026-13"], "--month must be YYYY-MM"),
        (["period", "show", OWNER], "names no device"),
        (["device", "monitor", f"{OWNER}/12"], "names no device"),
    ],
)
def test_a_malformed_month_or_device_is_unusable(
    console: Terminal, arguments: list[str], said: str
) -> None:
    ran = console.run(*arguments)

    assert (ran.code, said in ran.err) == (2, True)


def test_a_month_that_is_not_shown_is_refused(console: Terminal) -> None:
    ran = console.run("period", "show", DEVICE, "--month", "2020-01")

    assert (ran.code, "2020-01" in ran.err) == (1, True)


def test_a_stock_threshold_is_set_shown_and_cleared(fake: FakeGateway, console: Terminal) -> None:
    which = ("--type", "026", "--point", "1")
    given = ("--low", "50", "--fill-to", "500", "--auto-draw")
    tried = console.run("stock", "threshold", "set", OWNER, *which, *given, *WHY, "--dry-run")
    before = dict(fake.storeroom.thresholds)
    done = console.run("stock", "threshold", "set", OWNER, *which, *given, *WHY)
    shown = console.run("stock", "threshold", "show", OWNER)
    cleared = console.run("stock", "threshold", "clear", OWNER, *which, *WHY)
    none = console.run("stock", "threshold", "show", OWNER)

    assert [ran.code for ran in (tried, done, shown, cleared, none)] == [0, 0, 0, 0, 0]
    assert before == {}
    assert shown.out.splitlines()[1].split() == ["1", "026", "50", "500", "yes"]
    assert "no threshold was set" in none.out


def test_a_target_below_low_is_unusable(console: Terminal) -> None:
    given = ("--type", "026", "--low", "50", "--fill-to", "50")

    ran = console.run("stock", "threshold", "set", OWNER, *given, *WHY)

    assert (ran.code, "--fill-to must be above --low" in ran.err) == (2, True)


def test_limits_are_lowered_and_never_raised(fake: FakeGateway, console: Terminal) -> None:
    command = ["taxpayer", "limits", OWNER, *WHY, "--yes"]
    tried = console.run(*command, "--count", "100", "--dry-run")
    before = fake.workshop.limits.count_max
    done = console.run(*command, "--count", "100", "--amount", "10000", "--lock-day", "12")
    raised = console.run(*command, "--count", "1001")
    neither = console.run(*command)

    assert [ran.code for ran in (tried, done, raised, neither)] == [0, 0, 1, 2]
    assert before == 0
    assert "these limits would hold:" in tried.out
    assert "72 hours, 10,000.00 yuan, 100 invoices, lock day 12" in done.out


def test_the_audit_record_tells_who_what_when_and_why(fake: FakeGateway, console: Terminal) -> None:
    for number in range(3):
        console.run(
            "upload", "pause", OWNER, "--reason", f"线路{number}", "--yes", "--operator", "wang"
        )
    console.run("upload", "resume", OWNER, "--operator", "li")

    everything = console.run("audit", "--json").json["records"]
    ran = console.run("audit", OWNER, "--by", "wang", "--limit", "2")

    assert [one["actor"] for one in everything] == ["li", "wang", "wang", "wang"]
    assert ran.out.splitlines()[1].split()[:4] == ["2026-11-22", "10:00:00", "wang", "PauseUploads"]
    assert "线路2" in ran.out
    assert "线路0" not in ran.out
    assert "2 listed, and there are more" in ran.err


def test_the_operator_is_the_login_name_unless_it_is_said(
    fake: FakeGateway, console: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    console.run("upload", "resume", OWNER)
    monkeypatch.setenv("TAXCTL_OPERATOR", "of the environment")
    console.run("upload", "resume", OWNER)
    console.run("upload", "resume", OWNER, "--operator", "of the line")

    assert [one.actor for one in fake.books.audit] == [
        login_name(),
        "of the environment",
        "of the line",
    ]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("wang", "wang"),
        (" 王 wang\n", "wang"),
        ("王", "unknown"),
        ("x" * 70, "x" * 64),
        ("", "unknown"),
    ],
)
def test_a_login_name_is_cleaned(monkeypatch: pytest.MonkeyPatch, name: str, cleaned: str) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: name)

    assert login_name() == cleaned


@pytest.mark.parametrize("name", ["", "王", "x" * 65, " x", "a\tb"])
def test_an_operator_that_metadata_cannot_carry_is_unusable(console: Terminal, name: str) -> None:
    ran = console.run("audit", "--operator", name)

    assert (ran.code, "printable ASCII" in ran.err) == (2, True)


def test_upload_status_shows_grades_limits_and_when_they_are_reached(
    fake: FakeGateway, console: Terminal
) -> None:
    limit = LimitUse(
        limit=LimitUse.LIMIT_AGE,
        most=72 * 3600,
        used=70 * 3600,
        used_ppm=972_000,
        grade=GRADE_RESTRICT,
        limit_time=views.at(7200),
    )
    fake.mailroom.meters = [
        Meter(machine_number=MACHINE, type="026", limits=[limit], grade=GRADE_RESTRICT)
    ]

    ran = console.run("upload", "status", OWNER)

    assert "restrict" in ran.out
    for part in ("age", "70.0 h of 72.0 h", "97 %", "2026-11-22 12:00:00"):
        assert part in ran.out


@pytest.mark.parametrize(
    "command",
    [
        ["alerts", "list", "--all"],
        ["device", "list"],
        ["device", "monitor", DEVICE],
        ["period", "show", DEVICE, "--month", "2026-10"],
        ["audit"],
        ["upload", "status", OWNER],
        ["stock", "show", OWNER],
    ],
)
@pytest.mark.parametrize("language", list(Language))
def test_eighty_columns_are_enough(
    alerts: list[Alert],
    fake: FakeGateway,
    console: Terminal,
    command: list[str],
    language: Language,
) -> None:
    console.run("upload", "pause", OWNER, "--reason", "线路检修，至下午为止", "--yes")

    shown = on_terminal(*command, "--lang", language, target=fake.target)

    assert shown.code == 0
    assert max(map(cell_len, shown.lines)) <= COLUMNS
