"""The contract of the Signer port, kept alike by SoftHSM and by the software signer of other tests."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from hsm.config import HsmConfig
from hsm.errors import KeyUnusable
from hsm.port import Algorithm, Signer
from hsm.signer import Pkcs11Signer
from hsm.verify import verify
from invoice.errors import HsmUnavailable
from tests.fakes.software_signer import SoftwareSigner

ALGORITHMS: list[Algorithm] = ["P-256", "Ed25519", "RSA-3072"]
SIGNATURE_BYTES = {"P-256": 64, "Ed25519": 64, "RSA-3072": 384}


def digests(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(count)]


@pytest.fixture(params=["softhsm", "software"])
async def device(request: pytest.FixtureRequest, config: HsmConfig) -> AsyncIterator[Signer]:
    device: Signer = Pkcs11Signer(config) if request.param == "softhsm" else SoftwareSigner()
    await device.start()
    yield device
    await device.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_signature_verifies_under_the_key_and_stands_at_its_digest(
    device: Signer, algorithm: Algorithm
) -> None:
    key = await device.ensure_key(f"port-{algorithm}", algorithm)
    messages = digests(40)

    signatures = await device.sign(key, messages)

    assert [len(one) for one in signatures] == [SIGNATURE_BYTES[algorithm]] * 40
    assert all(
        verify(key.public_key, algorithm, digest, signature)
        for digest, signature in zip(messages, signatures, strict=True)
    )
    assert not verify(key.public_key, algorithm, messages[0], signatures[1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_label_stands_for_one_key_for_ever(device: Signer, algorithm: Algorithm) -> None:
    made = await device.ensure_key(f"port-{algorithm}", algorithm)

    found = await device.ensure_key(f"port-{algorithm}")

    assert found == made
    assert found.algorithm == algorithm


async def test_callers_at_once_make_one_key(device: Signer) -> None:
    keys = await asyncio.gather(*(device.ensure_key("port-at-once") for _ in range(8)))

    assert set(keys) == {keys[0]}


async def test_two_labels_are_two_keys(device: Signer) -> None:
    one, other = await device.ensure_key("port-one"), await device.ensure_key("port-other")

    [signature] = await device.sign(one, digests(1))

    assert one.key_id != other.key_id
    assert not verify(other.public_key, other.algorithm, digests(1)[0], signature)


async def test_a_key_of_another_algorithm_than_asked_is_refused(device: Signer) -> None:
    await device.ensure_key("port-P-256", "P-256")

    with pytest.raises(KeyUnusable, match="port-P-256"):
        await device.ensure_key("port-P-256", "Ed25519")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_request_for_a_certificate_proves_the_key_and_names_the_device(
    device: Signer, algorithm: Algorithm
) -> None:
    key = await device.ensure_key(f"port-{algorithm}", algorithm)

    der = await device.csr(key, common_name="税控服务器 一号", serial_number="661234567890")

    request = x509.load_der_x509_csr(der)
    names = {name.oid: name.value for name in request.subject}
    assert request.is_signature_valid
    assert names == {
        NameOID.COMMON_NAME: "税控服务器 一号",
        NameOID.SERIAL_NUMBER: "661234567890",
    }


async def test_nothing_to_sign_is_signed_at_once(device: Signer) -> None:
    key = await device.ensure_key("port-P-256", "P-256")

    assert await device.sign(key, []) == []


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33)])
async def test_only_digests_of_32_bytes_are_signed(device: Signer, digest: bytes) -> None:
    key = await device.ensure_key("port-P-256", "P-256")

    with pytest.raises(ValueError, match="32 bytes"):
        await device.sign(key, [bytes(32), digest])


async def test_many_tasks_get_each_their_own_signatures(device: Signer) -> None:
    key = await device.ensure_key("port-P-256", "P-256")
    messages = digests(120)

    batches = await asyncio.gather(
        *(device.sign(key, messages[first : first + 5]) for first in range(0, 120, 5))
    )

    signatures = [one for batch in batches for one in batch]
    assert all(
        verify(key.public_key, "P-256", digest, signature)
        for digest, signature in zip(messages, signatures, strict=True)
    )


async def test_a_known_key_is_available_until_the_device_closes(device: Signer) -> None:
    key = await device.ensure_key("port-P-256", "P-256")
    assert device.available(key.key_id)

    await device.close()

    assert not device.available(key.key_id)
    with pytest.raises(HsmUnavailable):
        await device.sign(key, digests(1))
    with pytest.raises(HsmUnavailable):
        await device.ensure_key("port-P-256")


async def test_a_device_proves_itself_with_and_without_keys_until_it_closes(
    device: Signer,
) -> None:
    await device.probe()
    await device.ensure_key("port-P-256", "P-256")
    await device.probe()

    await device.close()

    with pytest.raises(HsmUnavailable):
        await device.probe()


async def test_a_caller_that_gives_up_leaves_the_device_usable(device: Signer) -> None:
    key = await device.ensure_key("port-P-256", "P-256")
    calls = [asyncio.create_task(device.sign(key, digests(10))) for _ in range(10)]
    await asyncio.sleep(0)

    for call in calls[::2]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    [signature] = await device.sign(key, digests(1))
    assert verify(key.public_key, "P-256", digests(1)[0], signature)
