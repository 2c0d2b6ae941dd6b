"""One scrape: every family from its source, taxpayers' from the survey that was taken last."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.desk.survey import Survey
from gateway.metrics import taxpayers, work
from gateway.metrics.breath import Breath
from gateway.metrics.sources import Sources
from gateway.metrics.work import gauge

SERIES_COUNT_MAX: Final = 2000
"""What one scrape has at most. The bounds of ``work`` and ``taxpayers`` add up to less; see decision 0014."""


class Gathering(Collector):
    """Answers scrapes, one at a time. What a survey has is worked out once for each survey."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._survey: Survey | None = None
        self._of_survey: list[Metric] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: looking takes a running gateway."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family, giving way between them."""
        breath = Breath()
        for family in self._all(breath):
            yield family
            breath.take()

    def _all(self, breath: Breath) -> Iterator[Metric]:
        yield from work.families(self._sources)
        survey = None if self._sources.survey is None else self._sources.survey()
        if survey is None:
            return
        yield from _whole(survey, self._sources.now())
        if survey is not self._survey:
            self._of_survey = taxpayers.families(survey, survey.at, breath)
            self._survey = survey
        yield from self._of_survey


def _whole(survey: Survey, now: float) -> Iterator[Metric]:
    """What a survey says of the gateway as a whole."""
    yield gauge("taxcontrol_survey_timestamp_seconds", "When the last survey was taken", survey.at)
    yield gauge(
        "taxcontrol_survey_age_seconds", "Age of the last survey", max(0.0, now - survey.at)
    )
    reachable = GaugeMetricFamily(
        "taxcontrol_authority_reachable", "1 while the authority answers", labels=("authority",)
    )
    reachable.add_metric(["tax"], survey.authority_reachable)
    if survey.finance_reachable is not None:
        reachable.add_metric(["finance"], survey.finance_reachable)
    yield reachable
    yield gauge(
        "taxcontrol_signing_available", "1 while the device signs", survey.signing_available
    )
    yield gauge(
        "taxcontrol_ledger_writable", "1 while the ledger can be written", survey.ledger_writable
    )
    if survey.clock_ahead_s is not None:
        yield gauge(
            "taxcontrol_clock_ahead_seconds",
            "How far this machine's clock is ahead of the authority's; absent before it told the time",
            survey.clock_ahead_s,
        )
    yield gauge(
        "taxcontrol_clock_clamped_seconds",
        "How far issue times are ahead of the clock because it ran back",
        survey.clamped_s,
    )
