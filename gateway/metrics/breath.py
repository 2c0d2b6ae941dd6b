"""Work of a scrape gives way: a thread that computes holds up the event loop, which shares the interpreter."""

import time
from collections.abc import Callable
from typing import Final

# The loop waits for no longer than this, as against the interpreter's own 5 ms.
_SLICE_S: Final = 0.001
_PAUSE_S: Final = 0.001


class Breath:
    """Lets every other thread go on after each slice of work."""

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause
        self._began = time.perf_counter()

    def take(self) -> None:
        """Go on at once, or after a pause when this slice has been long enough."""
        if time.perf_counter() - self._began >= _SLICE_S:
            self._pause(_PAUSE_S)
            self._began = time.perf_counter()
