"""Registering: many at once for one taxpayer make one device and one key."""

import asyncio
from pathlib import Path

import pytest

from authority.port import TypeAllowance
from gateway.register import Application, Registrar
from gateway.registry import Registry
from gateway.rotate import Rotator
from hsm.port import Algorithm, DeviceKey
from invoice.document import Party
from invoice.errors import AuthorityUnavailable, HsmUnavailable, TaxpayerExists
from ledger.period_records import DeviceName
from ledger.records import Act, TaxpayerRecord
from tests.fakes.granting_authority import GrantingAuthority
from tests.fakes.software_signer import SoftwareSigner
from tests.fakes.tax_office import tax_office
from tests.gateway.alerts.outage import a_certificate
from tests.gateway.desk import TENANT, Desk, bound, open_desk

TAX_NUMBER = "91310115X12J2H3L4B"
OTHER_TAX_NUMBER = "91440300MA5EXAMPLE"
AT_ONCE = 8


class CountingSigner(SoftwareSigner):
    """A device that remembers which keys it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: set[str] = set()

    async def ensure_key(self, label: str, algorithm: Algorithm | None = None) -> DeviceKey:
        self.labels.add(label)
        return await super().ensure_key(label, algorithm)


def application(tax_number: str) -> Application:
    return Application(
        seller=Party(
            tax_number=tax_number, name="示例公司", address_phone="某路1号", bank_account=""
        ),
        wanted=(TypeAllowance(type="026", rates_ppm=(90_000,), invoice_limit_fen=10_000_000),),
        points=((0, ""),),
    )


def registrar_of(desk: Desk, authority: GrantingAuthority) -> Registrar:
    return Registrar(ledger=desk.ledger, authorities=tax_office(authority), signer=desk.signer)


async def register(
    registrar: Registrar, desk: Desk, request_id: str, tax_number: str = TAX_NUMBER
) -> tuple[TaxpayerRecord, bool]:
    return await registrar.register(
        application(tax_number),
        binding=bound(request_id),
        act=Act(actor="test", reason="", at=desk.clock.now()),
        dry_run=False,
    )


async def test_eight_at_once_for_one_taxpayer_make_one_device_and_one_key(tmp_path: Path) -> None:
    signer, authority = CountingSigner(), GrantingAuthority()
    async with open_desk(tmp_path, signer=signer) as desk:
        registrar = registrar_of(desk, authority)
        before = set(signer.labels)

        ends = await asyncio.gather(
            *(register(registrar, desk, f"r{each}") for each in range(AT_ONCE)),
            return_exceptions=True,
        )

        made = [end for end in ends if isinstance(end, tuple)]
        assert len(made) == 1
        assert sum(isinstance(end, TaxpayerExists) for end in ends) == AT_ONCE - 1
        assert len(authority.devices) == len(authority.certified) == 1
        assert signer.labels - before == {f"device-{machine}-1" for machine in authority.certified}
        stored = await desk.ledger.taxpayer(TENANT, TAX_NUMBER)
        assert stored is not None
        assert stored.devices == made[0][0].devices


async def test_eight_at_once_with_one_id_all_get_the_one_registration(tmp_path: Path) -> None:
    signer, authority = CountingSigner(), GrantingAuthority()
    async with open_desk(tmp_path, signer=signer) as desk:
        registrar = registrar_of(desk, authority)

        ends = await asyncio.gather(*(register(registrar, desk, "same") for _ in range(AT_ONCE)))

        assert sorted(replayed for _, replayed in ends) == [False, *[True] * (AT_ONCE - 1)]
        assert len(authority.devices) == len(authority.certified) == 1


async def test_a_registration_that_failed_lets_the_next_one_try(tmp_path: Path) -> None:
    signer, authority = CountingSigner(), GrantingAuthority()
    async with open_desk(tmp_path, signer=signer) as desk:
        registrar = registrar_of(desk, authority)
        signer.down = True
        with pytest.raises(HsmUnavailable):
            await register(registrar, desk, "a")
        signer.down = False

        ends = await asyncio.gather(
            register(registrar, desk, "b"), register(registrar, desk, "c", OTHER_TAX_NUMBER)
        )

        assert [replayed for _, replayed in ends] == [False, False]


async def test_a_certificate_of_another_key_is_not_taken(tmp_path: Path) -> None:
    authority = GrantingAuthority()
    async with open_desk(tmp_path) as desk:
        registrar = registrar_of(desk, authority)
        for wrong in (b"", b"not a certificate", a_certificate(desk.clock.now(), days=30)):
            authority.certificate_instead = wrong
            with pytest.raises(AuthorityUnavailable):
                await register(registrar, desk, "r1")
            assert await desk.ledger.taxpayer(TENANT, TAX_NUMBER) is None
        authority.certificate_instead = None

        _, replayed = await register(registrar, desk, "r1")

        assert not replayed
        assert len(authority.devices) == 1


async def test_a_key_goes_on_when_the_next_one_gets_no_certificate_of_its_own(
    tmp_path: Path,
) -> None:
    authority = GrantingAuthority()
    async with open_desk(tmp_path) as desk:
        registered, _ = await register(registrar_of(desk, authority), desk, "r1")
        rotator = Rotator(
            ledger=desk.ledger,
            registry=Registry(desk.ledger),
            signer=desk.signer,
            authorities=tax_office(authority),
        )
        name = DeviceName(TAX_NUMBER, registered.devices[0].machine_number)
        act = Act(actor="test", reason="old", at=desk.clock.now())
        for wrong in (b"", b"not a certificate", registered.devices[0].keys[0].certificate):
            authority.certificate_instead = wrong
            with pytest.raises(AuthorityUnavailable):
                await rotator.rotate(name, binding=bound("k1"), act=act)
            stored = await desk.ledger.taxpayer(TENANT, TAX_NUMBER)
            assert stored is not None
            assert stored.devices == registered.devices
        authority.certificate_instead = None

        assert not await rotator.rotate(name, binding=bound("k1"), act=act)
