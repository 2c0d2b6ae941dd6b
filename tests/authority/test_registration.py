"""Registration, devices and certificates through the port, against the real simulator."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from authority.client import GrpcAuthority
from authority.port import OfflineLimits, TypeAllowance
from invoice.errors import AuthorityRefused
from tests.authority.material import (
    PrivateKey,
    csr,
    new_id,
    new_tax_number,
    new_trader,
    seller,
    wanted,
)
from tests.fakes.simulator_process import SimulatorProcess


def reason(refusal: pytest.ExceptionInfo[AuthorityRefused]) -> tuple[str, str]:
    return refusal.value.facts["authority_reason"], refusal.value.facts["grpc_code"]


async def test_a_taxpayer_is_granted_what_it_applies_for_and_the_authority_allows(
    authority: GrpcAuthority,
) -> None:
    who = seller(new_tax_number())

    registration = await authority.register_taxpayer(
        who,
        [
            TypeAllowance(
                type="026",
                rates_ppm=(130_000, 123, 60_000),
                invoice_limit_fen=10_000_000,
                holding_count_max=500,
            ),
            TypeAllowance(type="028", rates_ppm=(), invoice_limit_fen=1),
            TypeAllowance(type="999", rates_ppm=(), invoice_limit_fen=1),
        ],
    )

    assert registration.seller == who
    assert registration.grants == (
        TypeAllowance(
            type="026",
            rates_ppm=(130_000, 60_000),
            invoice_limit_fen=10_000_000,
            holding_count_max=500,
        ),
        TypeAllowance(type="028", rates_ppm=(), invoice_limit_fen=1, holding_count_max=1_000_000),
    )
    assert registration.offline_limits == OfflineLimits(
        age_hours_max=72, amount_fen_max=500_000_000
    )
    assert registration.windows == ()
    assert registration.batch_count_max == 100


async def test_the_same_seller_again_answers_the_same_registration(
    authority: GrpcAuthority,
) -> None:
    who = seller(new_tax_number())
    first = await authority.register_taxpayer(who, wanted("026"))

    again = await authority.register_taxpayer(who, wanted("026", "028"))

    assert again == first


async def test_another_seller_under_the_same_number_is_refused(authority: GrpcAuthority) -> None:
    who = seller(new_tax_number())
    await authority.register_taxpayer(who, wanted("026"))

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.register_taxpayer(replace(who, name="别的公司"), wanted("026"))

    assert reason(refusal) == ("REGISTERED_OTHERWISE", "FAILED_PRECONDITION")


@pytest.mark.parametrize(
    "tax_number",
    [
        "",
        "91310115000000001",
        "9131011500000000011",
        "91SHAN1500000000XX",
        "91310115000000001I",
        new_tax_number().lower() + " ",
        # A right one with a digit turned.
        new_tax_number().replace("310115", "310116"),
    ],
)
async def test_a_wrong_tax_number_is_refused(authority: GrpcAuthority, tax_number: str) -> None:
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.register_taxpayer(seller(tax_number), wanted("026"))

    assert reason(refusal) == ("TAX_NUMBER_INVALID", "INVALID_ARGUMENT")


async def test_an_application_that_names_a_type_twice_is_refused(authority: GrpcAuthority) -> None:
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.register_taxpayer(seller(new_tax_number()), wanted("026", "026"))

    assert reason(refusal) == ("REQUEST_INVALID", "INVALID_ARGUMENT")


async def test_a_device_has_one_machine_number_per_request(authority: GrpcAuthority) -> None:
    tax_number = new_tax_number()
    await authority.register_taxpayer(seller(tax_number), wanted("026"))
    request_id = new_id()

    first = await authority.register_device(
        request_id=request_id, tax_number=tax_number, kind="new-server"
    )
    again = await authority.register_device(
        request_id=request_id, tax_number=tax_number, kind="new-server"
    )
    other = await authority.register_device(
        request_id=new_id(), tax_number=tax_number, kind="new-server"
    )

    assert first == again
    assert first != other
    assert len(first) == 12
    assert first.isdigit()


async def test_a_device_request_that_says_something_else_is_refused(
    authority: GrpcAuthority,
) -> None:
    tax_number = new_tax_number()
    await authority.register_taxpayer(seller(tax_number), wanted("026"))
    request_id = new_id()
    await authority.register_device(request_id=request_id, tax_number=tax_number, kind="one")

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.register_device(request_id=request_id, tax_number=tax_number, kind="two")

    assert reason(refusal) == ("REQUEST_ID_REUSED", "ALREADY_EXISTS")


async def test_a_device_of_an_unknown_taxpayer_is_refused(authority: GrpcAuthority) -> None:
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.register_device(
            request_id=new_id(), tax_number=new_tax_number(), kind="new-server"
        )

    assert reason(refusal) == ("TAXPAYER_UNKNOWN", "NOT_FOUND")


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["P-256", "Ed25519", "RSA"],
)
async def test_a_certificate_binds_the_key_to_device_and_taxpayer(
    authority: GrpcAuthority, make_key: Callable[[], PrivateKey]
) -> None:
    trader = await new_trader(authority, make_key=make_key)

    certificate = x509.load_der_x509_certificate(trader.certificate)
    ca = x509.load_der_x509_certificate(trader.ca_certificate)
    certificate.verify_directly_issued_by(ca)
    assert certificate.public_key() == trader.key.public_key()
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == trader.machine_number
    (owner,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)
    assert owner.value == trader.tax_number
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days > 365
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


async def test_the_same_key_is_certified_once_and_a_second_key_beside_it(
    authority: GrpcAuthority,
) -> None:
    trader = await new_trader(authority)
    second = ec.generate_private_key(ec.SECP256R1())

    again = await authority.issue_certificate(
        machine_number=trader.machine_number, csr=csr(trader.key, trader.machine_number)
    )
    rotated = await authority.issue_certificate(
        machine_number=trader.machine_number, csr=csr(second, trader.machine_number)
    )

    assert again.certificate == trader.certificate
    assert rotated.certificate != trader.certificate
    # Both are valid beside each other.
    old = trader.issue(trader.number(0))
    assert await trader.verdicts(old) == [("ACCEPTED", "")]
    trader.key, trader.certificate = second, rotated.certificate
    assert await trader.verdicts(trader.issue(trader.number(1))) == [("ACCEPTED", "")]


async def test_a_certificate_of_an_unknown_device_is_refused(authority: GrpcAuthority) -> None:
    request = csr(ec.generate_private_key(ec.SECP256R1()), "000000000000")

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.issue_certificate(machine_number="000000000000", csr=request)

    assert reason(refusal) == ("DEVICE_UNKNOWN", "NOT_FOUND")


def forged(machine_number: str) -> bytes:
    """Return a request whose signature is not by its key."""
    right = csr(ec.generate_private_key(ec.SECP256R1()), machine_number)
    return right[:-1] + bytes([right[-1] ^ 1])


@pytest.mark.parametrize(
    "make_csr",
    [
        lambda _: b"",
        lambda _: b"no request",
        lambda _: csr(ec.generate_private_key(ec.SECP256R1()), "660000000000"),
        lambda machine_number: csr(ec.generate_private_key(ec.SECP384R1()), machine_number),
        lambda machine_number: csr(
            rsa.generate_private_key(public_exponent=65537, key_size=1024), machine_number
        ),
        forged,
    ],
    ids=["empty", "garbled", "other machine", "P-384", "RSA-1024", "forged"],
)
async def test_a_bad_certificate_request_is_refused(
    authority: GrpcAuthority, make_csr: Callable[[str], bytes]
) -> None:
    trader = await new_trader(authority)

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.issue_certificate(
            machine_number=trader.machine_number, csr=make_csr(trader.machine_number)
        )

    assert reason(refusal) == ("CSR_INVALID", "INVALID_ARGUMENT")


async def test_a_key_of_another_machine_is_refused(authority: GrpcAuthority) -> None:
    one, other = await new_trader(authority), await new_trader(authority)

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.issue_certificate(
            machine_number=other.machine_number, csr=csr(one.key, other.machine_number)
        )

    assert reason(refusal) == ("CSR_INVALID", "INVALID_ARGUMENT")


async def test_the_ca_key_is_readable_by_its_owner_only(simulator: SimulatorProcess) -> None:
    assert (simulator.store / "ca-key.pem").stat().st_mode & 0o777 == 0o600
