"""What an upload tells the traces that its events belong to. Nearly all belong to none."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping

from gateway.tracing.port import Tracer, began_ns
from ledger.records import EventVerdict, Submission


class Told:
    """Tells ``tracer`` of one taxpayer's uploads; nobody without one."""

    def __init__(self, tracer: Tracer | None) -> None:
        self._tracer = tracer

    def began(self) -> float:
        """When a step begins: a reading of the clock that the others take."""
        return time.perf_counter()

    def sent(self, name: str, submission: Submission, began: float, failure: str = "") -> None:
        """A submission was sent, or asked about, and answered: ``failure`` is empty or says what came of it."""
        if self._tracer is None:
            return
        if traced := list(traces_of(submission).values()):
            facts = {"submission_id": submission.submission_id}
            self._tracer.step(name, traced, began_ns=began_ns(began), facts=facts, failure=failure)

    def judged(
        self,
        submission_id: str,
        verdicts: Iterable[EventVerdict],
        traces: Mapping[int, str],
        began: float,
    ) -> None:
        """Verdicts came in and are stored. ``traces`` is by event id."""
        if self._tracer is None or not traces:
            return
        by_outcome: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for verdict in verdicts:
            if (traceparent := traces.get(verdict.event_id)) is not None:
                by_outcome[str(verdict.state), verdict.reason].append(traceparent)
        for (state, reason), traced in by_outcome.items():
            facts = {"submission_id": submission_id, "upload_state": state}
            failure = "" if state == "ACCEPTED" else reason or state
            self._tracer.step(
                "upload.result", traced, began_ns=began_ns(began), facts=facts, failure=failure
            )


def traces_of(submission: Submission) -> dict[int, str]:
    """The traces that events of a submission belong to, by event id."""
    return {
        item.event_id: item.traceparent for item in submission.items if item.traceparent is not None
    }
