"""Filling points up by themselves (自动领票): from the pool, and what it lacks from the authority.

What is decided is stored first, with the ids of the draw and of the assignment; from then on the same
code carries it to its end, at once or after a crash. So one shortage is drawn for once, whatever is lost.
"""

import asyncio
import contextlib
import uuid
from typing import Final

import orjson
import structlog

from gateway.actor import GATEWAY
from gateway.clock import Clock
from gateway.desk.survey import StockLine, Survey
from gateway.draw import Drawer
from invoice.errors import AuthorityRefused, HoldingExceeded, InvoiceError
from invoice.identifiers import taxpayer_name
from ledger.port import Ledger
from ledger.records import Act, Binding
from ledger.survey_records import CounterPlace, Replenishment

log = structlog.get_logger()

_REASON: Final = "stock below its threshold"
# Draws of so many points run beside each other. Who was tried longest ago comes first, so that an
# authority that does not answer holds up nobody else.
_RUNNING_COUNT_MAX: Final = 8


class Replenisher:
    """Looks at every survey for points that are low and may be filled up."""

    def __init__(self, *, ledger: Ledger, drawer: Drawer, clock: Clock) -> None:
        self._ledger = ledger
        self._drawer = drawer
        self._clock = clock
        self._low: dict[CounterPlace, str] = {}
        self._stirred = asyncio.Event()
        self._running: dict[int, asyncio.Task[None]] = {}
        # Which try of all was the last of each that is open.
        self._tries: dict[int, int] = {}
        self._try_count = 0
        self._task: asyncio.Task[None] | None = None

    def hear(self, survey: Survey) -> None:
        """Take note of a survey. Cheap: the work is done elsewhere."""
        if not survey.ledger_writable:
            return
        self._low = {
            CounterPlace(line.tax_number, stock.point, stock.type): line.tenant
            for line in survey.taxpayers.values()
            for stock in line.stock
            if _low(stock)
        }
        self._stirred.set()

    async def start(self) -> None:
        """Carry on what is open, and fill up what is low from now on."""
        self._task = asyncio.create_task(self._forever(), name="replenish")

    async def close(self) -> None:
        """Stop; what is open waits in the ledger for the next start."""
        tasks = [*self._running.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)

    async def round(self) -> None:
        """Decide about what is low, and carry on what is open; returns once each is on its way."""
        for place, tenant in self._low.items():
            opened = await self._ledger.open_replenishment(
                place,
                tenant=tenant,
                draw_request_id=f"replenish-draw-{uuid.uuid4()}",
                assign_request_id=f"replenish-assign-{uuid.uuid4()}",
                now=self._clock.now(),
            )
            if opened is not None:
                _tell(opened)
        for opened in self._in_turn(await self._ledger.open_replenishments()):
            if not opened.draw_count:  # one transaction, and nobody outside to wait for
                await self._carry(opened)
            elif len(self._running) < _RUNNING_COUNT_MAX:
                self._begin(opened)

    def _in_turn(self, opened: list[Replenishment]) -> list[Replenishment]:
        """Those that nobody works at: never tried first, then by how long ago it was."""
        self._tries = {
            one.replenishment_id: self._tries.get(one.replenishment_id, 0) for one in opened
        }
        idle = [one for one in opened if one.replenishment_id not in self._running]
        return sorted(idle, key=lambda one: self._tries[one.replenishment_id])

    async def _forever(self) -> None:
        while True:
            try:
                await self.round()
            except InvoiceError as error:
                log.warning("replenish.waiting", reason=error.reason, cause=error.message)
            except Exception:  # a bug ends one round, not all
                log.exception("replenish.bug")
            await self._stirred.wait()
            self._stirred.clear()

    def _begin(self, opened: Replenishment) -> None:
        key = opened.replenishment_id
        self._try_count += 1
        self._tries[key] = self._try_count
        self._running[key] = asyncio.create_task(self._carry(opened), name=f"replenish {key}")
        self._running[key].add_done_callback(lambda _: self._running.pop(key))

    async def _carry(self, opened: Replenishment) -> None:
        """Bring one to its end; what fails without an answer is tried again at a later survey."""
        try:
            if opened.draw_count:
                await self._draw(opened)
            _tell(await self._ledger.finish_replenishment(opened, self._act()))
        except AuthorityRefused as error:
            await self._refuse(opened, error.facts.get("authority_reason", error.reason))
        except HoldingExceeded as error:
            # Somebody has drawn since: nobody outside was asked, and the next look decides anew.
            await self._refuse(opened, error.reason, backs_off=False)
        except InvoiceError as error:
            log.warning(
                "replenish.waiting",
                tax_number=opened.tax_number,
                point=opened.point,
                type=opened.type,
                reason=error.reason,
                cause=error.message,
            )
        except Exception:
            log.exception("replenish.bug")

    async def _refuse(self, opened: Replenishment, refusal: str, *, backs_off: bool = True) -> None:
        try:
            closed = await self._ledger.refuse_replenishment(
                opened, refusal, backs_off=backs_off, now=self._clock.now()
            )
            _tell(closed)
        except InvoiceError as error:
            log.warning("replenish.waiting", reason=error.reason, cause=error.message)

    async def _draw(self, opened: Replenishment) -> None:
        asked = {
            "parent": taxpayer_name(opened.tax_number),
            "type": opened.type,
            "count": str(opened.draw_count),
        }
        await self._drawer.draw(
            tax_number=opened.tax_number,
            type=opened.type,
            count=opened.draw_count,
            binding=Binding(
                tenant=opened.tenant,
                request_id=opened.draw_request_id,
                action="draw_stock",
                request=orjson.dumps(asked, option=orjson.OPT_SORT_KEYS),
            ),
            act=self._act(),
            dry_run=False,
        )

    def _act(self) -> Act:
        return Act(actor=GATEWAY, reason=_REASON, at=self._clock.now())


def _low(stock: StockLine) -> bool:
    threshold = stock.threshold
    return (
        stock.point is not None
        and threshold is not None
        and threshold.auto_draw
        and stock.available_count <= threshold.low_count
    )


def _tell(one: Replenishment) -> None:
    event = {"OPEN": "replenish.begun", "DONE": "replenish.done", "REFUSED": "replenish.refused"}
    log.info(
        event[one.state],
        tax_number=one.tax_number,
        point=one.point,
        type=one.type,
        wanted_count=one.wanted_count,
        draw_count=one.draw_count,
        assigned_count=one.assigned_count,
        refusal=one.refusal,
    )
