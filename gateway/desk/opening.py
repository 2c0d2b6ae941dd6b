"""What an operator's desk is made of, and how it is wired: one survey, and all that works from it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from gateway.alerts.engine import AlertEngine, Deliverer
from gateway.authorities import Authorities
from gateway.change_hub import ChangeHub
from gateway.clock import Clock
from gateway.config import DeskConfig
from gateway.desk.surveyor import Surveyor
from gateway.draw import Drawer
from gateway.health import Vitals
from gateway.metrics.measures import Measures
from gateway.replenish import Replenisher
from gateway.upload.uploader import Uploader
from hsm.port import Signer
from ledger.port import Ledger

DESK: Final = "desk"
"""What a watch of the desk listens to in its hub."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts. The hubs wake watches of the desk and of alerts; ``vitals`` are written by health."""

    surveyor: Surveyor
    hub: ChangeHub
    vitals: Vitals
    alerts: AlertEngine
    alert_hub: ChangeHub
    delivery: Deliverer


async def open_desk(
    stack: AsyncExitStack,
    config: DeskConfig,
    *,
    ledger: Ledger,
    signer: Signer,
    authorities: Authorities,
    clock: Clock,
    measures: Measures,
    uploader: Uploader,
    drawer: Drawer,
    delivery: Deliverer,
    tenant: str,
) -> Desk:
    """Begin to look and to fill up; ``stack`` ends both. The ledger and the drawer are started."""
    vitals = Vitals()
    hub = _hub(config)
    surveyor = Surveyor(
        ledger=ledger,
        uploader=uploader,
        signer=signer,
        authorities=authorities,
        clock=clock,
        measures=measures,
        survey_s=config.survey_s,
        vitals=vitals,
        watched=hub.heard,
    )
    replenisher = Replenisher(ledger=ledger, drawer=drawer, clock=clock)
    alert_hub = _hub(config)
    alerts = AlertEngine(
        ledger=ledger, hub=alert_hub, delivery=delivery, clock=clock, tenant=tenant
    )
    surveyor.tell(alerts.hear)
    surveyor.tell(replenisher.hear)
    surveyor.tell(lambda _: hub.stir((DESK,)))
    await alerts.start()
    stack.push_async_callback(alerts.close)
    await replenisher.start()
    stack.push_async_callback(replenisher.close)
    await surveyor.start()
    stack.push_async_callback(surveyor.close)
    return Desk(surveyor, hub, vitals, alerts, alert_hub, delivery)


def _hub(config: DeskConfig) -> ChangeHub:
    return ChangeHub(config.watch_count_max, watch_count_max_per_taxpayer=config.watch_count_max)
