"""What keeps no gateway from starting: an authority that is away, a device without certificate.

And the doctor, for when nothing runs.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import grpc
import pytest

from taxcontrol.admin.v1.taxpayer_service_pb2 import RegisterTaxpayerRequest
from taxcontrol.v1 import invoice_pb2
from taxctl.doctor_command import summary
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, new_tax_number, ticket
from tests.e2e.wire import eventually, refused, unavailable
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[SimulatorProcess, GatewayProcess]]:
    """A simulator and a gateway of the test's own, running."""
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(tmp_path / "gateway", authority=simulator.target) as gateway,
    ):
        yield simulator, gateway


def test_without_the_authority_known_sellers_issue_and_new_ones_wait(
    own: tuple[SimulatorProcess, GatewayProcess],
) -> None:
    simulator, gateway = own
    seller = Platform(gateway.channel).new_seller("026", stock=10)
    assert gateway.stop() == 0
    simulator.stop()
    gateway.start()
    platform = Platform(gateway.channel)
    stranger = Seller(tax_number=new_tax_number())
    registration = stranger.registration(new_id())

    issued = platform.issue(ticket(seller))
    with refused("AUTHORITY_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE):
        platform.taxpayers.RegisterTaxpayer(registration)
    with refused("AUTHORITY_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE):
        platform.draw(seller, "026", 5, request_id="later")
    simulator.start()

    eventually(lambda: _registered(platform, stranger, registration))
    eventually(lambda: _drawn(platform, seller))
    eventually(lambda: platform.drained(seller))
    assert platform.get(name=issued.name).upload_state == (
        invoice_pb2.Invoice.UPLOAD_STATE_ACCEPTED
    )
    assert [grant.count for grant in simulator.grants(seller.tax_number)] == [10, 5]
    assert platform.books().last.balanced


def test_a_device_without_certificate_refuses_by_name_until_it_has_one(
    own: tuple[SimulatorProcess, GatewayProcess],
) -> None:
    _, gateway = own
    seller = Platform(gateway.channel).new_seller("026", stock=10)
    request = ticket(seller)
    assert gateway.stop() == 0
    certificate = _swap_certificate(gateway, b"")
    gateway.start()

    with refused("DEVICE_NOT_READY", grpc.StatusCode.FAILED_PRECONDITION) as found:
        Platform(gateway.channel).issue(request)
    assert gateway.stop() == 0
    _swap_certificate(gateway, certificate)
    gateway.start()
    issued = Platform(gateway.channel).invoices.IssueInvoice(request)

    assert found[0].facts == {"machine_number": issued.issued.machine_number}
    assert not issued.replayed


def test_the_doctor_checks_a_stopped_gateways_books(
    own: tuple[SimulatorProcess, GatewayProcess],
) -> None:
    _, gateway = own
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=10)
    for _ in range(3):
        platform.issue(ticket(seller))
    eventually(lambda: platform.drained(seller))
    own[0].set_faults(refuse_item_ppm=1_000_000)
    platform.issue(ticket(seller))
    eventually(lambda: platform.upload_status(seller).rejected_count == 1)
    online = platform.books().last
    assert gateway.stop() == 0

    sound = _doctor(gateway)
    ledger = gateway.folder / "ledger" / "ledger.db"
    with closing(apsw.Connection(str(ledger))) as connection:
        connection.execute(
            "UPDATE content SET content = CAST(replace(content, '10000', '10001') AS BLOB)"
        )
    changed = _doctor(gateway)
    ledger.rename(ledger.with_name("elsewhere.db"))
    absent = _doctor(gateway)

    assert sound.returncode == 0, sound.stdout
    told = sound.stdout.splitlines()[-1]
    assert told == summary(online)
    assert told == (
        "doctor: balanced=yes issued=4 reserved=0 uploaded=3 rejected=1 pending=0 signatures=4"
        " findings=0"
    )
    assert "1 event was refused by the authority" in sound.stderr
    assert changed.returncode == 1
    *findings, last = changed.stdout.splitlines()
    assert "balanced=no" in last
    assert last.endswith(f" findings={len(findings)}")
    assert absent.returncode == 2
    assert "ledger.db" in absent.stderr
    assert absent.stdout == ""
    assert "Traceback" not in changed.stdout + changed.stderr + absent.stderr


def test_the_doctor_says_that_it_cannot_look(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway.doctor", "--config", str(tmp_path / "no-such.toml")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    helped = subprocess.run(
        [*command[:3], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert told.returncode == 2
    assert "no-such.toml" in told.stderr
    assert "0 balanced, 1 not balanced, 2 " in " ".join(helped.stdout.split())


def _registered(platform: Platform, seller: Seller, request: RegisterTaxpayerRequest) -> bool:
    try:
        answer = platform.taxpayers.RegisterTaxpayer(request)
    except grpc.RpcError as error:
        unavailable(error)
        return False
    return bool(answer.taxpayer.tax_number == seller.tax_number)


def _drawn(platform: Platform, seller: Seller) -> bool:
    try:
        return platform.draw(seller, "026", 5, request_id="later").replayed
    except grpc.RpcError as error:
        unavailable(error)
        return False


def _swap_certificate(gateway: GatewayProcess, certificate: bytes) -> bytes:
    """Put another certificate in the stopped gateway's ledger; return the one that was there."""
    with closing(apsw.Connection(str(gateway.folder / "ledger" / "ledger.db"))) as ledger:
        [(before,)] = list(ledger.execute("SELECT certificate FROM device_key"))
        ledger.execute("UPDATE device_key SET certificate = ?", (certificate,))
    return bytes(before)


def _doctor(gateway: GatewayProcess) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.doctor", "--config", str(gateway.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
