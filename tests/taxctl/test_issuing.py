"""What fails in passing is sent again under the same id; what is refused is not; nothing is lost."""

from collections import deque
from collections.abc import Iterator

import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from taxctl.connection import Connection, connect
from taxctl.failure import unanswered
from taxctl.issuing import PAUSES_S, Issuing, batches
from tests.taxctl.desk import Desk, Trouble, request, serving

UNAVAILABLE = Trouble(code=code_pb2.UNAVAILABLE, reason="HSM_UNAVAILABLE")
LOST = Trouble(code=code_pb2.UNAVAILABLE, late=True)
IN_PROGRESS = Trouble(code=code_pb2.ABORTED, reason="IN_PROGRESS", retry_s=1.5)
EXHAUSTED = Trouble(code=code_pb2.RESOURCE_EXHAUSTED, reason="STOCK_EXHAUSTED")
OVERLOADED = Trouble(code=code_pb2.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_s=1.0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def connection(desk: Desk) -> Iterator[Connection]:
    with serving(desk) as target:
        found = connect(target, timeout_s=10)
        with found.channel:
            yield found


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that were made, in seconds; no time passes."""
    return []


@pytest.fixture
def issuing(connection: Connection, pauses: list[float]) -> Issuing:
    return Issuing(connection, sleep=pauses.append)


@pytest.mark.parametrize("count", [1, 3])
def test_a_lost_answer_is_asked_for_again_and_issues_once(
    issuing: Issuing, desk: Desk, count: int
) -> None:
    desk.troubles = deque([LOST])

    results = issuing.issue([request(f"r{n}") for n in range(count)])

    assert [result.replayed for result in results] == [True] * count
    assert len(desk.issued) == count
    assert desk.calls[0] == desk.calls[1]


def test_a_retry_waits_as_long_as_it_was_told(
    issuing: Issuing, desk: Desk, pauses: list[float]
) -> None:
    desk.troubles = deque([IN_PROGRESS])

    [result] = issuing.issue([request("r")])

    assert result.HasField("issued")
    [pause] = pauses
    assert 1.5 <= pause <= 1.5 * 1.25


def test_pauses_grow_and_end(issuing: Issuing, desk: Desk, pauses: list[float]) -> None:
    desk.troubles = deque([UNAVAILABLE] * 100)

    [result] = issuing.issue([request("r")])

    assert result.failure.code == code_pb2.UNAVAILABLE
    assert len(desk.calls) == 1 + len(PAUSES_S)
    assert all(
        planned <= made <= planned * 1.25 for planned, made in zip(PAUSES_S, pauses, strict=True)
    )


def test_only_the_items_that_failed_in_passing_are_sent_again(issuing: Issuing, desk: Desk) -> None:
    desk.items = {"b": deque([OVERLOADED, IN_PROGRESS]), "c": deque([EXHAUSTED])}

    results = issuing.issue([request(name) for name in "abcd"])

    assert desk.calls == [["a", "b", "c", "d"], ["b"], ["b"]]
    assert [result.request_id for result in results] == ["a", "b", "c", "d"]
    assert [result.WhichOneof("outcome") for result in results] == [
        "issued",
        "issued",
        "failure",
        "issued",
    ]


def test_what_is_refused_is_not_sent_again(issuing: Issuing, desk: Desk) -> None:
    desk.troubles = deque([EXHAUSTED])

    [result] = issuing.issue([request("r")])

    assert len(desk.calls) == 1
    assert result.failure.message == "trouble"


def test_a_batch_that_is_too_large_is_halved_until_it_fits(issuing: Issuing, desk: Desk) -> None:
    desk.count_max = 3
    names = [f"r{n}" for n in range(10)]

    results = issuing.issue([request(name) for name in names])

    assert [result.request_id for result in results] == names
    assert all(result.HasField("issued") for result in results)
    assert max(len(call) for call in desk.calls[1:]) == 5


def test_nobody_there_is_no_answer_for_every_request(pauses: list[float]) -> None:
    with serving(Desk()) as target:
        pass
    connection = connect(target, timeout_s=5)

    with connection.channel:
        results = Issuing(connection, pauses_s=[0.1], sleep=pauses.append).issue(
            [request("a"), request("b")]
        )

    assert [unanswered(result.failure) for result in results] == [True, True]
    assert len(pauses) == 1


@given(
    sizes=st.lists(st.integers(0, 3_000_000), max_size=12),
    count_max=st.integers(1, 5),
)
def test_batches_keep_the_order_and_fit(sizes: list[int], count_max: int) -> None:
    requests = [
        IssueInvoiceRequest(request_id=str(n), remark="x" * size) for n, size in enumerate(sizes)
    ]

    found = list(batches(requests, count_max=count_max))

    assert [one for batch in found for one in batch] == requests
    assert all(1 <= len(batch) <= count_max for batch in found)
    assert all(
        len(batch) == 1 or sum(one.ByteSize() for one in batch) <= 4 * 1024 * 1024
        for batch in found
    )
