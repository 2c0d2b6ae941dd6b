"""Signatures are judged by the public key alone, whoever made them."""

import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hsm.port import Algorithm, DeviceKey
from hsm.verify import public_key_of, verify, verify_with_certificate
from tests.fakes.software_signer import SoftwareSigner
from tests.hsm.certificates import certify

# RFC 6979, A.2.5: P-256, SHA-256, message "sample".
RFC_KEY = (
    ec.EllipticCurvePublicNumbers(
        0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
        0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
        ec.SECP256R1(),
    )
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
RFC_DIGEST = bytes.fromhex("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf")
RFC_SIGNATURE = bytes.fromhex(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)

ALGORITHMS: list[Algorithm] = ["P-256", "Ed25519", "RSA-3072"]


async def signed(algorithm: Algorithm) -> tuple[SoftwareSigner, DeviceKey, bytes, bytes]:
    signer = SoftwareSigner()
    await signer.start()
    key = await signer.ensure_key("k", algorithm)
    digest = os.urandom(32)
    [signature] = await signer.sign(key, [digest])
    return signer, key, digest, signature


def test_the_vector_of_rfc_6979_verifies() -> None:
    assert verify(RFC_KEY, "P-256", RFC_DIGEST, RFC_SIGNATURE)


def test_the_same_numbers_written_longer_are_another_signature() -> None:
    # Two writings of one signature would be two contents of one row.
    longer = RFC_SIGNATURE[:32] + b"\0" + RFC_SIGNATURE[32:]

    assert not verify(RFC_KEY, "P-256", RFC_DIGEST, longer)


@given(bit=st.integers(0, 511))
def test_any_flipped_bit_of_a_signature_is_seen(bit: int) -> None:
    flipped = (int.from_bytes(RFC_SIGNATURE, "big") ^ (1 << bit)).to_bytes(64, "big")

    assert not verify(RFC_KEY, "P-256", RFC_DIGEST, flipped)


@given(bit=st.integers(0, 255))
def test_any_flipped_bit_of_a_digest_is_seen(bit: int) -> None:
    flipped = (int.from_bytes(RFC_DIGEST, "big") ^ (1 << bit)).to_bytes(32, "big")

    assert not verify(RFC_KEY, "P-256", flipped, RFC_SIGNATURE)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_right_signature_passes_and_a_wrong_one_does_not(algorithm: Algorithm) -> None:
    _, key, digest, signature = await signed(algorithm)

    assert verify(key.public_key, algorithm, digest, signature)
    assert not verify(key.public_key, algorithm, os.urandom(32), signature)
    assert not verify(
        key.public_key, algorithm, digest, signature[:-1] + bytes([signature[-1] ^ 1])
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("signature", [b"", b"\0", bytes(64), bytes(65), b"\xff" * 64, bytes(384)])
async def test_malformed_signatures_and_digests_are_merely_wrong(
    algorithm: Algorithm, signature: bytes
) -> None:
    _, key, digest, right = await signed(algorithm)

    assert not verify(key.public_key, algorithm, digest, signature)
    assert not verify(key.public_key, algorithm, digest + b"\0", right)
    assert not verify(key.public_key, algorithm, b"", right)


async def test_a_key_of_another_algorithm_is_an_error_and_not_a_verdict() -> None:
    _, key, digest, signature = await signed("Ed25519")

    with pytest.raises(ValueError, match="not a key of P-256"):
        verify(key.public_key, "P-256", digest, signature)
    with pytest.raises(ValueError, match=r"."):
        verify(b"no key", "P-256", digest, signature)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_certificate_stands_for_its_key(algorithm: Algorithm) -> None:
    signer, key, digest, signature = await signed(algorithm)
    request = await signer.csr(key, common_name="d", serial_number="661234567890")
    certificate = certify(x509.load_der_x509_csr(request))

    assert public_key_of(certificate) == key.public_key
    assert verify_with_certificate(certificate, algorithm, digest, signature)
    assert not verify_with_certificate(certificate, algorithm, digest, signature[::-1])


def test_bytes_that_are_no_certificate_are_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        public_key_of(b"no certificate")
