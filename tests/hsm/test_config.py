"""Every range of the device's settings is refused by its field's name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsm.config import HsmConfig

GOOD = HsmConfig(token_label="t", pin_file=Path("pin"))


def test_the_defaults_are_a_valid_configuration() -> None:
    assert (GOOD.algorithm, GOOD.lanes, GOOD.wait_s, GOOD.verify) == ("P-256", 2, 2.0, "full")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("token_label", ""),
        ("token_label", "x" * 33),
        ("token_label", "税" * 11),
        ("algorithm", "SM2"),
        ("lanes", 0),
        ("lanes", 17),
        ("wait_s", 0),
        ("wait_s", 30.1),
        ("wait_s", float("nan")),
        ("verify", "never"),
        ("probe_s", 0),
        ("probe_s", 5.1),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^hsm\.{field} "):
        replace(GOOD, **{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("lanes", 1), ("lanes", 16), ("wait_s", 30), ("probe_s", 5)]
)
def test_the_bounds_themselves_are_allowed(field: str, value: Any) -> None:
    assert getattr(replace(GOOD, **{field: value}), field) == value
