"""Takes a survey now and then: one look at the ledger serves the desk, alerts, metrics and the draw.

A look that fails keeps the last one, marked; whoever watches is told either way. The pause between
looks is at least twenty times what a look takes, so that it never costs more than a twentieth of a core;
and between a few taxpayers and the next calls have their turn, however many there are.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

import structlog

from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.desk.lines import Lines
from gateway.desk.survey import Survey, TaxpayerLine, Urgency, urgency
from gateway.desk.trends import Trends
from gateway.health import Vitals
from gateway.metrics.measures import Measures
from gateway.upload.uploader import Uploader
from gateway.upload.waiting import first_of
from hsm.port import Signer
from invoice.errors import LedgerUnavailable
from invoice.types import Office
from ledger.port import Ledger
from ledger.survey_records import BacklogSample, SurveyReading

log = structlog.get_logger()

_SAMPLE_S: Final = 60.0
_MINUTE_S: Final = 60.0
_LOOK_SHARE: Final = 20.0
# Between two turns of everybody else: a few milliseconds' work.
_TAXPAYERS_A_TURN: Final = 20
# While somebody watches, figures should not be older than this.
_WATCHED_S: Final = 1.0

Told = Callable[[Survey], None]


class Surveyor:
    """Takes surveys. ``on_survey`` hears each one; ``watched`` says whether somebody looks on.

    ``vitals`` are what health has found.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        uploader: Uploader,
        signer: Signer,
        authorities: Authorities,
        clock: Clock,
        measures: Measures,
        survey_s: float,
        vitals: Vitals,
        watched: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._uploader = uploader
        self._authorities = authorities
        self._clock = clock
        self._measures = measures
        self._survey_s = survey_s
        self._vitals = vitals
        self._watched = watched
        self._lines = Lines(Trends(), signer.available)
        self._hearers: list[Told] = []
        self._wanted = asyncio.Event()
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._sampled_at = 0.0
        self._rates: deque[tuple[float, int, int]] = deque()
        self.latest: Survey | None = None

    def tell(self, hearer: Told) -> None:
        """Call ``hearer`` with every survey from now on, in the event loop. It must return at once."""
        self._hearers.append(hearer)

    def wake(self) -> None:
        """Look soon: somebody watches."""
        self._wanted.set()

    async def start(self) -> None:
        """Look now and then from now on."""
        self._task = asyncio.create_task(self._forever(), name="survey")

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def current(self) -> Survey:
        """The latest survey; the first one is waited for."""
        return self.latest or await self.look()

    async def look(self) -> Survey:
        """Take a survey now. When the ledger fails it is the last one, with ``ledger_writable`` False."""
        async with self._looking:
            survey = await self._look()
        self.latest = survey
        for hearer in self._hearers:
            hearer(survey)
        return survey

    async def _forever(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                await self.look()
            except Exception:  # a bug ends one look, not all
                log.exception("survey.bug")
            took_s = self._clock.monotonic() - began
            pause_s = _WATCHED_S if self._watched() else self._survey_s
            self._wanted.clear()
            await self._clock.sleep(min(_LOOK_SHARE * took_s, self._survey_s * _LOOK_SHARE))
            await first_of(self._wanted, pause_s, self._clock)

    async def _look(self) -> Survey:
        now = self._clock.now()
        try:
            reading = await self._ledger.survey(now)
            taxpayers = await self._taxpayers(reading, now)
            if not 0 <= now - self._sampled_at < _SAMPLE_S:
                await self._sample(list(taxpayers.values()), now)
        except LedgerUnavailable as error:
            log.warning("survey.failed", cause=error.message)
            return self._survey(
                now, dict(self.latest.taxpayers) if self.latest else {}, writable=False
            )
        return self._survey(now, taxpayers, writable=self._vitals.ledger)

    async def _taxpayers(self, reading: SurveyReading, now: float) -> dict[str, TaxpayerLine]:
        """Everybody's line, the nearest to trouble first."""
        ranked: list[tuple[Urgency, TaxpayerLine]] = []
        for at, (tax_number, one) in enumerate(reading.taxpayers.items()):
            if at % _TAXPAYERS_A_TURN == 0:
                await asyncio.sleep(0)
            line = self._lines.taxpayer(one, self._uploader.glance(tax_number), now)
            ranked.append((urgency(line), line))
        ranked.sort(key=itemgetter(0))
        return {line.tax_number: line for _, line in ranked}

    async def _sample(self, lines: Sequence[TaxpayerLine], now: float) -> None:
        """Store what the desk remembers."""
        samples = [sample for line in lines if (sample := _sample(line, now)) is not None]
        await self._ledger.record_samples(samples, now=now)
        self._sampled_at = now

    def _survey(self, now: float, taxpayers: dict[str, TaxpayerLine], *, writable: bool) -> Survey:
        issued, uploaded = self._per_minute(taxpayers)
        tax_lost_at = self._uploader.lost_at(Office.TAX)
        finance_lost_at = self._uploader.lost_at(Office.FINANCE)
        clamped_at, clamped_s = self._measures.clamped
        return Survey(
            at=now,
            taxpayers=taxpayers,
            authority_reachable=tax_lost_at is None,
            authority_lost_at=tax_lost_at,
            finance_reachable=(
                finance_lost_at is None if self._authorities.serves_office(Office.FINANCE) else None
            ),
            finance_lost_at=finance_lost_at,
            signing_available=self._vitals.device,
            ledger_writable=writable,
            clock_ahead_s=self._authorities.clock_ahead_s(),
            clamped_s=clamped_s if now - clamped_at <= _MINUTE_S else 0.0,
            issued_per_minute=issued,
            uploaded_per_minute=uploaded,
        )

    def _per_minute(self, taxpayers: dict[str, TaxpayerLine]) -> tuple[int, int]:
        """Issued in the last minute, and uploaded: what was issued and is not un-uploaded now."""
        now = self._clock.monotonic()
        issued = sum(self._measures.issued.values())
        backlog = sum(
            meter.unuploaded_count for line in taxpayers.values() for meter in line.meters
        )
        self._rates.append((now, issued, backlog))
        while len(self._rates) > 1 and now - self._rates[1][0] >= _MINUTE_S:
            self._rates.popleft()
        _, issued_then, backlog_then = self._rates[0]
        new = issued - issued_then
        return new, max(0, new - (backlog - backlog_then))


def _sample(line: TaxpayerLine, now: float) -> BacklogSample | None:
    """What is remembered of a taxpayer's backlog; None when there is none."""
    count = sum(meter.unuploaded_count for meter in line.meters)
    if not count:
        return None
    oldest = min(meter.oldest_issue_time for meter in line.meters if meter.unuploaded_count)
    return BacklogSample(
        tax_number=line.tax_number,
        at=int(now),
        unuploaded_count=count,
        unuploaded_amount_fen=sum(meter.unuploaded_amount_fen for meter in line.meters),
        oldest_age_s=max(0, int(now) - oldest),
        used_ppm=max(
            (
                outlook.use.used_ppm
                for meter in line.meters
                for outlook in meter.limits
                if meter.unuploaded_count
            ),
            default=0,
        ),
    )
