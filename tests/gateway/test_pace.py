"""One goes in each round of the loop, in the order of asking; who leaves costs nobody a round."""

import asyncio

from gateway.pace import Pace


async def test_one_goes_in_each_round() -> None:
    pace, rounds = Pace(), _Rounds()
    went_in: list[int] = []

    async def go() -> None:
        await pace.turn()
        went_in.append(rounds.count)

    tasks = [asyncio.create_task(go()) for _ in range(5)]
    rounds.start()
    tasks[2].cancel()
    await asyncio.wait(tasks)

    first = went_in[0]
    assert [at - first for at in went_in[1:]] == list(range(went_in[1] - first, len(went_in) + 1))
    assert len(went_in) == 4
    rounds.stop()


async def test_who_comes_alone_does_not_wait() -> None:
    pace, rounds = Pace(), _Rounds()
    rounds.start()

    for _ in range(3):
        began = rounds.count
        await pace.turn()
        assert rounds.count == began
        while rounds.count < began + 2:  # noqa: ASYNC110 - a counter, nothing to await
            await asyncio.sleep(0)

    rounds.stop()


class _Rounds:
    """Counts the rounds of the loop."""

    def __init__(self) -> None:
        self.count = 0
        self._running = True

    def start(self) -> None:
        """Begin with the next one."""
        asyncio.get_running_loop().call_soon(self._next)

    def stop(self) -> None:
        """Count no longer."""
        self._running = False

    def _next(self) -> None:
        self.count += 1
        if self._running:
            self.start()
