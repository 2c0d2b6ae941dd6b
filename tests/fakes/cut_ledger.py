"""A real ledger that is lost once, at one step: before its transaction, or after it with the answer lost."""

from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from invoice.errors import LedgerUnavailable
from ledger.sqlite import SqliteLedger

_T = TypeVar("_T")


class CutLedger(SqliteLedger):
    """Keeps every promise until :meth:`cut`; counts what it writes."""

    cut_count = 0
    write_count = 0
    _step = ""
    _moment = ""

    def cut(self, step: str, moment: str) -> None:
        """Fail the next call of the method ``step``: ``before`` its effect, or ``after``."""
        self._step, self._moment = step, moment

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name != self._step:
            return found

        async def cut_off(*args: Any, **named: Any) -> Any:
            self._step = ""
            if self._moment == "after":
                await found(*args, **named)
            self.cut_count += 1
            raise LedgerUnavailable("lost")

        return cut_off

    async def _write(self, work: Callable[[apsw.Connection], _T], *, keep: bool = True) -> _T:
        self.write_count += 1
        return await super()._write(work, keep=keep)
