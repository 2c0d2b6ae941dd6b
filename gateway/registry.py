"""The registered taxpayers as the hot path needs them: read once from the ledger, then from memory.

A change of a registration shows by its version: reserve compares it inside the transaction and
answers *stale*, and then the record is read again. So a cached record can be old, never wrong.
"""

from dataclasses import dataclass

from hsm.port import DeviceKey
from invoice.errors import DeviceNotReady, PointNotFound, TaxpayerNotFound
from ledger.port import Ledger
from ledger.records import DeviceRecord, TaxpayerRecord


@dataclass(frozen=True, slots=True)
class Seat:
    """Where an invoice is issued: a point of a taxpayer, its device, and the key that signs now."""

    record: TaxpayerRecord
    point: int
    device: DeviceRecord
    key: DeviceKey


class Registry:
    """Answers who may issue where.

    The number of records held is that of the taxpayers that issue here; each is a few kilobytes.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._records: dict[tuple[str, str], TaxpayerRecord] = {}
        self._seats: dict[tuple[str, str, int], Seat] = {}

    async def record(self, tenant: str, tax_number: str) -> TaxpayerRecord:
        """The registration of a taxpayer; raise ``TaxpayerNotFound`` when there is none."""
        known = self._records.get((tenant, tax_number))
        return known or await self.reload(tenant, tax_number)

    async def reload(self, tenant: str, tax_number: str) -> TaxpayerRecord:
        """Read a registration again, whatever is known; raise ``TaxpayerNotFound``."""
        record = await self._ledger.taxpayer(tenant, tax_number)
        if record is None:
            raise TaxpayerNotFound(tax_number)
        self._records[tenant, tax_number] = record
        for place in record.points:
            self._seats.pop((tenant, tax_number, place.point), None)
        return record

    async def seat(self, tenant: str, tax_number: str, point: int) -> Seat:
        """Where ``point`` issues; raise ``TaxpayerNotFound``, ``PointNotFound``, ``DeviceNotReady``."""
        known = self._seats.get((tenant, tax_number, point))
        if known is None:
            known = _seat(await self.record(tenant, tax_number), point)
            self._seats[tenant, tax_number, point] = known
        return known

    async def signing_key(self, tenant: str, tax_number: str, machine_number: str) -> DeviceKey:
        """The key a device signs with now; raise ``DeviceNotReady``."""
        record = await self.record(tenant, tax_number)
        return _key(_device(record, machine_number))

    def key_ids(self) -> set[str]:
        """The keys that sign for the points that have issued since the start."""
        return {seat.key.key_id for seat in self._seats.values()}

    async def algorithm(self, tenant: str, tax_number: str, key_id: str) -> str:
        """The algorithm of any key, also of one that no longer signs."""
        known = _algorithm(await self.record(tenant, tax_number), key_id)
        # Another gateway may have made a newer key than we know.
        known = known or _algorithm(await self.reload(tenant, tax_number), key_id)
        if known:
            return known
        raise LookupError(f"{tax_number} has no key {key_id}, yet it signed")


def _algorithm(record: TaxpayerRecord, key_id: str) -> str:
    for device in record.devices:
        for key in device.keys:
            if key.key_id == key_id:
                return key.algorithm
    return ""


def _seat(record: TaxpayerRecord, point: int) -> Seat:
    for place in record.points:
        if place.point == point:
            device = _device(record, place.machine_number)
            return Seat(record, point, device, _key(device))
    raise PointNotFound(record.taxpayer.tax_number, point)


def _device(record: TaxpayerRecord, machine_number: str) -> DeviceRecord:
    for device in record.devices:
        if device.machine_number == machine_number:
            return device
    raise DeviceNotReady(
        f"device {machine_number} is not registered", machine_number=machine_number
    )


def _key(device: DeviceRecord) -> DeviceKey:
    for key in device.keys:
        if key.active and key.certificate:
            return DeviceKey(
                key_id=key.key_id,
                label=key.label,
                algorithm=key.algorithm,  # type: ignore[arg-type]  # the ledger stores it as text
                public_key=key.public_key,
            )
    raise DeviceNotReady(
        f"device {device.machine_number} has no certified key", machine_number=device.machine_number
    )
