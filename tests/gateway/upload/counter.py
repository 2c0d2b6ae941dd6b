"""A counter with a real ledger whose invoices are known to a real simulator: what uploads need."""

import itertools
import time
from collections import Counter as Counts
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.clock import SystemClock
from gateway.upload.uploader import Uploader
from hsm.verify import verify
from invoice import content
from invoice.document import Draft, Kind, Line, Party, Taxpayer, TypeGrant
from ledger.records import (
    Act,
    Binding,
    DeviceKeyRecord,
    DeviceRecord,
    Entry,
    GrantRecord,
    PointRecord,
    RateWindow,
    Reservation,
    Settlement,
    TaxpayerRecord,
)
from ledger.sqlite import SqliteLedger
from quota.offline import OfflineLimits
from taxcontrol.authority.v1 import authority_pb2
from tests.authority.material import Trader, seller, sign
from tests.fakes.simulator_process import SimulatorProcess
from tests.fakes.tax_office import tax_office

TENANT = "default"
_POINT = 0
_ids = itertools.count(1)


class Counter:
    """One taxpayer's counter. ``open`` starts a process on the ledger file, ``crash`` drops it."""

    def __init__(self, path: Path, trader: Trader, *, windows: tuple[RateWindow, ...] = ()) -> None:
        self.path = path
        self.trader = trader
        self.tax_number = trader.tax_number
        self._windows = windows

    async def open(self) -> None:
        """Start a process: its ledger and its uploads."""
        self.ledger = SqliteLedger(self.path, verify=verify)
        await self.ledger.start(f"worker-{next(_ids)}", time.time())
        self.uploader = Uploader(
            ledger=self.ledger,
            authorities=tax_office(self.trader.authority),
            clock=SystemClock(),
            rng=Random(1),
            discover_s=0.5,
        )

    async def close(self) -> None:
        """Stop in good order."""
        await self.uploader.stop()
        await self.ledger.close()

    async def register(self) -> None:
        """Store the taxpayer and assign all of its grant to the point."""
        grant, trader = self.trader.grant, self.trader
        await self.ledger.register(_record(trader, self._windows), _binding("register"), _act())
        binding = _binding("draw")
        stored = GrantRecord(
            tenant=TENANT,
            request_id=binding.request_id,
            authority_request_id=grant.request_id,
            tax_number=trader.tax_number,
            type=grant.type,
            count=grant.count,
            state="GRANTED",
            grant_id=grant.grant_id,
            code=grant.code,
            prefix=grant.prefix,
            width=grant.width,
            first=grant.first,
        )
        await self.ledger.request_grant(stored, binding, _act())
        await self.ledger.store_grant(stored)
        await self.ledger.confirm_grant(TENANT, binding.request_id, time.time())
        await self.ledger.assign(
            tax_number=trader.tax_number,
            point=_POINT,
            type=grant.type,
            count=grant.count,
            binding=_binding("assign"),
            act=_act(),
        )

    async def issue(self, count: int) -> list[str]:
        """Reserve, sign and settle invoices; return their numbers."""
        now = time.time()
        tails = [_tail(self.trader) for _ in range(count)]
        group = await self.ledger.commit(
            [], [self._reservation(tail) for tail in tails], worker="w", now=now
        )
        entries = [reserved.entry for reserved in group.reserved if reserved.entry is not None]
        assert len(entries) == count, group.reserved
        settlements = [self._settlement(entry) for entry in entries]
        await self.ledger.commit(settlements, [], worker="w", now=now)
        return [entry.number for entry in entries]

    async def states(self) -> dict[str, str]:
        """The upload state and rejection of every event without acceptance, by number."""
        rows = await self.ledger.unuploaded(TENANT, self.tax_number, count_max=10_000)
        return {row.number: f"{row.state} {row.rejection}".strip() for row in rows}

    async def unfinished_count(self) -> int:
        """Events without a final word."""
        backlog = await self.ledger.backlog(TENANT, self.tax_number)
        return backlog.pending_count + backlog.submitted_count + backlog.in_doubt_count

    def _reservation(self, tail: bytes) -> Reservation:
        return Reservation(
            tenant=TENANT,
            request_id=f"issue-{next(_ids)}",
            fingerprint=content.fingerprint(tail),
            tax_number=self.tax_number,
            taxpayer_version=1,
            point=_POINT,
            type=self.trader.grant.type,
            kind=Kind.BLUE,
            net_fen=10_000,
            tax_fen=1300,
            tail=tail,
        )

    def _settlement(self, entry: Entry) -> Settlement:
        return Settlement(
            entry=entry,
            signature=sign(self.trader.key, content.SCHEMA, entry.content),
            key_id=self.trader.key_id,
            check_code="0" * 20,
            fiscal_code="0" * 112,
        )


def accepted(simulator: SimulatorProcess, tax_number: str) -> Counts[str]:
    """How often the authority has taken each number."""
    return Counts(
        event.result.number
        for event in simulator.events(tax_number)
        if event.result.verdict == authority_pb2.ItemResult.VERDICT_ACCEPTED
    )


def _record(trader: Trader, windows: tuple[RateWindow, ...]) -> TaxpayerRecord:
    type_, party = trader.grant.type, seller(trader.tax_number)
    return TaxpayerRecord(
        tenant=TENANT,
        taxpayer=Taxpayer(
            tax_number=trader.tax_number,
            name=party.name,
            address_phone=party.address_phone,
            bank_account=party.bank_account,
            grants={
                type_: TypeGrant(
                    type=type_, rates_ppm=frozenset({130_000}), invoice_limit_fen=10_000_000
                )
            },
        ),
        points=(PointRecord(point=_POINT, machine_number=trader.machine_number),),
        devices=(
            DeviceRecord(
                machine_number=trader.machine_number,
                kind="new-server",
                keys=(
                    DeviceKeyRecord(
                        key_id=trader.key_id,
                        label="k",
                        algorithm="P-256",
                        public_key=_public(trader),
                        certificate=trader.certificate,
                    ),
                ),
            ),
        ),
        holding_count_max={type_: 100_000},
        offline_limits=OfflineLimits(),
        windows=windows,
        registered_at=time.time(),
    )


def _public(trader: Trader) -> bytes:
    return trader.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _tail(trader: Trader) -> bytes:
    party = seller(trader.tax_number)
    draft = Draft(
        kind=Kind.BLUE,
        type=trader.grant.type,
        seller=party,
        buyer=Party(name="张三"),
        lines=(Line(name="*乳制品*纯牛奶", amount_fen=10_000, tax_fen=1300, rate_ppm=130_000),),
        net_fen=10_000,
        tax_fen=1300,
        gross_fen=11_300,
        remark=f"invoice {next(_ids)}",
    )
    return content.tail(draft, taxpayer=trader.tax_number, point=_POINT)


def _binding(action: str) -> Binding:
    return Binding(tenant=TENANT, request_id=f"{action}-{next(_ids)}", action=action, request=b"{}")


def _act() -> Act:
    return Act(actor="test", reason="test", at=time.time())
