"""Waiting for what happens first."""

import asyncio
import math

from gateway.clock import Clock


async def first_of(event: asyncio.Event, seconds: float, clock: Clock) -> None:
    """Wait until ``event`` is set or ``seconds`` (may be infinite) have passed."""
    if event.is_set() or seconds <= 0:
        return
    if math.isinf(seconds):
        await event.wait()
        return
    timer = asyncio.ensure_future(clock.sleep(seconds))
    stirred = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((timer, stirred), return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        stirred.cancel()
