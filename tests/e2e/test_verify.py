"""A stranger asks over the wire: what is genuine, what has become of it, and how often he may."""

from collections.abc import Iterator

import grpc
import pytest

from taxcontrol.v1 import invoice_pb2, invoice_query_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import ticket
from tests.e2e.wire import refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

VerifyInvoiceRequest = invoice_query_pb2.VerifyInvoiceRequest
Verdict = invoice_query_pb2.VerifyInvoiceResponse
CALLS = 12


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("verify")
    with (
        SimulatorProcess(home / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(
            home / "gateway",
            authority=simulator.target,
            settings=f"[verify]\ncalls_per_minute = {CALLS}\n",
        ) as gateway,
    ):
        yield gateway


def printed(issued: invoice_pb2.IssuedInvoice, day: str, net_fen: int) -> VerifyInvoiceRequest:
    return VerifyInvoiceRequest(
        printed=invoice_query_pb2.PrintedInvoice(
            code=issued.code,
            number=issued.number,
            issue_date=day,
            net_fen=net_fen,
            check_code=issued.check_code[-6:],
        )
    )


def test_a_stranger_learns_what_he_may_and_not_too_often(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=10)
    issued = platform.issue(ticket(seller))
    day = issued.qr_text.split(",")[5]
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"

    def verdict(request: VerifyInvoiceRequest) -> int:
        answer: int = platform.invoices.VerifyInvoice(request).verdict
        return answer

    assert verdict(VerifyInvoiceRequest(qr_text=issued.qr_text)) == Verdict.VERDICT_GENUINE
    assert verdict(printed(issued, date, 10_000)) == Verdict.VERDICT_GENUINE
    assert verdict(printed(issued, date, 10_001)) == Verdict.VERDICT_NOT_OURS
    assert verdict(printed(issued, "2020-01-01", 10_000)) == Verdict.VERDICT_NOT_OURS
    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as caught:
        verdict(VerifyInvoiceRequest(qr_text=issued.qr_text[:-1]))
    assert caught[0].violations == {("FIELD_FORMAT", "qr_text")}

    with refused("RATE_LIMITED", grpc.StatusCode.RESOURCE_EXHAUSTED) as caught:
        for _ in range(CALLS):
            verdict(VerifyInvoiceRequest(qr_text=issued.qr_text))
    assert caught[0].retry_s is not None
    assert 0 < caught[0].retry_s <= 60 / CALLS
    # Another connection is the same caller; other calls are not limited.
    with gateway.connect() as channel, refused("RATE_LIMITED"):
        for _ in range(CALLS):
            Platform(channel).invoices.VerifyInvoice(VerifyInvoiceRequest())
    assert platform.get(name=issued.name).issued == issued
