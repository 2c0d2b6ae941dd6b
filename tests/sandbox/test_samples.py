"""A verdict counts only when it is the one of the table: rule and field, or a number."""

import pytest

from sandbox.samples import Sample, mismatch, read_samples
from taxcontrol.v1.error_reason_pb2 import (
    ERROR_REASON_INVALID_INVOICE,
    ERROR_REASON_STOCK_EXHAUSTED,
    ErrorReason,
)
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult, Failure, IssueInvoiceRequest

ISSUED = BatchIssueResult(issued=IssuedInvoice(number="00000001"))


def sample(verdict: str, field: str = "") -> Sample:
    return Sample(file="x.xml", verdict=verdict, field=field, request=IssueInvoiceRequest())


def refused(
    *named: tuple[str, str], reason: "ErrorReason.ValueType" = ERROR_REASON_INVALID_INVOICE
) -> BatchIssueResult:
    violations = [Failure.FieldViolation(rule=rule, field=field) for rule, field in named]
    return BatchIssueResult(failure=Failure(code=3, reason=reason, violations=violations))


@pytest.mark.parametrize(
    ("wanted", "result"),
    [
        (sample("ACCEPT"), ISSUED),
        (sample("AMOUNT_ZERO", "lines[0].amount"), refused(("AMOUNT_ZERO", "lines[0].amount_fen"))),
        (sample("RATE_MIXED", "rate"), refused(("OTHER", "x"), ("RATE_MIXED", "rate_ppm"))),
    ],
)
def test_the_wanted_verdict_is_no_mismatch(wanted: Sample, result: BatchIssueResult) -> None:
    assert mismatch(wanted, result) == ""


@pytest.mark.parametrize(
    ("wanted", "result"),
    [
        (sample("ACCEPT"), refused(("AMOUNT_ZERO", "lines[0].amount_fen"))),
        (sample("AMOUNT_ZERO", "lines[0].amount"), ISSUED),
        (sample("AMOUNT_ZERO", "lines[0].amount"), refused(("AMOUNT_ZERO", "lines[1].amount_fen"))),
        (sample("AMOUNT_ZERO", "net"), refused(("TOTAL_MISMATCH", "net_fen"))),
        (
            sample("AMOUNT_ZERO", "net"),
            refused(("AMOUNT_ZERO", "net_fen"), reason=ERROR_REASON_STOCK_EXHAUSTED),
        ),
    ],
)
def test_any_other_verdict_is_named(wanted: Sample, result: BatchIssueResult) -> None:
    assert mismatch(wanted, result).startswith("x.xml: ")


def test_every_sample_is_read_with_its_document() -> None:
    samples = read_samples()

    assert len(samples) == 41 + 22
    assert len({one.request.request_id for one in samples}) == len(samples)
    assert sum(one.verdict == "ACCEPT" for one in samples) == 13 + 5
