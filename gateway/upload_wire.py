"""Uploads on the wire: windows, how full they are, and what an operator has decided."""

from gateway.upload.pacer import WindowUse
from ledger.records import RateWindow, UploadControlRecord
from taxcontrol.admin.v1 import taxpayer_pb2, upload_pb2


def window(window: RateWindow) -> taxpayer_pb2.RateWindow:
    """A window."""
    return taxpayer_pb2.RateWindow(
        period_ms=round(window.period_s * 1000), call_count_max=window.call_count_max
    )


def window_use(use: WindowUse) -> upload_pb2.WindowUse:
    """A window and how full it is."""
    return upload_pb2.WindowUse(
        period_ms=round(use.period_s * 1000),
        call_count_max=use.call_count_max,
        used_count=use.used_count,
    )


def show_control(wire: upload_pb2.UploadStatus, control: UploadControlRecord, now: float) -> None:
    """Put on ``wire`` what an operator has decided."""
    wire.set_windows.extend(map(window, control.windows))
    if not control.paused_at(now):
        return
    wire.paused, wire.pause_reason = True, control.pause_reason
    if control.paused_until is not None:
        # Rounded, not cut: a float has no room for every millisecond, and this one was stated.
        wire.paused_until.FromMilliseconds(round(control.paused_until * 1000))
