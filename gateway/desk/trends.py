"""How backlogs have moved lately: kept from one survey to the next, for as long as there is one."""

from collections import deque
from typing import Final, NamedTuple

MeterName = tuple[str, str, str]
"""Tax number, machine number, type."""

_WINDOW_S: Final = 3600.0
_STEP_S: Final = 15.0
# A slope over less than this says more about one group of invoices than about where things go.
_SPAN_S_MIN: Final = 60.0


class Slope(NamedTuple):
    """Growth a second; negative when it shrinks."""

    count_per_s: float
    fen_per_s: float


class Trends:
    """The backlogs of the last hour, or since there was none, by meter."""

    def __init__(self) -> None:
        self._tracks: dict[MeterName, deque[tuple[float, int, int]]] = {}

    def note(self, name: MeterName, count: int, amount_fen: int, now: float) -> Slope | None:
        """Take down a backlog; return how it grows, None while nobody can say."""
        samples = self._tracks.get(name)
        if samples is None:
            if not count:
                return None
            samples = self._tracks[name] = deque()
        if samples and now < samples[-1][0]:
            samples.clear()  # the clock was set back
        if not samples or now - samples[-1][0] >= _STEP_S:
            samples.append((now, count, amount_fen))
        while now - samples[0][0] > _WINDOW_S:
            samples.popleft()
        if not count:
            # What grows from here on begins here: the hour before would only water it down.
            ended = samples[0][1] == 0
            samples.clear()
            samples.append((now, 0, 0))
            if ended:
                del self._tracks[name]
            return None
        began_at, began_count, began_fen = samples[0]
        span_s = now - began_at
        if span_s < _SPAN_S_MIN:
            return None
        return Slope((count - began_count) / span_s, (amount_fen - began_fen) / span_s)
