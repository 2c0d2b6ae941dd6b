"""One message of a watch in each round of the event loop, so that rounds stay short.

gRPC accepts one call a round, and an answer takes several: what many watches send at once would
otherwise make everybody wait.
"""

import asyncio
from collections import deque


class Pace:
    """Lets one go in each round of the loop it is used on."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def turn(self) -> None:
        """Return at once when nobody else has gone in this round, else by turns in later ones."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._next_round, loop)
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_round(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                loop.call_soon(self._next_round, loop)
                return
        self._taken = False
