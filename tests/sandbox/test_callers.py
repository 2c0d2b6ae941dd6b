"""Several callers issue everything once between them, single and in batches."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.callers import issue_all, mixed
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from tests.taxctl.desk import Desk, request, serving


@given(st.integers(0, 240))
def test_calls_hold_every_request_once_in_order(count: int) -> None:
    requests = [IssueInvoiceRequest(request_id=str(n)) for n in range(count)]

    calls = list(mixed(requests))

    assert [one for call in calls for one in call] == requests
    assert all(calls)


def test_fifty_are_half_single_and_half_batch() -> None:
    calls = list(mixed([IssueInvoiceRequest()] * 50))

    assert sorted(len(call) for call in calls) == [1] * 25 + [25]


def test_everything_is_issued_once_between_the_callers() -> None:
    desk = Desk()
    reached: list[int] = []
    requests = [request(f"r{n}") for n in range(120)]

    with serving(desk) as target:
        results = issue_all(target, list(mixed(requests)), caller_count=4, progress=reached.append)

    assert {result.request_id for result in results} == {one.request_id for one in requests}
    assert len(results) == len(desk.issued) == max(reached) == 120
    assert not any(result.replayed for result in results)
