"""An outage of the authority on virtual time: the real ledger, uploader, surveys and alerts.

Whoever issues does so at a steady rate, round the clock; the authority goes away and comes back.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.alerts.engine import AlertEngine, NoDelivery
from gateway.change_hub import ChangeHub
from gateway.desk.surveyor import Surveyor
from gateway.health import Vitals
from gateway.metrics.measures import Measures
from gateway.upload.uploader import Uploader
from hsm.port import Signer
from invoice.errors import InvoiceError
from ledger.alert_records import AlertChangeRecord
from ledger.port import Ledger
from quota.offline import OfflineLimits
from tests.fakes.inline_lane import inline_ledger
from tests.fakes.strict_authority import Call, StrictAuthority, lost
from tests.fakes.tax_office import tax_office
from tests.fakes.virtual_time import EPOCH_S, VirtualClock, virtual_guard
from tests.ledger import building
from tests.ledger.building import TENANT

HOUR_S = 3600.0
SURVEY_S = 120.0
_ROUND_TRIP_S = (0.01, 0.02)
_TIMEOUT_S = 600.0
_LINE_COUNT = 2  # of the invoices that are issued; the amounts below are the invoices'


@dataclass(slots=True)
class Outage:
    """What goes on, and what came of it."""

    ledger: Ledger
    authority: StrictAuthority
    clock: VirtualClock
    surveyor: Surveyor
    engine: AlertEngine
    issued_count: int = 0
    refusals: dict[str, float] = field(default_factory=dict)
    """When each reason first refused an invoice."""
    _away: bool = False

    @property
    def away(self) -> bool:
        """Whether the authority is away: every call runs into its time-out."""
        return self._away

    @away.setter
    def away(self, away: bool) -> None:
        self._away = away
        self.authority.round_trip_s = (_TIMEOUT_S, _TIMEOUT_S) if away else _ROUND_TRIP_S

    async def issue(self, *, per_hour: float, every_s: float, net_fen: int, until: float) -> None:
        """Issue at a steady rate until a time of the clock."""
        share = 0.0
        while self.clock.now() < until:
            share += per_hour * every_s / HOUR_S
            count, share = int(share), share % 1
            await self._issue(count, net_fen)
            await self.clock.sleep(every_s)

    async def changes(self) -> list[AlertChangeRecord]:
        """Every change there was."""
        found, _ = await self.ledger.alert_changes(TENANT, "", after=0, count_max=10_000)
        return found

    async def _issue(self, count: int, net_fen: int) -> None:
        if not count:
            return
        now = self.clock.now()
        wanted = [
            building.a_reservation(f"r-{self.issued_count + place}", net_fen=net_fen // _LINE_COUNT)
            for place in range(count)
        ]
        reserved = (await building.commit(self.ledger, (), wanted, now=now)).reserved
        entries = [one.entry for one in reserved if one.entry is not None]
        for one in reserved:
            if isinstance(one.error, InvoiceError):
                self.refusals.setdefault(one.error.reason, now)
        await building.commit(self.ledger, [building.signed(entry) for entry in entries], now=now)
        self.issued_count += count


@asynccontextmanager
async def outage(
    folder: Path, limits: OfflineLimits, *, survey_s: float = SURVEY_S
) -> AsyncIterator[Outage]:
    """A gateway with stock for all of it. Used inside a virtual loop."""
    ledger = inline_ledger(folder / "ledger.db")
    clock = VirtualClock()
    await ledger.start(building.WORKER, clock.now())
    record = building.a_taxpayer(holding_count_max=10**6)
    [device] = record.devices
    [key] = device.keys
    key = replace(key, certificate=a_certificate(clock.now(), days=3650))
    await ledger.register(
        replace(
            record,
            devices=(replace(device, keys=(key,)),),
            offline_limits=limits,
            windows=(),
            registered_at=clock.now(),
        ),
        building.binding("register"),
        building.ACT,
    )
    await building.draw(ledger, 100_000)
    await building.assign(ledger, 100_000)
    this: list[Outage] = []

    async def fault(moment: str, _: Call) -> None:
        if this and this[0].away and moment == "before":
            raise lost()

    authority = StrictAuthority(round_trip_s=_ROUND_TRIP_S, fault=fault)
    uploader = Uploader(
        ledger=ledger,
        authorities=tax_office(authority),
        clock=clock,
        rng=Random(1),
        guard=virtual_guard,
    )
    surveyor = Surveyor(
        ledger=ledger,
        uploader=uploader,
        signer=cast("Signer", _Ready()),
        authorities=tax_office(authority),
        clock=clock,
        measures=Measures(),
        survey_s=survey_s,
        vitals=Vitals(),
        watched=lambda: False,
    )
    engine = AlertEngine(
        ledger=ledger,
        hub=ChangeHub(1, watch_count_max_per_taxpayer=1),
        delivery=NoDelivery(),
        clock=clock,
        tenant=TENANT,
    )
    surveyor.tell(engine.hear)
    await uploader.start()
    await engine.start()
    await surveyor.start()
    this.append(Outage(ledger, authority, clock, surveyor, engine))
    try:
        yield this[0]
    finally:
        await surveyor.close()
        await engine.close()
        await uploader.stop()
        await ledger.close()


class _Ready:
    """The only thing that is asked of the device here."""

    def available(self, key_id: str) -> bool:
        del key_id
        return True


def a_certificate(now: float, *, days: float) -> bytes:
    """A certificate that ends so many days after ``now``; DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    begins, ends = (datetime.fromtimestamp(now, UTC) + timedelta(days=one) for one in (-400, days))
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .sign(key, SHA256())
        .public_bytes(Encoding.DER)
    )


def lives(changes: Sequence[AlertChangeRecord]) -> dict[str, list[tuple[str, float]]]:
    """By kind: what happened and when, in hours from the beginning; what only moved is left out."""
    found: dict[str, list[tuple[str, float]]] = {}
    for change in changes:
        if change.what != "UPDATED":
            hours = (change.at - EPOCH_S) / HOUR_S
            found.setdefault(change.alert.place.kind, []).append((change.what, hours))
    return found


def table(title: str, changes: Sequence[AlertChangeRecord]) -> str:
    """The alerts of one outage as people read them."""
    rows = [f"  {'hours':>7}  {'what':9}  {'severity':9}  message"]
    rows += [
        f"  {(change.at - EPOCH_S) / HOUR_S:7.2f}  {change.what:9}"
        f"  {change.alert.severity:9}  {change.alert.message}"
        for change in changes
    ]
    return "\n".join([title, *rows])
