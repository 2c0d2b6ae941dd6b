"""Failures on the wire: whatever a failure holds, its status fits a trailer and keeps its reason."""

from pathlib import Path

import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from authority.client import GrpcAuthority
from authority.config import AuthorityConfig
from gateway import status
from invoice import errors
from invoice.errors import (
    AuthorityRefused,
    AuthorityUnavailable,
    InvalidInvoice,
    InvalidRequest,
    InvoiceError,
    RequestIdReused,
    Violation,
)

STATUS_BYTES_MAX = 5 * 1024
TRAILER_BYTES_MAX = 8 * 1024
FAILURE_LISTED_BYTES_MAX = 64 * 1024

texts = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda text, times: text * times,
        st.text(min_size=1, max_size=8),
        st.integers(0, 3000),
    ),
)
names = st.sampled_from(
    ["taxpayer", "type", "point", "fields", "request_id", "authority_reason", "grpc_code", "count"]
)
violations = st.lists(st.builds(Violation, field=texts, rule=texts, message=texts), min_size=1)
many_violations = st.builds(lambda found, times: found * times, violations, st.integers(1, 300))
failures = st.one_of(
    st.builds(
        lambda kind, message, retry_s, facts: kind(message, retry_s=retry_s, **facts),
        st.sampled_from(
            [errors.StockExhausted, errors.DeviceNotReady, AuthorityRefused, AuthorityUnavailable]
        ),
        texts,
        st.none() | st.floats(0, allow_infinity=True),
        st.dictionaries(names, texts),
    ),
    many_violations.map(InvalidInvoice),
    st.builds(InvalidRequest, texts, texts, texts),
    st.builds(
        lambda fields, times: RequestIdReused("r" * 120, fields * times),
        st.lists(texts, min_size=1),
        st.integers(1, 100),
    ),
)


def trailer_bytes(sent: status_pb2.Status) -> int:
    """How many bytes of trailers: the status in Base64, the sentence percent-encoded, and names."""
    whole = -(-sent.ByteSize() // 3) * 4
    sentence = sum(
        1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3 for byte in sent.message.encode()
    )
    frames = sum(
        len(name) + 32 for name in ("grpc-status", "grpc-message", "grpc-status-details-bin")
    )
    return int(whole + sentence + frames + 2)


def info_of(sent: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    [packed] = [each for each in sent.details if each.Is(info.DESCRIPTOR)]
    packed.Unpack(info)
    return info


def listed_in(sent: status_pb2.Status) -> list[str]:
    bad_request = error_details_pb2.BadRequest()
    for packed in sent.details:
        packed.Unpack(bad_request)
    return [one.field for one in bad_request.field_violations]


@given(failures)
def test_any_failure_fits_a_trailer_and_keeps_its_reason(error: InvoiceError) -> None:
    sent = status.to_status(error)

    assert sent.ByteSize() <= STATUS_BYTES_MAX
    assert trailer_bytes(sent) <= TRAILER_BYTES_MAX
    assert info_of(sent).reason == error.reason
    found, listed = status.violations_of(error), listed_in(sent)
    assert bool(listed) == bool(found)
    if len(listed) < len(found):
        assert info_of(sent).metadata["violation_count"] == str(len(found))


@given(failures)
def test_any_failure_of_a_batch_item_is_bounded(error: InvoiceError) -> None:
    failure = status.to_failure(error)

    assert failure.ByteSize() <= FAILURE_LISTED_BYTES_MAX + STATUS_BYTES_MAX
    found = status.violations_of(error)
    assert bool(failure.violations) == bool(found)
    assert (len(failure.violations) < len(found)) == ("violation_count" in failure.metadata)


def test_what_is_short_is_told_whole() -> None:
    found = [Violation(f"lines[{index}].amount", "AMOUNT", "is wrong") for index in range(40)]
    error = InvalidInvoice(found)

    sent, failure = status.to_status(error), status.to_failure(error)

    assert sent.message == failure.message == error.message
    assert dict(info_of(sent).metadata) == dict(failure.metadata) == error.facts
    assert listed_in(sent) == [one.field for one in failure.violations]
    assert listed_in(sent) == [one.field for one in found]


def test_a_batch_item_with_2000_violations_lists_64_kib_and_counts_them() -> None:
    found = [Violation(f"lines[{index}].amount", "AMOUNT", "x" * 90) for index in range(2000)]

    failure = status.to_failure(InvalidInvoice(found))

    assert failure.metadata["violation_count"] == "2000"
    assert 400 < len(failure.violations) < 2000
    assert failure.violations[0].field == "lines[0].amount"
    assert failure.ByteSize() <= FAILURE_LISTED_BYTES_MAX + 1024


def test_an_id_reused_with_very_many_differences_names_the_first_and_counts_them() -> None:
    fields = [f"lines[{index}].{name}" for index in range(100) for name in ("name", "amount_fen")]

    error = RequestIdReused("r", fields)
    info = info_of(status.to_status(error))

    assert info.metadata["field_count"] == "200"
    named = info.metadata["fields"].split(",")
    assert named == fields[: len(named)]
    assert 900 < len(info.metadata["fields"]) <= 1024
    assert f"and {200 - len(named)} more differ" in error.message


def test_an_id_reused_with_few_differences_names_all() -> None:
    error = RequestIdReused("r", ["count", "type"])

    assert error.facts == {"request_id": "r", "fields": "count,type"}
    assert error.message.endswith(": count, type differ")


@pytest.mark.parametrize("retry_s", [0.0, 1.5, float("inf")])
def test_a_known_delay_is_told(retry_s: float) -> None:
    sent = status.to_status(AuthorityUnavailable("x", retry_s=retry_s))

    retry = error_details_pb2.RetryInfo()
    assert sent.details[-1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == max(1, min(retry_s, 86_400) * 1000)


async def test_an_unreachable_authority_is_told_without_its_address(tmp_path: Path) -> None:
    # A socket nobody listens on, whose path gRPC's own sentence would name.
    target = f"unix:{tmp_path}/nobody"
    authority = GrpcAuthority(AuthorityConfig(target=target), on_time=_ignored)
    try:
        with pytest.raises(AuthorityUnavailable) as unavailable:
            await authority.get_grant("any")
    finally:
        await authority.close()

    sent = status.to_status(unavailable.value)
    failure = status.to_failure(unavailable.value)

    assert str(tmp_path) in unavailable.value.message
    assert sent.code == code_pb2.UNAVAILABLE
    assert str(tmp_path).encode() not in sent.SerializeToString() + failure.SerializeToString()


def _ignored(*_: float) -> None:
    """The authority's time is nobody's business here."""
