"""What became of the items of one call: how many were issued, how many refused for which reason."""

from collections import Counter
from typing import Any

from taxcontrol.v1 import error_reason_pb2, invoice_service_pb2


class Tally:
    """Counts results, for the one log line of a call. Answers without items count nothing."""

    def __init__(self) -> None:
        self._issued_count = 0
        self._refused: Counter[str] = Counter()

    @classmethod
    def of(cls, response: Any) -> dict[str, Any]:
        """The results in one response."""
        if not isinstance(response, invoice_service_pb2.BatchIssueInvoicesResponse):
            return {}
        tally = cls()
        for result in response.results:
            tally._count(result)
        return tally.results()

    def add(self, response: Any) -> None:
        """Count one response of a stream."""
        if isinstance(response, invoice_service_pb2.IssueInvoicesResponse):
            self._count(response.result)

    def results(self) -> dict[str, Any]:
        """The counts as they stand; empty before the first."""
        if not self._issued_count and not self._refused:
            return {}
        return {"issued": self._issued_count, "refused": dict(self._refused)}

    def _count(self, result: invoice_service_pb2.BatchIssueResult) -> None:
        if result.HasField("failure"):
            name = error_reason_pb2.ErrorReason.Name(result.failure.reason)
            self._refused[name.removeprefix("ERROR_REASON_")] += 1
        else:
            self._issued_count += 1
