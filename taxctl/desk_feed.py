"""The desk and the alerts as they come: two streams, each in a thread, asked for again when they end.

The threads only put what came on a board; whoever shows it reads the board in one piece.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

from google.rpc import code_pb2

from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsRequest, WatchAlertsResponse
from taxcontrol.admin.v1.alert_service_pb2_grpc import AlertServiceStub
from taxcontrol.admin.v1.desk_pb2 import DeskView
from taxcontrol.admin.v1.desk_service_pb2 import WatchDeskRequest, WatchDeskResponse
from taxcontrol.admin.v1.desk_service_pb2_grpc import DeskServiceStub
from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.connection import Connection, Stream, answers
from taxctl.failure import CallFailed, passing
from taxctl.watching import Pauses, ended

DESK: Final = "desk"
ALERTS: Final = "alerts"
_JOIN_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What is known at one moment.

    ``version`` counts its changes, ``view_count`` the views that came. ``alerts`` are those that
    stand; None before all of them were told. ``lost`` are the streams that do not come now, ``over``
    those that will not come again.
    """

    version: int = 0
    view_count: int = 0
    view: DeskView | None = None
    alerts: tuple[Alert, ...] | None = None
    lost: tuple[tuple[str, Failure], ...] = ()
    over: tuple[tuple[str, Failure], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether a view can be shown with all that will come."""
        missing = {name for name, _ in (*self.lost, *self.over)}
        return self.view is not None and (self.alerts is not None or ALERTS in missing)


class Feeds:
    """Follows both streams while it is entered."""

    def __init__(self, connection: Connection, parent: str) -> None:
        self._changed = threading.Condition()
        self._board = Board()
        self._standing: dict[str, Alert] = {}
        self._told = False
        desk, alerts = DeskServiceStub(connection.channel), AlertServiceStub(connection.channel)
        self._desk_request = WatchDeskRequest(parent=parent, taxpayer_count_max=500)
        self._alerts_request = WatchAlertsRequest(parent=parent)
        self._followers = (
            _Follower(
                self,
                DESK,
                lambda: connection.begin(desk.WatchDesk, self._desk_request),
                self._take_view,
            ),
            _Follower(
                self,
                ALERTS,
                lambda: connection.begin(alerts.WatchAlerts, self._alerts_request),
                self._take_alert,
            ),
        )

    def __enter__(self) -> Self:
        for follower in self._followers:
            follower.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        for follower in self._followers:
            follower.end()
        for follower in self._followers:
            follower.join(_JOIN_S)

    def board(self) -> Board:
        """What is known now.

        Raises:
            CallFailed: The gateway was not there at the first call, or refused a stream.
        """
        with self._changed:
            board = self._board
        if board.view is None and board.lost:
            raise CallFailed(board.lost[0][1])
        for name, failure in board.over:
            # A gateway that has no alerts to tell can still show its desk.
            if name == DESK or failure.code != code_pb2.UNIMPLEMENTED:
                raise CallFailed(failure)
        return board

    def wait(self, enough: Callable[[Board], bool], timeout_s: float) -> Board:
        """Return the board once there is ``enough`` on it, or as it is after ``timeout_s``.

        Raises:
            CallFailed: As :meth:`board` does.
        """
        until = time.monotonic() + timeout_s
        while True:
            board = self.board()
            left_s = until - time.monotonic()
            if enough(board) or left_s <= 0:
                return board
            with self._changed:
                self._changed.wait_for(
                    lambda seen=board.version: self._board.version > seen,  # type: ignore[misc]
                    left_s,
                )

    def found(self, name: str) -> None:
        """A stream comes again."""
        self._change(
            lambda now: replace(now, lost=_without(now.lost, name)) if _has(now.lost, name) else now
        )

    def lose(self, name: str, failure: Failure) -> None:
        """A stream does not come; it is asked for again."""
        self._change(lambda now: replace(now, lost=(*_without(now.lost, name), (name, failure))))

    def give_up(self, name: str, failure: Failure) -> None:
        """A stream will not come again."""
        self._change(
            lambda now: replace(
                now, lost=_without(now.lost, name), over=(*now.over, (name, failure))
            )
        )

    def resumes(self) -> bool:
        """Whether the alerts go on behind a token."""
        return bool(self._alerts_request.resume_token)

    def begin_alerts_anew(self) -> bool:
        """Forget the token; whether there was one, so that it may be what was refused."""
        had = bool(self._alerts_request.resume_token)
        self._alerts_request.resume_token = ""
        self._standing, self._told = {}, False
        return had

    def _take_view(self, message: WatchDeskResponse) -> None:
        self._change(lambda now: replace(now, view=message.view, view_count=now.view_count + 1))

    def _take_alert(self, message: WatchAlertsResponse) -> None:
        if message.HasField("alert"):
            alert = message.alert
            if alert.state == Alert.STATE_RESOLVED:
                self._standing.pop(alert.name, None)
            else:
                self._standing[alert.name] = alert
        self._alerts_request.resume_token = message.resume_token
        # Those that stand are shown together, once all of them have been told.
        self._told = self._told or bool(message.resume_token)
        alerts = tuple(self._standing.values())
        if self._told:
            self._change(lambda now: replace(now, alerts=alerts) if now.alerts != alerts else now)

    def _change(self, changed: Callable[[Board], Board]) -> None:
        """Put something else on the board; the two streams never overwrite each other's part."""
        with self._changed:
            board = changed(self._board)
            if board is not self._board:
                self._board = replace(board, version=board.version + 1)
                self._changed.notify_all()


class _Follower(threading.Thread):
    """One stream, followed until it is ended or refused."""

    def __init__(
        self,
        feeds: Feeds,
        name: str,
        begin: Callable[[], Stream[Any]],
        take: Callable[[Any], None],
    ) -> None:
        super().__init__(name=f"taxctl-{name}", daemon=True)
        self._feeds = feeds
        self._stream = name
        self._begin = begin
        self._take = take
        self._ended = threading.Event()
        self._call: Stream[Any] | None = None

    def end(self) -> None:
        """End it, whatever it waits for."""
        self._ended.set()
        if self._call is not None:
            self._call.cancel()

    def run(self) -> None:
        """Follow it."""
        pauses = Pauses()
        while not self._ended.is_set():
            failure = self._follow(pauses)
            if self._ended.is_set():
                return
            if self._refused_token(failure):
                continue
            if not passing(failure):
                self._feeds.give_up(self._stream, failure)
                return
            self._feeds.lose(self._stream, failure)
            self._ended.wait(pauses.after(failure))

    def _follow(self, pauses: Pauses) -> Failure:
        if self._stream == ALERTS and not self._feeds.resumes():
            self._feeds.begin_alerts_anew()
        try:
            self._call = self._begin()
            if self._ended.is_set():  # it was ended before there was a call to cancel
                self._call.cancel()
            for message in answers(self._call):
                pauses.begun()
                self._feeds.found(self._stream)
                self._take(message)
        except CallFailed as error:
            return error.failure
        except ValueError:  # the channel was closed meanwhile
            self._ended.set()
        return ended()

    def _refused_token(self, failure: Failure) -> bool:
        refused = failure.reason == error_reason_pb2.ERROR_REASON_INVALID_REQUEST
        return refused and self._stream == ALERTS and self._feeds.begin_alerts_anew()


def _has(pairs: tuple[tuple[str, Failure], ...], name: str) -> bool:
    return any(one == name for one, _ in pairs)


def _without(pairs: tuple[tuple[str, Failure], ...], name: str) -> tuple[tuple[str, Failure], ...]:
    return tuple(pair for pair in pairs if pair[0] != name)
