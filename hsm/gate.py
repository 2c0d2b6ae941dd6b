"""Who is inside the module, so that it is never taken down under a running call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Many may be inside; one may be alone. A thread that is inside never asks to be alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside_count = 0
        self._shut = False

    def __enter__(self) -> None:
        with self._changed:
            while self._shut:
                self._changed.wait()
            self._inside_count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside_count -= 1
            if self._shut and self._inside_count == 0:
                self._changed.notify_all()

    @contextmanager
    def alone(self, *, wait_s: float) -> Iterator[None]:
        """Wait until nobody is inside and keep others out; TimeoutError after ``wait_s``."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._shut, wait_s):
                raise TimeoutError("someone else keeps the gate shut")
            self._shut = True
            emptied = self._changed.wait_for(lambda: self._inside_count == 0, wait_s)
        try:
            if not emptied:
                raise TimeoutError("a call is still inside the module")
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()
