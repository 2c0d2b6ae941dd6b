"""What steering the uploads would mean, in sentences for who is about to do it."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from console.speech import Speech
from taxcontrol.admin.v1.offline_pb2 import LimitUse
from taxcontrol.admin.v1.taxpayer_pb2 import RateWindow
from taxcontrol.admin.v1.upload_pb2 import UploadStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where the uploads stand while somebody thinks about them."""

    name: str
    display_name: str
    status: UploadStatus
    authority_windows: Sequence[RateWindow]

    @property
    def waiting_count(self) -> int:
        """Events without a final answer."""
        status = self.status
        return status.pending_count + status.submitted_count + status.in_doubt_count

    def limits(self, limit: "LimitUse.Limit.ValueType") -> list[LimitUse]:
        """That limit of every device and type, the one with the least left first."""
        found = [use for meter in self.status.meters for use in meter.limits if use.limit == limit]
        return sorted(found, key=lambda use: use.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is asked for. ``until_s``: unix seconds of a pause's end, 0 for none."""

    what: str
    until_s: int = 0
    windows: tuple[RateWindow, ...] = ()


def beyond(situation: Situation, step: Step) -> bool:
    """Whether a pause may last until issuing stops."""
    if step.what != "pause" or not situation.status.HasField("age_limit_time"):
        return False
    return step.until_s == 0 or step.until_s >= situation.status.age_limit_time.seconds


def effect(situation: Situation, step: Step, say: Speech) -> list[str]:
    """What it means, in sentences."""
    waiting = say.language.texts(
        "%(count)s event waits for the authority now.",
        "%(count)s events wait for the authority now.",
        situation.waiting_count,
    )
    if step.what == "resume":
        return [
            say.language.text("Uploads go on at once, as fast as the authority allows."),
            waiting,
        ]
    if step.what == "rate":
        return [*_rate_effect(situation, step, say), waiting]
    return [*_pause_effect(situation, step, say), waiting, *_room(situation, say)]


def _pause_effect(situation: Situation, step: Step, say: Speech) -> list[str]:
    text = say.language.text
    until = (
        text(
            "Nothing is sent to the authority until %(time)s; then uploads go on by themselves.",
            time=say.clock_text(Timestamp(seconds=step.until_s)),
        )
        if step.until_s
        else text("Nothing is sent to the authority until somebody resumes the uploads.")
    )
    if not situation.status.HasField("age_limit_time"):
        return [until, text("Issuing goes on within the offline limits.")]
    stops = text(
        "Issuing goes on, and stops at %(time)s unless the oldest invoice is uploaded before.",
        time=say.clock_text(situation.status.age_limit_time),
    )
    return [until, stops]


def _room(situation: Situation, say: Speech) -> list[str]:
    """How much may still be issued meanwhile."""
    counts = situation.limits(LimitUse.LIMIT_COUNT)[:1]
    amounts = situation.limits(LimitUse.LIMIT_AMOUNT)[:1]
    return [
        *(
            say.language.texts(
                "%(count)s more invoice may be issued before the offline count is reached.",
                "%(count)s more invoices may be issued before the offline count is reached.",
                use.left,
            )
            for use in counts
        ),
        *(
            say.language.text(
                "%(amount)s yuan more may be issued before the offline amount is reached.",
                amount=say.yuan(use.left),
            )
            for use in amounts
        ),
    ]


def _rate_effect(situation: Situation, step: Step, say: Speech) -> list[str]:
    if not step.windows:
        return [say.language.text("Uploads go as fast as the authority allows.")]
    lowered = {window.period_ms: window.call_count_max for window in step.windows}
    return [
        say.language.text(
            "At most %(calls)s calls in %(time)s, instead of %(most)s.",
            calls=say.count(lowered[window.period_ms]),
            time=say.duration(window.period_ms / 1000),
            most=say.count(window.call_count_max),
        )
        for window in situation.authority_windows
        if window.period_ms in lowered
    ]
