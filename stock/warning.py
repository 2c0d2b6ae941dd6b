"""When stock is low, and how low."""

from enum import IntEnum
from typing import Final

_HOUR_S: Final = 3600.0


class StockLevel(IntEnum):
    """How much is left, as far as issuing is concerned."""

    FINE = 1
    LOW = 2
    SHORT = 3
    EMPTY = 4


def level_of(
    available_count: int,
    *,
    low_count: int | None,
    empty_at: float | None,
    now: float,
    was_used: bool,
) -> StockLevel:
    """Return the level of what may be issued at a point.

    Low is at or below ``low_count``, or, without one, less than an hour's use; short, less than half an
    hour's. Stock that was never used is empty for nobody.
    """
    lasts_s = None if empty_at is None else empty_at - now
    low = (
        available_count <= low_count
        if low_count is not None
        else lasts_s is not None and lasts_s < _HOUR_S
    )
    if not was_used:
        return StockLevel.LOW if low_count is not None and low else StockLevel.FINE
    if available_count <= 0:
        return StockLevel.EMPTY
    if lasts_s is not None and lasts_s < _HOUR_S / 2:
        return StockLevel.SHORT
    return StockLevel.LOW if low else StockLevel.FINE
