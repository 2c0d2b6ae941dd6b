"""What can be counted of a signing device at one look. Plain data, read from any thread."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """Counts since the start, and how many there are now.

    ``call_count`` are calls to sign, ``failure_count`` those without a signature. ``open_breaker_count``
    keys of ``key_count`` are out of service; ``hanging_lane_count`` threads never came back from the device.
    """

    call_count: int
    failure_count: int
    late_count: int
    wrong_signature_count: int
    break_count: int
    probe_count: int
    key_count: int
    open_breaker_count: int
    lane_count: int
    busy_lane_count: int
    hanging_lane_count: int
