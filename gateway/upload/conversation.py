"""What one taxpayer's stream says to the authority, and what each answer means for the books.

Rules of this file. Every answer is in the ledger before it is on the agenda. Whatever the ledger
refuses to store ends the stream, and the next one starts from the ledger. *Throttled* has no
effect, so the same id goes again later. *Unanswered* may have had its effect, so it is asked about
by id; *absent* is not final, so the same id with the same items goes again. *Refused* as a whole
is halved until the one item that spoils it stands alone.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Final, TypeVar

import structlog

from authority.port import Acceptance, Authority, SubmissionResult, Throttled
from gateway.clock import Clock
from gateway.tracing.port import Tracer
from gateway.upload.agenda import Agenda, Awaited, Unaccepted
from gateway.upload.backoff import Backoff
from gateway.upload.link import Link
from gateway.upload.messages import awaited, named, names_of, sent, verdicts_of
from gateway.upload.pacer import Pacer
from gateway.upload.told import Told, traces_of
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from invoice.lifecycle import UploadState
from ledger.port import Ledger
from ledger.records import EventVerdict, Permit, Submission

log = structlog.get_logger()

_T = TypeVar("_T")

_AGAIN: Final = Backoff(base_s=0.2, cap_s=30.0)
_POLL_FIRST_S: Final = 0.5
_POLL_S_MAX: Final = 30.0
# Of what was refused a log line names so many and counts all.
_NAMED_COUNT_MAX: Final = 5
# These say no to who sends, not to what is sent: rejecting the invoices would be wrong, and
# another taxpayer's uploads are not concerned.
_SENDER_REFUSALS: Final = frozenset(
    {
        "TAXPAYER_UNKNOWN",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "UNIMPLEMENTED",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
    }
)


class Conversation:
    """The three calls of an upload. Each is given the permit it uses."""

    def __init__(
        self,
        tax_number: str,
        *,
        ledger: Ledger,
        authority: Authority,
        clock: Clock,
        rng: Random,
        agenda: Agenda,
        pacer: Pacer,
        link: Link,
        on_recorded: Callable[[Iterable[str]], None],
        tracer: Tracer | None = None,
    ) -> None:
        self._told = Told(tracer)
        self._tax_number = tax_number
        self._ledger = ledger
        self._authority = authority
        self._clock = clock
        self._rng = rng
        self._agenda = agenda
        self._pacer = pacer
        self._link = link
        self._on_recorded = on_recorded
        self._log = log.bind(tax_number=tax_number)

    async def resolve(self, item: Unaccepted, permit: Permit | None) -> None:
        """Get a serial for ``item``: ask when it may be there already, else send it."""
        began, step = self._told.began(), "upload.ask" if _asks(item) else "upload.submit"
        try:
            acceptance = await self._ask_or_send(item, permit)
        except Throttled:
            self._told.sent(step, item.submission, began, "THROTTLED")
            self._agenda.unaccepted.append(item)
        except AuthorityUnavailable as error:
            self._told.sent(step, item.submission, began, error.reason)
            await self._in_doubt(item, error)
        except AuthorityRefused as error:
            self._told.sent(step, item.submission, began, error.facts["authority_reason"])
            await self._refused(item, error)
        else:
            self._told.sent(step, item.submission, began)
            await self._resolved(item, acceptance)

    async def poll(self, asked: Sequence[Awaited], permit: Permit | None) -> None:
        """Ask for the results of ``asked`` in one call."""
        serials = [each.acceptance_serial for each in asked]
        began = self._told.began()
        try:
            results = await self._call(
                permit,
                self._authority.get_results(
                    tax_number=self._tax_number, acceptance_serials=serials
                ),
            )
        except Throttled:
            self._agenda.awaited.extend(asked)
        except AuthorityUnavailable:
            self._ask_later(asked)
        except AuthorityRefused as error:
            self._held(error)
            self._ask_later(asked)
        else:
            await self._take_results(asked, results, began)

    async def _call(self, permit: Permit | None, call: Awaitable[_T]) -> _T:
        """Make a call under its permit and learn from it how the authority stands to us."""
        try:
            answer = await call
        except AuthorityUnavailable as error:
            self._link.lost(error.message)
            raise
        except Throttled as error:
            self._heard(error)
            self._throttled(error)
            raise
        except AuthorityRefused as error:
            self._heard(error)
            self._pacer.welcomed()
            raise
        else:
            self._heard(None)
            self._pacer.welcomed()
            return answer
        finally:
            await self._pacer.answered(permit)

    def _heard(self, refusal: AuthorityRefused | None) -> None:
        if self._link.away:
            self._agenda.retry_now(self._clock.monotonic())
        if refusal is None:
            self._link.answered()
        else:
            self._link.refused(refusal.message)

    # --- a serial -----------------------------------------------------------------------

    async def _ask_or_send(self, item: Unaccepted, permit: Permit | None) -> Acceptance | None:
        submission = item.submission
        if _asks(item):
            return await self._call(
                permit,
                self._authority.get_submission(
                    tax_number=self._tax_number, submission_id=submission.submission_id
                ),
            )
        return await self._call(permit, self._authority.submit(sent(submission)))

    async def _resolved(self, item: Unaccepted, acceptance: Acceptance | None) -> None:
        if acceptance is None:
            item.absent, item.due_at = True, self._clock.monotonic()
            self._agenda.unaccepted.append(item)
            return
        submission, delay_s = item.submission, acceptance.result_delay_ms / 1000
        await self._ledger.mark_submitted(
            submission.submission_id,
            acceptance.acceptance_serial,
            poll_at=self._clock.now() + delay_s,
        )
        due_at = self._clock.monotonic() + delay_s
        self._agenda.awaited.append(awaited(submission, acceptance.acceptance_serial, due_at))
        self._log.info(
            "upload.submitted",
            submission_id=submission.submission_id,
            acceptance_serial=acceptance.acceptance_serial,
            count=len(submission.items),
        )

    async def _in_doubt(self, item: Unaccepted, error: AuthorityUnavailable) -> None:
        submission_id = item.submission.submission_id
        if not item.doubtful:
            await self._ledger.mark_in_doubt(submission_id)
        item.doubtful, item.absent = True, False
        item.failure_count += 1
        delay_s = _AGAIN.delay_s(item.failure_count, self._rng)
        item.due_at = self._clock.monotonic() + delay_s
        self._agenda.unaccepted.append(item)
        self._log.warning(
            "upload.in_doubt",
            submission_id=submission_id,
            count=len(item.submission.items),
            failure_count=item.failure_count,
            error=error.message,
        )

    # --- a no ---------------------------------------------------------------------------

    async def _refused(self, item: Unaccepted, error: AuthorityRefused) -> None:
        reason, count = error.facts["authority_reason"], len(item.submission.items)
        if reason in _SENDER_REFUSALS or _asks(item):
            self._held(error)
            item.due_at = self._link.silent_until
            self._agenda.unaccepted.append(item)
        elif count > 1:
            await self._split(item.submission, count // 2, reason)
        else:
            await self._reject(item.submission, reason)

    async def _split(self, submission: Submission, count_max: int, reason: str) -> None:
        await self._ledger.release_submission(
            submission.submission_id, not_before=0.0, batch_count_max=count_max
        )
        self._agenda.fresh = True
        self._log.warning(
            "upload.split",
            submission_id=submission.submission_id,
            count=len(submission.items),
            batch_count_max=count_max,
            reason=reason,
        )

    async def _reject(self, submission: Submission, reason: str) -> None:
        [item] = submission.items
        verdict = EventVerdict(event_id=item.event_id, state=UploadState.REJECTED, reason=reason)
        began = self._told.began()
        await self._record(submission.submission_id, [verdict], {item.event_id: named(item)})
        self._told.judged(submission.submission_id, [verdict], traces_of(submission), began)

    def _throttled(self, error: Throttled) -> None:
        pause_s = self._pacer.throttled(error.retry_s)
        self._log.warning("upload.throttled", retry_s=round(pause_s, 3), share=self._pacer.share)

    def _held(self, error: AuthorityRefused) -> None:
        self._link.held()
        self._log.warning("upload.held", reason=error.facts["authority_reason"])

    # --- results ------------------------------------------------------------------------

    def _ask_later(self, asked: Sequence[Awaited]) -> None:
        now = self._clock.monotonic()
        for each in asked:
            each.failure_count += 1
            each.due_at = now + _AGAIN.delay_s(each.failure_count, self._rng)
        self._agenda.awaited.extend(asked)

    async def _take_results(
        self, asked: Sequence[Awaited], results: Sequence[SubmissionResult], began: float
    ) -> None:
        by_serial = {result.acceptance_serial: result for result in results}
        for each in asked:
            each.failure_count = 0
            await self._take_result(each, by_serial.get(each.acceptance_serial), began)

    async def _take_result(
        self, asked: Awaited, result: SubmissionResult | None, began: float
    ) -> None:
        verdicts = [] if result is None else verdicts_of(asked, result)
        if len(verdicts) == len(asked.event_ids):
            await self._record(asked.submission_id, verdicts, names_of(asked))
            self._told.judged(asked.submission_id, verdicts, asked.traces, began)
            return
        if result is None or result.done:
            # The authority took it, so it owes a verdict on each: keep asking, and say so.
            self._log.warning("upload.results_missing", submission_id=asked.submission_id)
        delay_s = min(_POLL_S_MAX, _POLL_FIRST_S * 2 ** min(asked.poll_count, 16))
        await self._ledger.postpone_poll(asked.submission_id, poll_at=self._clock.now() + delay_s)
        asked.poll_count += 1
        asked.due_at = self._clock.monotonic() + delay_s
        self._agenda.awaited.append(asked)

    async def _record(
        self, submission_id: str, verdicts: Sequence[EventVerdict], names: Mapping[int, str]
    ) -> None:
        await self._ledger.record_verdicts(submission_id, verdicts, now=self._clock.now())
        self._on_recorded((self._tax_number,))
        # A predecessor that is settled may have made its successors due.
        self._agenda.fresh = True
        by_state: defaultdict[UploadState, list[EventVerdict]] = defaultdict(list)
        for verdict in verdicts:
            by_state[verdict.state].append(verdict)
        told = self._log.bind(submission_id=submission_id)
        if accepted := by_state.pop(UploadState.ACCEPTED, None):
            told.info("upload.accepted", count=len(accepted))
        for state, refused in by_state.items():
            # An invoice that its own authority cannot verify is a fault of key or content: at once.
            say = told.error if state is UploadState.SIGNATURE_REJECTED else told.warning
            say(
                "upload.rejected",
                count=len(refused),
                state=str(state),
                reasons=dict(Counter(verdict.reason or str(state) for verdict in refused)),
                invoices=[names[verdict.event_id] for verdict in refused[:_NAMED_COUNT_MAX]],
            )


def _asks(item: Unaccepted) -> bool:
    """Whether ``item`` is asked about, since it may be there already, and not sent."""
    return item.doubtful and not item.absent
