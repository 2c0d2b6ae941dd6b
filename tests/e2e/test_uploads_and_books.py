"""What operators see of uploads and of the books."""

from collections.abc import Iterator

import pytest

from taxcontrol.admin.v1 import (
    audit_service_pb2,
    stock_admin_service_pb2,
    taxpayer_service_pb2,
    upload_admin_service_pb2,
)
from taxcontrol.v1 import invoice_pb2, stock_service_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_tax_number, ticket
from tests.e2e.wire import eventually, refused
from tests.fakes.simulator_process import SimulatorProcess

DrawStockRequest = stock_admin_service_pb2.DrawStockRequest
AssignStockRequest = stock_admin_service_pb2.AssignStockRequest
GetTaxpayerRequest = taxpayer_service_pb2.GetTaxpayerRequest
ListTaxpayersRequest = taxpayer_service_pb2.ListTaxpayersRequest
GetStockRequest = stock_service_pb2.GetStockRequest


@pytest.fixture
def authority(system: System) -> Iterator[SimulatorProcess]:
    """The shared authority, without faults after the test."""
    yield system.simulator
    system.simulator.set_faults()


def test_a_backlog_is_listed_oldest_first_and_drains(
    platform: Platform, authority: SimulatorProcess
) -> None:
    seller = platform.new_seller("026", stock=30)
    authority.set_faults(unreachable=True)
    issued = [platform.issue(ticket(seller)) for _ in range(7)]

    status = platform.upload_status(seller)
    pages = [
        list(
            platform.uploads.ListUnuploaded(
                upload_admin_service_pb2.ListUnuploadedRequest(parent=seller.name, page_size=size)
            ).events
        )
        for size in (3, 0)
    ]
    authority.set_faults()

    assert [event.invoice for event in pages[0]] == [one.name for one in issued[:3]]
    assert [event.invoice for event in pages[1]] == [one.name for one in issued]
    assert status.pending_count + status.in_doubt_count == 7
    assert [meter.unuploaded_count for meter in status.meters] == [7]
    assert status.meters[0].unuploaded_amount_fen == 70_000
    assert status.meters[0].left_amount_fen == 500_000_000 - 70_000
    assert not status.meters[0].HasField("left_count")
    hours = (status.age_limit_time.seconds - status.oldest_issue_time.seconds) / 3600
    assert hours == 72
    eventually(lambda: platform.drained(seller))
    assert platform.unuploaded(seller) == []
    assert not platform.upload_status(seller).HasField("oldest_issue_time")
    assert platform.get(name=issued[0].name).upload_state == (
        invoice_pb2.Invoice.UPLOAD_STATE_ACCEPTED
    )


def test_uploads_of_nobody_are_not_found(platform: Platform) -> None:
    stranger = Seller(tax_number=new_tax_number())

    with refused("TAXPAYER_NOT_FOUND"):
        platform.upload_status(stranger)
    with refused("TAXPAYER_NOT_FOUND"):
        platform.unuploaded(stranger)


# --- the books ------------------------------------------------------------------------------


def test_the_books_balance_while_work_goes_on(platform: Platform, seller: Seller) -> None:
    steps = platform.audit.CheckBooks(audit_service_pb2.CheckBooksRequest())
    platform.issue(ticket(seller))
    last = audit_service_pb2.CheckBooksResponse()
    for last in steps:
        assert not last.findings

    assert last.done
    assert last.balanced
    assert last.checked_count == last.total_count
    # Voids and blank voids are signed as well.
    assert last.signature_count >= last.issued_count > 0


def test_a_check_of_the_books_may_be_given_up(platform: Platform, seller: Seller) -> None:
    steps = platform.audit.CheckBooks(audit_service_pb2.CheckBooksRequest())
    next(steps)
    steps.cancel()

    assert platform.issue(ticket(seller)).number
    assert platform.books().last.balanced
