"""When a caller must have its answer: before its own clock runs out, or it looks like a loss."""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc

from invoice.errors import DeadlineTooShort

DEADLINE_MARGIN_S = 0.02
# Each result of a batch takes some time to build.
_ITEM_MARGIN_S = 0.0003


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the outcome must be known, on the loop's clock; None for never."""

    at: float | None

    def passed(self) -> bool:
        """Whether it is too late to wait for anything."""
        return self.at is not None and asyncio.get_running_loop().time() >= self.at

    def left_s(self) -> float | None:
        """How long there is to wait, not negative; None for ever."""
        return None if self.at is None else max(0.0, self.at - asyncio.get_running_loop().time())


def deadline_of(context: grpc.aio.ServicerContext[Any, Any], *, count: int = 1) -> Deadline:
    """When ``count`` results must be known so that the answer is there before the caller leaves.

    Raise ``DeadlineTooShort`` when that is now.
    """
    remaining_s: float | None = context.time_remaining()
    if remaining_s is None:
        return Deadline(None)
    left_s = remaining_s - DEADLINE_MARGIN_S - count * _ITEM_MARGIN_S
    if left_s < 0:
        raise DeadlineTooShort("the deadline leaves no time to issue")
    return Deadline(asyncio.get_running_loop().time() + left_s)
