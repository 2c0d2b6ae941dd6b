"""An authority that loses answers, throttles, fails, delays, refuses and dies: nothing is lost or doubled.

The authority's own record is the judge, over real processes and real rate windows.
"""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from taxcontrol.authority.v1 import authority_pb2, simulator_service_pb2
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import BatchIssueInvoicesRequest
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, ticket
from tests.e2e.wire import eventually, refused, unavailable
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess, windows_exceeded
from tests.faults import books
from tests.faults.books import Tally

WINDOWS = ((40, 1000), (200, 8000))
SEED = 20261122
BATCH = 100
# 10 % lost answers and 5 % server errors are R4 of the project's promises.
STORM = simulator_service_pb2.FaultPlan(
    seed=SEED,
    lost_answer_ppm=100_000,
    server_error_ppm=50_000,
    throttle_ppm=50_000,
    throttle_retry_ms=50,
    delay_ppm=50_000,
    delay_ms=30,
    refuse_item_ppm=10_000,
)
DRAIN_S = 60.0


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[SimulatorProcess]:
    windows = ",".join(f"{calls}/{period_ms}ms" for calls, period_ms in WINDOWS)
    with SimulatorProcess(tmp_path / "simulator", arguments=["--windows", windows]) as simulator:
        yield simulator


@pytest.fixture
def gateway(tmp_path: Path, simulator: SimulatorProcess) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path / "gateway", authority=simulator.target) as gateway:
        yield gateway


def issue(platform: Platform, seller: Seller, count: int) -> list[IssuedInvoice]:
    """Issue ``count`` invoices in batches."""
    issued: list[IssuedInvoice] = []
    for start in range(0, count, BATCH):
        requests = [ticket(seller) for _ in range(min(BATCH, count - start))]
        batch = BatchIssueInvoicesRequest(requests=requests)
        results = platform.invoices.BatchIssueInvoices(batch).results
        assert all(result.HasField("issued") for result in results)
        issued += [result.issued for result in results]
    return issued


def place(one: IssuedInvoice) -> str:
    return f"{one.code}-{one.number}"


@pytest.mark.timeout(150)
def test_1500_invoices_through_a_storm_and_a_restart_end_accepted_once_or_rejected(
    simulator: SimulatorProcess, gateway: GatewayProcess
) -> None:
    print(f"seed={SEED}")
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=1500)
    # What is issued while nobody is there shows which numbers to poison.
    simulator.set_faults(unreachable=True)
    issued = issue(platform, seller, 700)
    poison = [place(issued[137]), place(issued[555])]
    storm = simulator_service_pb2.FaultPlan(poison=poison)
    storm.MergeFrom(STORM)
    simulator.set_faults(storm)
    issued += issue(platform, seller, 400)
    eventually(lambda: len(simulator.events(seller.tax_number)) > 100, within_s=DRAIN_S)

    simulator.restart()
    simulator.set_faults(storm)
    issued += issue(platform, seller, 400)
    eventually(lambda: platform.drained(seller), within_s=DRAIN_S)

    rejected = {event.invoice: event for event in platform.unuploaded(seller)}
    by_name = {one.name: one for one in issued}
    refused_places = [place(by_name[name]) for name in rejected]
    tally = Tally()
    books.check_record(issued, simulator.events(seller.tax_number), tally, refused=refused_places)
    assert tally.notes == []
    assert {event.rejection for event in rejected.values()} <= {"REFUSED", "SUBMISSION_INVALID"}
    assert set(poison) == {
        place(by_name[name])
        for name, event in rejected.items()
        if event.rejection == "SUBMISSION_INVALID"
    }
    accepted = _accepted(simulator, seller)
    assert len(accepted) + len(rejected) == 1500
    assert not accepted & set(refused_places)
    calls = simulator.calls(seller.tax_number)
    assert windows_exceeded(calls, WINDOWS) == 0
    books_now = platform.books()
    assert books_now.findings == []
    assert books_now.last.uploaded_count == len(accepted)
    assert [meter.unuploaded_count for meter in platform.upload_status(seller).meters] == [0]


def test_refused_signatures_are_in_front_of_an_operator(
    simulator: SimulatorProcess, gateway: GatewayProcess
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=200)
    simulator.set_faults(seed=SEED, refuse_signature_ppm=100_000)

    issued = issue(platform, seller, 200)
    eventually(lambda: platform.drained(seller), within_s=DRAIN_S)

    waiting = platform.unuploaded(seller)
    status = platform.upload_status(seller)
    assert 0 < len(waiting) < 200
    assert {(event.state, event.rejection) for event in waiting} == {
        (invoice_pb2.Invoice.UPLOAD_STATE_SIGNATURE_REJECTED, "SIGNATURE_INVALID")
    }
    assert status.rejected_count == len(waiting)
    seen = platform.get(name=waiting[0].invoice)
    assert seen.upload_state == invoice_pb2.Invoice.UPLOAD_STATE_SIGNATURE_REJECTED
    assert len(_accepted(simulator, seller)) == len(issued) - len(waiting)


def test_an_authority_that_is_away_stops_nobody_from_issuing(
    simulator: SimulatorProcess, gateway: GatewayProcess
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=300)
    simulator.kill()

    issued = issue(platform, seller, 300)
    eventually(lambda: platform.upload_status(seller).last_error != "")
    simulator.start()
    eventually(lambda: platform.drained(seller), within_s=DRAIN_S)

    tally = Tally()
    books.check_record(issued, simulator.events(seller.tax_number), tally)
    assert tally.notes == []
    assert windows_exceeded(simulator.calls(seller.tax_number), WINDOWS) == 0


@pytest.mark.parametrize("retried", [True, False], ids=["retried", "left to itself"])
def test_a_grant_whose_answer_was_lost_is_found_again_after_a_crash(
    simulator: SimulatorProcess, gateway: GatewayProcess, retried: bool
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=10)
    request_id = new_id("draw")
    simulator.set_faults(lost_answer_ppm=1_000_000)
    with refused("AUTHORITY_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE):
        platform.draw(seller, "026", 50, request_id=request_id)
    gateway.kill()
    [_, lost] = simulator.grants(seller.tax_number)

    simulator.set_faults()
    gateway.start()
    platform = Platform(gateway.channel)
    if retried:
        again = platform.draw(seller, "026", 50, request_id=request_id)
        assert again.replayed
        assert again.grant.grant_id == lost.grant_id
    eventually(lambda: sum(one.total_count for one in platform.segments(seller)) == 60)

    tally = Tally()
    grants = simulator.grants(seller.tax_number)
    books.check_grants(platform.segments(seller), grants, tally)
    assert tally.notes == []
    assert [grant.state for grant in grants] == [authority_pb2.Grant.STATE_CONFIRMED] * 2
    assert platform.books().findings == []


def test_draws_through_a_storm_and_crashes_lose_and_double_no_number(
    simulator: SimulatorProcess, gateway: GatewayProcess
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026")
    drawn = [new_id("draw") for _ in range(30)]
    for ordinal, request_id in enumerate(drawn):
        simulator.set_faults(seed=ordinal, lost_answer_ppm=400_000, server_error_ppm=200_000)
        try:
            platform.draw(seller, "026", 20, request_id=request_id)
        except grpc.RpcError as error:
            unavailable(error)
        if ordinal % 10 == 9:
            gateway.kill()
            gateway.start()
            platform = Platform(gateway.channel)

    simulator.set_faults()
    answers = [platform.draw(seller, "026", 20, request_id=one) for one in drawn]

    tally = Tally()
    books.check_grants(platform.segments(seller), simulator.grants(seller.tax_number), tally)
    assert tally.notes == []
    assert len({answer.grant.grant_id for answer in answers}) == 30
    assert sum(one.total_count for one in platform.segments(seller)) == 600
    assert platform.books().findings == []


def _accepted(simulator: SimulatorProcess, seller: Seller) -> set[str]:
    return {
        f"{event.result.code}-{event.result.number}"
        for event in simulator.events(seller.tax_number)
        if event.result.verdict == authority_pb2.ItemResult.VERDICT_ACCEPTED
    }
