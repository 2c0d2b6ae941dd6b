"""What a webhook is sent: a change of an alert as a CloudEvent, signed.

The body is CloudEvents 1.0 in JSON, structured mode (JSON event format 1.0.2, clause 3), with the
extension ``sequence``. The signature is Standard Webhooks 1.0: HMAC-SHA256 over ``id.time.body``.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from google.protobuf.json_format import MessageToDict

from gateway.alerts import wire
from ledger.alert_records import AlertChangeRecord

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
TYPE: Final = "taxcontrol.alert.{what}.v1"
"""Of an event; ``what`` is raised, updated, acknowledged, resolved, or test."""

_PREFIX: Final = "whsec_"


class SecretUnusable(Exception):
    """The secret file cannot be used; the sentence names it, and shows nothing of it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. ``id`` is the same at each try, so that a receiver knows it has it already."""

    id: str
    body: bytes

    def headers(self, secrets: Sequence[bytes], now: float) -> dict[str, str]:
        """Headers of a try at ``now``, unix seconds, signed with each secret."""
        at = str(int(now))
        signed = b".".join((self.id.encode(), at.encode(), self.body))
        return {
            "content-type": CONTENT_TYPE,
            "webhook-id": self.id,
            "webhook-timestamp": at,
            "webhook-signature": " ".join(
                "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
                for secret in secrets
            ),
        }


def of_change(change: AlertChangeRecord, source: str) -> Message:
    """The message of a change. One that the ledger could not store has no number of its own."""
    alert = change.alert
    if change.change_number:
        event_id = f"changes/{change.change_number}"
        more = {
            "subject": wire.name_of(alert.alert_id),
            # As long as any number, so that it sorts as text (sequence extension: compared as text).
            "sequence": f"{change.change_number:020d}",
        }
    else:
        place = "/".join("" if part is None else str(part) for part in alert.place)
        event_id, more = f"unstored/{place}/{change.what}/{change.at:.3f}", {}
    data = MessageToDict(wire.alert(alert), always_print_fields_with_no_presence=True)
    if not change.change_number:
        del data["name"]  # it will have one once it is stored
    return _message(event_id, source, what=change.what.lower(), at=change.at, data=data, more=more)


def test_message(source: str, now: float) -> Message:
    """A message by which an operator tries whether a receiver hears."""
    return _message(f"tests/{now:.6f}", source, what="test", at=now, data={}, more={})


def _message(
    event_id: str,
    source: str,
    *,
    what: str,
    at: float,
    data: Mapping[str, object],
    more: Mapping[str, str],
) -> Message:
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": TYPE.format(what=what),
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        **more,
        "datacontenttype": "application/json",
        "data": data,
    }
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    # Unique among all senders: an event is known by its source and its id.
    return Message(f"{source}#{event_id}", body)


def read_secrets(path: Path) -> list[bytes]:
    """Read the secrets of a file, the one in use first.

    Raises:
        SecretUnusable: Missing, empty, not of the form, or readable by every user of the machine.
    """
    try:
        if path.stat().st_mode & 0o007:
            raise SecretUnusable(f"webhook: {path} is open to other users; chmod 0400 it")
        lines = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII text"
        raise SecretUnusable(f"webhook: {path} cannot be read: {reason}") from None
    secrets = [_secret(line) for line in lines]
    if not secrets or None in secrets:
        raise SecretUnusable(
            f"webhook: {path} must have lines of {_PREFIX} and base64 of 24 to 64 bytes"
        )
    return [secret for secret in secrets if secret is not None]


def _secret(line: str) -> bytes | None:
    if not line.startswith(_PREFIX):
        return None
    try:
        secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return None
    return secret if 24 <= len(secret) <= 64 else None
