"""What an operator is told about one taxpayer's uploads beside the ledger's own counts."""

from dataclasses import dataclass

from gateway.upload.pacer import WindowUse


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStatus:
    """Where the pace stands now.

    ``share`` of the allowed rate is in use. ``next_call_at`` is in unix seconds, None while every
    place is held by a call under way. ``last_error`` is what the last call ran into, empty when
    it went well.
    """

    windows: tuple[WindowUse, ...]
    share: float
    next_call_at: float | None
    last_error: str
    in_flight_count: int
