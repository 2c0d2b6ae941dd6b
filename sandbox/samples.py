"""The sample documents against their verdicts: FPKJ documents, and requests in JSON."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.layout import SAMPLES
from taxcontrol.v1.error_reason_pb2 import ERROR_REASON_INVALID_INVOICE
from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult, IssueInvoiceRequest
from taxctl.connection import Connection
from taxctl.documents import documents
from taxctl.failure import reason_name
from taxctl.issuing import Issuing, batches

_ACCEPT: Final = "ACCEPT"
# The verdicts name fields without their units.
_UNIT: Final = re.compile(r"_(fen|ppm)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample document and what it must get: ACCEPT, or a rule with its field."""

    file: str
    verdict: str
    field: str
    request: IssueInvoiceRequest


def read_samples() -> list[Sample]:
    """Read every row of both tables of verdicts with its document."""
    rows = [*_rows("verdicts.csv"), *_rows("verdicts-json.csv")]
    found = documents([str(SAMPLES / row["file"]) for row in rows], point=0)
    samples = []
    for row, document in zip(rows, found, strict=True):
        if len(document.requests) != 1:
            raise ValueError(f"{row['file']}: {document.problem or 'not one request'}")
        samples.append(
            Sample(
                file=row["file"],
                verdict=row["verdict"],
                field=row["field"],
                request=document.requests[0],
            )
        )
    return samples


def _rows(table: str) -> list[dict[str, str]]:
    with (SAMPLES / table).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def issue_samples(connection: Connection, samples: Sequence[Sample]) -> list[BatchIssueResult]:
    """Issue the samples the way ``taxctl issue`` does; results in their order."""
    issuing = Issuing(connection)
    return [
        result
        for batch in batches([sample.request for sample in samples])
        for result in issuing.issue(batch)
    ]


def mismatch(sample: Sample, result: BatchIssueResult) -> str:
    """What is not as the table of verdicts has it; empty when all is."""
    wanted = f"{sample.verdict} {sample.field}".strip()
    if result.WhichOneof("outcome") == "issued":
        return "" if sample.verdict == _ACCEPT else f"{sample.file}: issued, wanted {wanted}"
    failure = result.failure
    named = {(found.rule, _UNIT.sub("", found.field)) for found in failure.violations}
    if failure.reason == ERROR_REASON_INVALID_INVOICE and (sample.verdict, sample.field) in named:
        return ""
    return f"{sample.file}: {reason_name(failure)}: {failure.message}, wanted {wanted}"
