"""Alerts from the command line: listed, watched, looked after, and from where on they are raised."""

import pytest

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsResponse
from taxctl.choices import AlertKindChoice
from tests.taxctl import views
from tests.taxctl.conftest import Terminal
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_reversal import OWNER
from tests.taxctl.tty import Live, on_terminal

WHY = ("--reason", "值班")


@pytest.fixture
def alerts(fake: FakeGateway) -> list[Alert]:
    """The sample alerts, and one that is over."""
    told = views.alerts()
    over = Alert(name="alerts/9", kind=Alert.KIND_CLOCK_SKEW, state=Alert.STATE_RESOLVED)
    for alert in (*told, over):
        fake.lookout.tell(alert, WatchAlertsResponse.CHANGE_RAISED)
    return told


def test_alerts_that_stand_are_listed_the_worst_first(
    alerts: list[Alert], console: Terminal
) -> None:
    ran = console.run("alerts", "list")
    told = console.run("alerts", "list", "--json")

    assert [one["name"] for one in told.json["alerts"]] == ["alerts/1", "alerts/2", "alerts/3"]
    assert "stock exhausted" in ran.out.splitlines()[1]
    assert "zhang" in ran.out


def test_all_alerts_and_one_kind(alerts: list[Alert], console: Terminal) -> None:
    everything = console.run("alerts", "list", "--all", "--json").json["alerts"]
    kind = console.run("alerts", "list", "--kind", "unuploaded-count", "--json").json["alerts"]
    first = console.run("alerts", "list", "--all", "--limit", "1", "--json").json["alerts"]
    none = console.run("alerts", "list", "--kind", "hsm-unavailable")

    assert len(everything) == 4
    assert [one["name"] for one in kind] == ["alerts/2"]
    assert [one["name"] for one in first] == ["alerts/9"]
    assert none.out == "no alert fits\n"


def test_the_choices_of_kind_are_the_contracts() -> None:
    told = [value for value in Alert.Kind.values() if value]

    assert [choice.wire for choice in AlertKindChoice] == told


def test_alerts_come_as_they_change_and_go_on_behind_the_token(
    alerts: list[Alert], fake: FakeGateway
) -> None:
    with Live("alerts", "watch", target=fake.target, columns=200) as live:
        live.until("alerts/1".removeprefix("alerts/") + "  ")
        live.until("Point 2 has no number")
        fake.lookout.leave(away=True)
        live.until("trying again until it is back")
        resolved = alerts[1]
        resolved.state = Alert.STATE_RESOLVED
        fake.lookout.tell(resolved, WatchAlertsResponse.CHANGE_RESOLVED)
        fake.lookout.leave(away=False)
        live.until("resolved")
        code = live.code(interrupted=True)

    assert code == 0
    assert live.text.count("standing") == 3
    assert "to go on: --resume-token t5" in live.text


def test_an_alert_is_acknowledged_by_who_says_so(
    alerts: list[Alert], fake: FakeGateway, console: Terminal
) -> None:
    command = ["alerts", "ack", "1", *WHY, "--operator", "li ming"]
    tried = console.run(*command, "--dry-run")
    before = fake.lookout.alerts["alerts/1"].state
    done = console.run(*command)
    again = console.run(*command)

    assert (tried.code, done.code, again.code) == (0, 0, 1)
    assert before == Alert.STATE_RAISED
    assert "nothing was changed" in tried.err
    assert "li ming" in done.out
    assert "ALERT_NOT_OPEN" in again.err
    [record] = fake.books.audit
    assert (record.actor, record.action, record.reason) == ("li ming", "AcknowledgeAlert", "值班")


def test_a_malformed_alert_is_unusable(console: Terminal) -> None:
    ran = console.run("alerts", "ack", "taxpayers/1", *WHY)

    assert (ran.code, "give alerts/{id}" in ran.err) == (2, True)


def test_thresholds_of_alerts_are_set_and_shown(fake: FakeGateway, console: Terminal) -> None:
    given = ("--unuploaded-amount", "1,000.50", "--unuploaded-age", "4h")
    tried = console.run("alerts", "thresholds", "set", OWNER, *given, *WHY, "--dry-run")
    untouched = fake.lookout.thresholds.ListFields()
    done = console.run("alerts", "thresholds", "set", OWNER, *given, *WHY)
    shown = console.run("alerts", "thresholds", "show", OWNER)
    reset = console.run("alerts", "thresholds", "set", OWNER, "--reset", *WHY, "--json")

    assert [ran.code for ran in (tried, done, shown, reset)] == [0, 0, 0, 0]
    assert untouched == []
    rows = {line[:30].strip(): line.split()[-2:] for line in shown.out.splitlines()[1:]}
    assert rows["their amount (yuan)"] == ["1,000.50", "set"]
    assert rows["age of the oldest"] == ["4h", "set"]
    assert rows["not uploaded"] == ["700", "default"]
    assert rows["days before the lock day"] == ["never", "default"]
    assert reset.json["thresholds"]["unuploaded_age_s"] == "64800"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either a threshold or --reset"),
        (["--reset", "--period-days", "2"], "give either a threshold or --reset"),
        (["--unuploaded-age", "4 hours"], "--unuploaded-age must be a time such as 30m"),
        (["--unuploaded-amount", "1.005"], "--unuploaded-amount must be yuan"),
    ],
)
def test_a_threshold_that_cannot_be_meant_is_unusable(
    console: Terminal, arguments: list[str], said: str
) -> None:
    ran = console.run("alerts", "thresholds", "set", OWNER, *arguments, *WHY)

    assert (ran.code, said in ran.err) == (2, True)


def test_eighty_columns_tell_when_issuing_stops(alerts: list[Alert], fake: FakeGateway) -> None:
    shown = on_terminal("alerts", "list", target=fake.target)

    assert "2026-11-22 10:40" in shown.text
    assert OWNER in shown.text
