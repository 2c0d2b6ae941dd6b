"""What a webhook is sent is a CloudEvent, signed as the standard says, with nothing of the secret shown."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.webhooks.message import (
    CONTENT_TYPE,
    Message,
    SecretUnusable,
    of_change,
    read_secrets,
)
from gateway.webhooks.message import (
    test_message as a_test_message,
)
from ledger.alert_records import AlertChangeRecord, AlertPlace, AlertRecord

AT = 1_796_083_200.25
ALERT = AlertRecord(
    alert_id=7,
    tenant="default",
    place=AlertPlace("STOCK_LOW", "91310115MA1FEXMP0M", point=3, type="026"),
    state="RAISED",
    severity="SERIOUS",
    message="20 numbers are left",
    message_zh="剩余 20 份",
    facts={"available_count": "20"},
    limit_at=AT + 3600,
    drained_at=None,
    raised_at=AT,
    updated_at=AT,
)
CHANGE = AlertChangeRecord(change_number=42, what="RAISED", at=AT, alert=ALERT)
KEY = b"k" * 32
LINE = "whsec_" + base64.b64encode(KEY).decode()


def test_it_is_signed_as_the_standards_own_example() -> None:
    # Standard Webhooks, "Signature scheme", the example with this secret, id and time.
    message = Message("msg_loFOjxBNrRLzqYUf", b'{"event_type":"ping","data":{"success":true}}')

    headers = message.headers([base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")], 1_731_705_121.9)

    assert headers == {
        "content-type": CONTENT_TYPE,
        "webhook-id": "msg_loFOjxBNrRLzqYUf",
        "webhook-timestamp": "1731705121",
        "webhook-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }


def test_with_two_secrets_both_sign() -> None:
    first, second = (
        Message("i", b"b").headers([secret], AT)["webhook-signature"] for secret in (KEY, b"o" * 24)
    )

    assert (
        Message("i", b"b").headers([KEY, b"o" * 24], AT)["webhook-signature"] == f"{first} {second}"
    )


def test_a_change_is_an_event_that_says_where_it_belongs() -> None:
    message = of_change(CHANGE, "//gw1/taxcontrol")

    event = json.loads(message.body)
    data = event.pop("data")
    assert message.id == "//gw1/taxcontrol#changes/42"
    assert event == {
        "specversion": "1.0",
        "id": "changes/42",
        "source": "//gw1/taxcontrol",
        "type": "taxcontrol.alert.raised.v1",
        "time": "2026-12-01T00:00:00.250+00:00",
        "subject": "alerts/7",
        "sequence": "00000000000000000042",
        "datacontenttype": "application/json",
    }
    assert data["name"] == "alerts/7"
    assert data["kind"] == "KIND_STOCK_LOW"
    assert data["point"] == "taxpayers/91310115MA1FEXMP0M/points/3"
    assert data["messageZh"] == "剩余 20 份"
    assert data["facts"] == {"available_count": "20"}
    assert data["limitTime"] == "2026-12-01T01:00:00.250Z"
    assert "drainTime" not in data


def test_a_change_that_is_not_stored_has_neither_number_nor_name() -> None:
    unstored = replace(CHANGE, change_number=0, alert=replace(ALERT, alert_id=0))

    event = json.loads(of_change(unstored, "s").body)

    assert event["id"] == f"unstored/STOCK_LOW/91310115MA1FEXMP0M//3/026/RAISED/{AT:.3f}"
    assert "sequence" not in event
    assert "subject" not in event
    assert "name" not in event["data"]


def test_a_test_message_says_so() -> None:
    assert json.loads(a_test_message("s", AT).body)["type"] == "taxcontrol.alert.test.v1"


def test_secrets_are_read_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{LINE}\nwhsec_{base64.b64encode(b'o' * 24).decode()}\n")
    path.chmod(0o400)

    assert read_secrets(path) == [KEY, b"o" * 24]


@pytest.mark.parametrize(
    ("text", "mode", "named"),
    [
        (LINE, 0o404, "open to other users"),
        ("", 0o400, "must have lines of whsec_"),
        (LINE.removeprefix("whsec_"), 0o400, "must have lines of whsec_"),
        ("whsec_c2hvcnQ=", 0o400, "must have lines of whsec_"),
        ("whsec_" + base64.b64encode(b"l" * 65).decode(), 0o400, "must have lines of whsec_"),
        ("whsec_no base64!", 0o400, "must have lines of whsec_"),
        (f"{LINE}\nwhsec_hush", 0o400, "must have lines of whsec_"),
        ("密", 0o400, "not ASCII text"),
    ],
)
def test_what_is_no_secret_is_named_and_not_shown(
    tmp_path: Path, text: str, mode: int, named: str
) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)

    with pytest.raises(SecretUnusable, match=named) as refused:
        read_secrets(path)

    assert str(path) in str(refused.value)
    assert text == "" or text not in str(refused.value)


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretUnusable, match="No such file"):
        read_secrets(tmp_path / "secret")
