"""Changing the key a device signs with, while work goes on.

The new key and its certificate are made first; one transaction makes it the one that signs. Whatever
is cut off before is found again: the label is the next one of the device, the key is found by its label,
the certificate by its key.
"""

import asyncio
from weakref import WeakValueDictionary

import structlog

from gateway.authorities import Authorities
from gateway.certified import certified
from gateway.registry import Registry
from hsm.port import Signer
from ledger.period_records import DeviceName
from ledger.port import Ledger
from ledger.records import Act, Binding, DeviceKeyRecord

log = structlog.get_logger()


class Rotator:
    """Changes keys."""

    def __init__(
        self, *, ledger: Ledger, registry: Registry, signer: Signer, authorities: Authorities
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._signer = signer
        self._authorities = authorities
        # By device; whoever waits for its turn keeps the lock alive.
        self._turns: WeakValueDictionary[DeviceName, asyncio.Lock] = WeakValueDictionary()

    async def rotate(self, name: DeviceName, *, binding: Binding, act: Act) -> bool:
        """Make, certify and use a new key; return whether an earlier call with this id did.

        Raises:
            AuthorityRefused: The old key signs on; the new one is found by the next try.
            AuthorityUnavailable, HsmUnavailable, LedgerUnavailable: Retry with the same id.
        """
        # Two at once would make one key under one label.
        async with self._turns.setdefault(name, asyncio.Lock()):
            status = await self._ledger.device_status(binding.tenant, name, period="")
            if await self._ledger.find_binding(binding.tenant, binding.request_id) is not None:
                replayed = status.device.keys[0]
                return await self._ledger.rotate_key(name, replayed, binding=binding, act=act)
            key = await self._made(
                name,
                label=f"device-{name.machine_number}-{len(status.device.keys) + 1}",
                types=[meter.type for meter in status.meters],
            )
            replayed_now = await self._ledger.rotate_key(name, key, binding=binding, act=act)
            # Here at once; whoever is further away is told by the version.
            await self._registry.reload(binding.tenant, name.tax_number)
            log.info("key.rotated", **name._asdict(), key_id=key.key_id, label=key.label)
            return replayed_now

    async def _made(self, name: DeviceName, *, label: str, types: list[str]) -> DeviceKeyRecord:
        key = await self._signer.ensure_key(label)
        return await certified(
            self._authorities.of_types(types),
            self._signer,
            key,
            machine_number=name.machine_number,
            tax_number=name.tax_number,
        )
