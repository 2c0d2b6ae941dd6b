"""Long work of the event loop in short pieces: between them the next calls have their turn."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")


async def in_turns(items: Iterable[T], count_max: int) -> AsyncIterator[T]:
    """Yield ``items``; after every ``count_max`` of them everybody else has a turn."""
    for at, item in enumerate(items):
        if at and at % count_max == 0:
            await asyncio.sleep(0)
        yield item
