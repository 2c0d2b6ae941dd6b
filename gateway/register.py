"""Registering a taxpayer: the authority's grants, a device, its key in the HSM, its certificate.

Every step before the ledger's one transaction is idempotent by an id derived from the request, so a
registration that was cut off is simply made again with the same request id.
"""

import asyncio
from dataclasses import dataclass, replace
from hashlib import sha256
from weakref import WeakValueDictionary

import structlog

from authority.port import Authority, Registration, TypeAllowance
from gateway.authorities import Authorities
from gateway.certified import certified
from hsm.port import Signer
from invoice.document import Party, Taxpayer, TypeGrant
from invoice.errors import NotServed, TaxpayerExists
from ledger.port import Ledger
from ledger.records import (
    Act,
    Binding,
    DeviceRecord,
    PointRecord,
    RateWindow,
    TaxpayerRecord,
)
from quota.offline import OfflineLimits

log = structlog.get_logger()

DEVICE_KIND = "new-server"  # 新版税控服务器


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What an operator asks for: a seller, the types it wants, its points (number, organisation)."""

    seller: Party
    wanted: tuple[TypeAllowance, ...]
    points: tuple[tuple[int, str], ...]


class Registrar:
    """Registers taxpayers."""

    def __init__(self, *, ledger: Ledger, authorities: Authorities, signer: Signer) -> None:
        self._ledger = ledger
        self._authorities = authorities
        self._signer = signer
        # By tax number; whoever waits for its turn keeps the lock alive.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def register(
        self, application: Application, *, binding: Binding, act: Act, dry_run: bool
    ) -> tuple[TaxpayerRecord, bool]:
        """Register; return the record and whether an earlier call made it.

        Raises:
            TaxpayerExists, RequestIdReused, NotServed: Effect none.
            AuthorityRefused: Nothing is stored here. The authority may know the taxpayer and a
                device without a certificate; the next registration finds them again.
            AuthorityUnavailable, HsmUnavailable, LedgerUnavailable: Retry with the same id.
        """
        tax_number = application.seller.tax_number
        # Two at once would both find it unregistered, and the loser would leave a device and a key.
        async with self._turns.setdefault(tax_number, asyncio.Lock()):
            return await self._register(application, binding=binding, act=act, dry_run=dry_run)

    async def _register(
        self, application: Application, *, binding: Binding, act: Act, dry_run: bool
    ) -> tuple[TaxpayerRecord, bool]:
        planned = _planned(application, binding.tenant, act.at)
        tax_number = application.seller.tax_number
        # Looked up first: what is registered already must not reach the authority again.
        if await self._ledger.find_binding(binding.tenant, binding.request_id) is not None:
            return await self._ledger.register(planned, binding, act)
        if await self._ledger.taxpayer(binding.tenant, tax_number) is not None:
            raise TaxpayerExists(tax_number)
        authority = self._authority_of(application)
        if dry_run:
            return planned, False
        registration = await authority.register_taxpayer(application.seller, application.wanted)
        device = await self._device(authority, tax_number, binding)
        record = _record(planned, registration, device)
        stored, replayed = await self._ledger.register(record, binding, act)
        log.info("taxpayer.registered", tax_number=tax_number)
        return stored, replayed

    def _authority_of(self, application: Application) -> Authority:
        """The authority it registers with; raise ``NotServed`` naming a type that has none here."""
        for allowance in application.wanted:
            if not self._authorities.serves(allowance.type):
                raise NotServed(
                    f"type {allowance.type} is not served: no [finance] is configured",
                    kind=allowance.type,
                )
        return self._authorities.of_types(allowance.type for allowance in application.wanted)

    async def _device(
        self, authority: Authority, tax_number: str, binding: Binding
    ) -> DeviceRecord:
        """Register a device, make its key and have it certified."""
        machine_number = await authority.register_device(
            request_id=_device_request_id(binding),
            tax_number=tax_number,
            kind=DEVICE_KIND,
        )
        key = await self._signer.ensure_key(f"device-{machine_number}-1")
        certified_key = await certified(
            authority, self._signer, key, machine_number=machine_number, tax_number=tax_number
        )
        return DeviceRecord(machine_number=machine_number, kind=DEVICE_KIND, keys=(certified_key,))


def _device_request_id(binding: Binding) -> str:
    """The authority's id of the device, the same on every try; hashed, since ids may be 120 long."""
    asked = f"{binding.tenant}\0{binding.request_id}".encode()
    return f"device-{sha256(asked).hexdigest()}"


def _planned(application: Application, tenant: str, now: float) -> TaxpayerRecord:
    """The record as it would be if the authority granted everything; no device yet."""
    seller = application.seller
    return TaxpayerRecord(
        tenant=tenant,
        taxpayer=Taxpayer(
            tax_number=seller.tax_number,
            name=seller.name,
            address_phone=seller.address_phone,
            bank_account=seller.bank_account,
            grants=_grants(application.wanted),
        ),
        points=tuple(
            PointRecord(point=point, machine_number="", organisation=organisation)
            for point, organisation in application.points
        ),
        devices=(),
        holding_count_max=_holdings(application.wanted),
        offline_limits=OfflineLimits(),
        windows=(),
        registered_at=now,
    )


def _record(
    planned: TaxpayerRecord, registration: Registration, device: DeviceRecord
) -> TaxpayerRecord:
    """The record with what the authority granted, not what was asked for."""
    limits = registration.offline_limits
    return replace(
        planned,
        taxpayer=replace(planned.taxpayer, grants=_grants(registration.grants)),
        points=tuple(
            replace(point, machine_number=device.machine_number) for point in planned.points
        ),
        devices=(_activated(device, planned.registered_at),),
        holding_count_max=_holdings(registration.grants),
        offline_limits=OfflineLimits(
            age_hours_max=limits.age_hours_max,
            amount_fen_max=limits.amount_fen_max,
            count_max=limits.count_max,
            lock_day=limits.lock_day,
        ),
        windows=tuple(
            RateWindow(period_s=window.period_ms / 1000, call_count_max=window.call_count_max)
            for window in registration.windows
        ),
        batch_count_max=registration.batch_count_max,
    )


def _activated(device: DeviceRecord, now: float) -> DeviceRecord:
    """The device with its only key as the one that signs from now on."""
    return replace(device, keys=tuple(replace(key, activated_at=now) for key in device.keys))


def _grants(allowances: tuple[TypeAllowance, ...]) -> dict[str, TypeGrant]:
    return {
        allowance.type: TypeGrant(
            type=allowance.type,
            rates_ppm=frozenset(allowance.rates_ppm),
            invoice_limit_fen=allowance.invoice_limit_fen,
        )
        for allowance in allowances
    }


def _holdings(allowances: tuple[TypeAllowance, ...]) -> dict[str, int]:
    return {allowance.type: allowance.holding_count_max for allowance in allowances}
