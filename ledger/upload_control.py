"""What operators decide about a taxpayer's uploads: pauses, and windows below the authority's."""

from collections.abc import Sequence

import apsw

from invoice.errors import InvalidRequest
from ledger.bindings import bind, first_effect
from ledger.records import Act, Binding, RateWindow, UploadControlRecord
from ledger.taxpayers import taxpayer_of
from ledger.values import Json, Row, fetch, from_json, to_json

_ALL = "SELECT tax_number, paused, paused_until, pause_reason, windows FROM upload_control"
_FIND = _ALL + " WHERE tax_number = ?"
_BEGIN = "INSERT OR IGNORE INTO upload_control (tax_number) VALUES (?)"
_PAUSE = """
UPDATE upload_control SET paused = ?, paused_until = ?, pause_reason = ? WHERE tax_number = ?
"""
_WINDOWS = "UPDATE upload_control SET windows = ? WHERE tax_number = ?"


def find(connection: apsw.Connection, tax_number: str) -> UploadControlRecord:
    """Return what is decided for a taxpayer; see ``port.Ledger.upload_control``."""
    rows = fetch(connection, _FIND, (tax_number,))
    return _record(rows[0]) if rows else UploadControlRecord(tax_number=tax_number)


def controls(connection: apsw.Connection) -> dict[str, UploadControlRecord]:
    """Return what is decided for every taxpayer for which anything is."""
    return {row[0]: _record(row) for row in fetch(connection, _ALL)}


def windows_of(text: str | None) -> tuple[RateWindow, ...]:
    """Read windows as they are stored: pairs of seconds and calls."""
    return tuple(
        RateWindow(period_s=period_s, call_count_max=count)
        for period_s, count in from_json(text or "[]")
    )


def _record(row: Row) -> UploadControlRecord:
    tax_number, paused, paused_until, pause_reason, windows = row
    return UploadControlRecord(
        tax_number=tax_number,
        paused=bool(paused),
        paused_until=paused_until,
        pause_reason=pause_reason,
        windows=windows_of(windows),
    )


def pause(
    connection: apsw.Connection, *, tax_number: str, until: float | None, binding: Binding, act: Act
) -> tuple[UploadControlRecord, bool]:
    """Pause, or move the end of a pause; see ``port.Ledger.pause_uploads``."""
    effect: dict[str, Json] = {"paused": True, "paused_until": until, "pause_reason": act.reason}
    if not _begin(connection, tax_number, binding, act, effect):
        return find(connection, tax_number), True
    connection.execute(_PAUSE, (1, until, act.reason, tax_number))
    return find(connection, tax_number), False


def resume(
    connection: apsw.Connection, *, tax_number: str, binding: Binding, act: Act
) -> tuple[UploadControlRecord, bool]:
    """End a pause; see ``port.Ledger.resume_uploads``."""
    effect: dict[str, Json] = {"paused": False, "paused_until": None, "pause_reason": ""}
    if not _begin(connection, tax_number, binding, act, effect):
        return find(connection, tax_number), True
    connection.execute(_PAUSE, (0, None, "", tax_number))
    return find(connection, tax_number), False


def set_windows(
    connection: apsw.Connection,
    *,
    tax_number: str,
    windows: Sequence[RateWindow],
    binding: Binding,
    act: Act,
) -> tuple[UploadControlRecord, bool]:
    """Set windows of the operator's own; see ``port.Ledger.set_upload_windows``."""
    stored = [[window.period_s, window.call_count_max] for window in windows]
    if first_effect(connection, binding) is None:
        given = taxpayer_of(connection, binding.tenant, tax_number).windows
        _check_lower(windows, given)
    if not _begin(connection, tax_number, binding, act, {"windows": stored}):
        return find(connection, tax_number), True
    connection.execute(_WINDOWS, (to_json(stored) if stored else None, tax_number))
    return find(connection, tax_number), False


def _begin(
    connection: apsw.Connection,
    tax_number: str,
    binding: Binding,
    act: Act,
    effect: dict[str, Json],
) -> bool:
    """Bind the id and make the taxpayer's row; False when the id has taken effect before."""
    if first_effect(connection, binding) is not None:
        return False
    taxpayer_of(connection, binding.tenant, tax_number)
    connection.execute(_BEGIN, (tax_number,))
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}",
        effect={"tax_number": tax_number, **effect},
    )
    return True


def _check_lower(windows: Sequence[RateWindow], given: Sequence[RateWindow]) -> None:
    limits = {window.period_s: window.call_count_max for window in given}
    for index, window in enumerate(windows):
        limit = limits.get(window.period_s, window.call_count_max)
        if window.call_count_max > limit:
            raise InvalidRequest(
                f"windows[{index}].call_count_max",
                "FIELD_RANGE",
                f"the authority allows {limit}, and a rate can only be lowered",
            )
