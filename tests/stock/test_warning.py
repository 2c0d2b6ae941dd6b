"""When stock is low: by its threshold, or by how long it lasts; never where nobody uses it."""

import pytest

from stock.warning import StockLevel, level_of

NOW = 1_800_000_000.0
HOUR = 3600.0


@pytest.mark.parametrize(
    ("available", "low", "lasts_h", "was_used", "level"),
    [
        (5000, None, 10.0, True, StockLevel.FINE),
        (5000, None, 0.99, True, StockLevel.LOW),
        (5000, None, 1.0, True, StockLevel.FINE),
        (5000, None, 0.49, True, StockLevel.SHORT),
        (500, 500, 10.0, True, StockLevel.LOW),
        (501, 500, 10.0, True, StockLevel.FINE),
        (501, 500, 0.4, True, StockLevel.SHORT),
        (0, 500, None, True, StockLevel.EMPTY),
        (0, None, None, True, StockLevel.EMPTY),
        (10, None, None, True, StockLevel.FINE),
        (0, None, None, False, StockLevel.FINE),
        (10, 500, None, False, StockLevel.LOW),
    ],
)
def test_a_level(
    available: int, low: int | None, lasts_h: float | None, was_used: bool, level: StockLevel
) -> None:
    empty_at = None if lasts_h is None else NOW + lasts_h * HOUR

    found = level_of(available, low_count=low, empty_at=empty_at, now=NOW, was_used=was_used)

    assert found is level
