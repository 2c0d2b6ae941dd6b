"""Whoever is not watching is told: a real gateway, a real receiver, also when one of them was away."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, ticket
from tests.e2e.wire import eventually
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess
from tests.fakes.webhook_receiver import SECRET, WebhookReceiver


@contextmanager
def running(folder: Path, authority: str, receiver: WebhookReceiver) -> Iterator[GatewayProcess]:
    secret = receiver.write_secret(folder)
    settings = f"""
[desk]
survey_s = 1.0
[metrics]
listen = "127.0.0.1:0"
[[webhook]]
name = "ops"
url = "{receiver.url}"
secret_file = "{secret}"
source = "//gw1/taxcontrol"
[[webhook]]
name = "device"
url = "{receiver.url}"
secret_file = "{secret}"
kinds = ["HSM_UNAVAILABLE"]
"""
    with GatewayProcess(folder / "gateway", authority=authority, settings=settings) as gateway:
        yield gateway


def troubled(gateway: GatewayProcess, authority: SimulatorProcess) -> Seller:
    """A seller of whom the authority has refused an invoice."""
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=50)
    authority.set_faults(seed=1, refuse_item_ppm=1_000_000)
    platform.invoices.IssueInvoice(ticket(seller, new_id("webhook")))
    eventually(lambda: platform.upload_status(seller).rejected_count == 1)
    authority.set_faults()
    return seller


def told(receiver: WebhookReceiver, seller: Seller) -> list[str]:
    """What was told of a seller's refused invoices, in order, each once."""
    return [
        event["type"]
        for event in receiver.events()
        if event["data"].get("taxpayer") == seller.name
        and event["data"]["kind"] == "KIND_UPLOAD_REJECTED"
    ]


def test_an_alert_is_told_signed_to_its_end_though_either_was_away(tmp_path: Path) -> None:
    with (
        SimulatorProcess(tmp_path / "authority", arguments=["--windows", ""]) as authority,
        WebhookReceiver() as receiver,
        running(tmp_path, authority.target, receiver) as gateway,
    ):
        first = troubled(gateway, authority)
        eventually(lambda: told(receiver, first) == ["taxcontrol.alert.raised.v1"])

        receiver.stop()
        second = troubled(gateway, authority)
        eventually(lambda: "webhook.failed" in gateway.log.read_text("utf-8"))
        gateway.kill()
        receiver.start()
        gateway.start()
        eventually(lambda: told(receiver, second) == ["taxcontrol.alert.raised.v1"], within_s=60)
        assert gateway.stop() == 0

        assert all(post.is_signed_with(SECRET) for post in receiver.posts)
        numbers = [event["sequence"] for event in receiver.events()]
        assert numbers == sorted(numbers)
        assert len(told(receiver, first)) == 1
        # Neither the secret nor the address, which has a token, is in the log.
        text = gateway.log.read_text("utf-8")
        assert "hush" not in text
        assert SECRET not in text


def test_a_receiver_is_tried_by_hand(tmp_path: Path) -> None:
    with WebhookReceiver() as receiver:
        gateway = GatewayProcess(
            tmp_path / "gateway", authority="127.0.0.1:1",
            settings=f"""
[[webhook]]
name = "ops"
url = "{receiver.url}"
secret_file = "{receiver.write_secret(tmp_path)}"
""",
        )  # fmt: skip
        gateway.prepare()
        command = [
            sys.executable,
            "-m",
            "gateway",
            "--config",
            str(gateway.config),
            "--try-webhooks",
        ]

        shown = subprocess.run(
            [*command[:-1], "--check"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        tried = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        receiver.stop()
        away = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert f"webhook.0.url = '{receiver.url.partition('/alerts')[0]}/…'" in shown
        assert "hush" not in shown
        assert (tried.returncode, tried.stdout) == (0, "webhook ops: has the test message\n")
        assert receiver.posts[0].event["type"] == "taxcontrol.alert.test.v1"
        assert receiver.posts[0].is_signed_with(SECRET)
        assert (away.returncode, away.stdout) == (1, "webhook ops: ConnectError\n")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("", "webhook.secret_file is missing"),
        ('secret_file = "nowhere"', "nowhere cannot be read: No such file or directory"),
        ('secret_file = "gateway.toml"\nca_file = "gateway.toml"', "must have lines of whsec_"),
        ('secret_file = "x"\nkinds = ["STOCK_GONE"]', "webhook.kinds must be of"),
        ('secret_file = "x"\nkinds = "STOCK_LOW"', "webhook.kinds must be a list"),
        ('secret_file = "x"\nkinds = [1]', "webhook.kinds must be text"),
        ('secret_file = "x"\nurl = "ftp://there/"', "must be https://host/"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_said_at_the_start(
    tmp_path: Path, settings: str, named: str
) -> None:
    url = "" if "url" in settings else 'url = "https://127.0.0.1:1/"\n'
    gateway = GatewayProcess(
        tmp_path, authority="127.0.0.1:1", settings=f'[[webhook]]\nname = "ops"\n{url}{settings}\n'
    )
    gateway.prepare()
    gateway.config.chmod(0o600)  # it is read as a secret too

    started = subprocess.run(
        [sys.executable, "-m", "gateway", "--config", gateway.config],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert started.returncode == 1
    assert named in started.stderr
    assert len(started.stderr.splitlines()) == 1


def test_metrics_count_what_waits(tmp_path: Path) -> None:
    with (
        SimulatorProcess(tmp_path / "authority", arguments=["--windows", ""]) as authority,
        WebhookReceiver() as receiver,
        running(tmp_path, authority.target, receiver) as gateway,
    ):
        receiver.stop()
        troubled(gateway, authority)

        def shown() -> dict[str, float]:
            lines = [json.loads(line) for line in gateway.log.read_text("utf-8").splitlines()]
            [address] = [one["address"] for one in lines if one["event"] == "metrics.started"]
            text = httpx.get(f"http://{address}/metrics", trust_env=False).text
            return {
                name: float(value)
                for name, _, value in (line.rpartition(" ") for line in text.splitlines())
                if name.startswith("taxcontrol_webhook")
            }

        eventually(lambda: shown().get("taxcontrol_webhook_failures_total", 0) >= 1)
        assert shown()["taxcontrol_webhook_waiting_messages"] >= 1
        assert shown()["taxcontrol_webhook_oldest_timestamp_seconds"] > 1e9
        receiver.start()
        eventually(lambda: shown()["taxcontrol_webhook_waiting_messages"] == 0, within_s=60)
