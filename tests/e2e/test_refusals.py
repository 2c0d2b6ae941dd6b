"""Refusals that take some trouble to meet: a full disk, a device gone half-way, clocks, a bug."""

import resource
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import grpc
import pytest

from taxcontrol.admin.v1 import stock_admin_service_pb2
from taxcontrol.authority.v1 import authority_pb2, authority_service_pb2
from taxcontrol.authority.v1.authority_service_pb2_grpc import AuthorityServiceStub
from taxcontrol.v1 import invoice_query_pb2, invoice_service_pb2, stock_service_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, new_id, new_tax_number, ticket
from tests.e2e.wire import eventually, refusal_of, refused, rich, unavailable
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.shifted_authority import ShiftedAuthority

HOUR_S = 3600
BatchIssueInvoicesRequest = invoice_service_pb2.BatchIssueInvoicesRequest


@pytest.fixture(scope="module")
def authority(system: System) -> Iterator[ShiftedAuthority]:
    with ShiftedAuthority(system.simulator.target) as authority:
        yield authority


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: ShiftedAuthority
) -> Iterator[GatewayProcess]:
    """A gateway of the module's own, for what would trouble others."""
    folder = tmp_path_factory.mktemp("refusals") / "gateway"
    with GatewayProcess(folder, authority=authority.target) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def shop(gateway: GatewayProcess) -> Seller:
    """A seller at that gateway, whose ledger has grown beyond its log."""
    platform = Platform(gateway.channel)
    shop = platform.new_seller("026", stock=1000)
    batch = BatchIssueInvoicesRequest(requests=[ticket(shop, lines=20) for _ in range(200)])
    results = platform.invoices.BatchIssueInvoices(batch).results
    assert all(result.HasField("issued") for result in results)
    return shop


def wordy(seller: Seller) -> IssueInvoiceRequest:
    """An invoice that breaks no rule, and is larger than one may be."""
    request = ticket(seller, type_="007", lines=2000)
    for line in request.lines:
        line.name = "名" * 45
        line.specification = "规" * 20
        line.unit = "单" * 10
        line.own_code = "x" * 20
        line.preferential = True
        line.preferential_policy = "策" * 25
    return request


def test_a_valid_invoice_of_more_than_1_mib_is_refused_by_name(platform: Platform) -> None:
    seller = platform.new_seller("007", stock=1, invoice_limit_fen=10**12)

    with refused("CONTENT_TOO_LARGE", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.issue(wordy(seller))

    assert int(found[0].facts["size_bytes"]) > int(found[0].facts["size_bytes_max"]) == 1024 * 1024
    assert platform.available(seller, "007") == 1


def test_a_batch_whose_deadline_leaves_no_time_for_its_items_is_refused(
    platform: Platform, seller: Seller
) -> None:
    batch = BatchIssueInvoicesRequest(requests=[ticket(seller) for _ in range(500)])
    refusals = []

    def refused_by_the_gateway() -> bool:
        # 500 items take 170 ms by the contract. The client's own clock may run out first.
        with pytest.raises(grpc.RpcError) as raised:
            platform.invoices.BatchIssueInvoices(batch, timeout=0.165)
        refusals.extend([refusal_of(raised.value)] if rich(raised.value) else [])
        return bool(refusals)

    eventually(refused_by_the_gateway)

    assert refusals[0].reason == "DEADLINE_TOO_SHORT"
    assert refusals[0].code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert platform.found(batch.requests[0].request_id) is None


def test_what_the_authority_refuses_is_refused_with_its_reason(system: System) -> None:
    seller = Seller(tax_number=new_tax_number())
    with grpc.insecure_channel(system.simulator.target) as channel:
        AuthorityServiceStub(channel).RegisterTaxpayer(
            authority_service_pb2.RegisterTaxpayerRequest(
                seller=authority_pb2.Seller(
                    tax_number=seller.tax_number, name="另一家有限公司", address_phone="上海市"
                )
            )
        )

    with refused("AUTHORITY_REFUSED", grpc.StatusCode.FAILED_PRECONDITION) as found:
        system.platform.taxpayers.RegisterTaxpayer(seller.registration(new_id()))

    assert found[0].facts["authority_reason"] == "REGISTERED_OTHERWISE"


def test_a_clock_an_hour_off_issues_nothing(
    gateway: GatewayProcess, shop: Seller, authority: ShiftedAuthority
) -> None:
    platform = Platform(gateway.channel)
    request = ticket(shop)
    before = platform.available(shop)

    authority.ahead_s = HOUR_S
    platform.draw(shop, "026", 1, request_id=new_id())
    with refused("CLOCK_SKEW", grpc.StatusCode.FAILED_PRECONDITION) as found:
        platform.issue(request)
    authority.ahead_s = 0
    platform.draw(shop, "026", 1, request_id=new_id())

    assert abs(int(found[0].facts["skew_s"]) + HOUR_S) < 60
    assert platform.available(shop) == before
    assert not platform.invoices.IssueInvoice(request).replayed


def test_an_id_whose_number_waits_for_the_device_is_in_progress(
    gateway: GatewayProcess, shop: Seller
) -> None:
    platform = Platform(gateway.channel)
    request = ticket(shop)
    objects, away = gateway.folder / "token" / "tokens", gateway.folder / "token" / "away"

    objects.rename(away)
    with refused("HSM_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE):
        platform.issue(request)
    with refused("IN_PROGRESS", grpc.StatusCode.ABORTED) as found:
        platform.get(request_id=request.request_id)
    away.rename(objects)

    assert found[0].facts == {"request_id": request.request_id}
    assert found[0].retry_s
    assert platform.found(request.request_id) is not None
    assert platform.invoices.IssueInvoice(request).replayed


def test_an_id_whose_number_was_voided_blank_is_told_so_for_ever(
    gateway: GatewayProcess, shop: Seller
) -> None:
    platform = Platform(gateway.channel)
    request = ticket(shop)
    [level] = platform.stock.GetStock(
        stock_service_pb2.GetStockRequest(parent=shop.point(), type="026")
    ).levels
    objects, away = gateway.folder / "token" / "tokens", gateway.folder / "token" / "away"
    objects.rename(away)
    with pytest.raises(grpc.RpcError):
        platform.issue(request)
    _leave_to_another_gateway(gateway, request.request_id)
    away.rename(objects)
    eventually(lambda: _issued(platform, ticket(shop)))

    platform.stock_admin.VoidBlankNumber(
        stock_admin_service_pb2.VoidBlankNumberRequest(
            request_id=new_id("blank"),
            point=shop.point(),
            type="026",
            code=level.next_code,
            number=level.next_number,
            reason="打印机故障",
        )
    )
    with refused("NUMBER_BLANK_VOIDED", grpc.StatusCode.ABORTED) as found:
        platform.issue(request)
    with refused("NUMBER_BLANK_VOIDED", grpc.StatusCode.ABORTED):
        platform.get(request_id=request.request_id)

    assert found[0].facts == {
        "request_id": request.request_id,
        "code": level.next_code,
        "number": level.next_number,
    }
    assert platform.books().findings == []


def test_a_full_disk_is_refused_by_name_and_the_id_stays_good(
    gateway: GatewayProcess, shop: Seller
) -> None:
    platform = Platform(gateway.channel)
    request = ticket(shop)
    sizes = [path.stat().st_size for path in (gateway.folder / "ledger").glob("ledger.db-wal")]
    # No file of the process may be written beyond this: enough for its log, too little for a ledger.
    full = gateway.log.stat().st_size + 64 * 1024
    assert max(sizes) > full, "the ledger is not large enough to be full before the log is"

    unlimited = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (full, unlimited[1]))
    with refused("LEDGER_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE) as found:
        platform.issue(request)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, unlimited)

    assert found[0].facts == {}
    eventually(lambda: _issued(platform, request))
    assert platform.books().findings == []


def test_a_watch_is_told_that_the_gateway_shuts_down(gateway: GatewayProcess, shop: Seller) -> None:
    watch = Platform(gateway.channel).invoices.WatchInvoices(
        invoice_query_pb2.WatchInvoicesRequest(parent=shop.name)
    )
    next(watch)

    gateway.send(signal.SIGTERM)
    with refused("SHUTTING_DOWN", grpc.StatusCode.UNAVAILABLE):
        next(watch)

    assert gateway.stop() == 0
    gateway.start()


def test_a_bug_is_answered_by_a_fixed_sentence(tmp_path: Path, system: System) -> None:
    module = "tests.fakes.faulty_gateway"
    with GatewayProcess(
        tmp_path / "gateway", authority=system.simulator.target, module=module
    ) as gateway:
        platform = Platform(gateway.channel)
        seller = platform.new_seller("026")
        with pytest.raises(grpc.RpcError) as raised:
            platform.stock.GetStock(stock_service_pb2.GetStockRequest(parent=seller.name))

    refusal = refusal_of(raised.value)
    assert (refusal.reason, refusal.code) == ("INTERNAL", grpc.StatusCode.INTERNAL)
    assert refusal.facts == {}
    assert "ZeroDivisionError" in gateway.log.read_text()
    assert "ZeroDivisionError" not in str(raised.value)


def _leave_to_another_gateway(gateway: GatewayProcess, request_id: str) -> None:
    """Let a number have waited for a minute for a gateway that lives and does not sign it."""
    with closing(apsw.Connection(str(gateway.folder / "ledger" / "ledger.db"))) as ledger:
        ledger.set_busy_timeout(5000)
        with ledger:
            ledger.execute(
                "INSERT INTO worker (worker, beat_at) SELECT 'another', max(beat_at) + 3600 FROM worker"
            )
            ledger.execute(
                "UPDATE invoice SET worker = 'another', reserved_at = reserved_at - 60"
                " WHERE request_id = ? AND state = 'RESERVED'",
                (request_id,),
            )
            assert ledger.changes() == 1


def _issued(platform: Platform, request: IssueInvoiceRequest) -> bool:
    try:
        return bool(platform.issue(request).number)
    except grpc.RpcError as error:
        unavailable(error)
        return False
