"""Checks device signatures: by which certificate, over what, in which form.

The signed message is SHA-256(schema ‖ 0x00 ‖ content). P-256: raw r ‖ s over the digest; Ed25519:
over the 32 bytes of the digest; RSA: PSS with SHA-256, prehashed, salt 32.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import NameOID

_PREHASHED: Final = utils.Prehashed(hashes.SHA256())
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
_RSA_BITS_MIN: Final = 2048
_CERTIFICATE_COUNT_MAX: Final = 10_000

DeviceKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """What a certificate of ours says: whose device, until when, and its key."""

    machine_number: str
    tax_number: str
    not_before: datetime
    not_after: datetime
    key: DeviceKey


class Verifier:
    """Verifies under the certificates of one CA.

    Certificates read before are kept, so a submission of 100 parses its certificate once. Used by
    one thread.
    """

    def __init__(self, ca_certificate: x509.Certificate) -> None:
        self._ca = ca_certificate
        self._read: OrderedDict[bytes, Certified | None] = OrderedDict()

    def verifies(
        self,
        *,
        certificate: bytes,
        machine_number: str,
        tax_number: str,
        schema: str,
        content: bytes,
        signature: bytes,
        now: datetime,
    ) -> bool:
        """Say whether a certificate of that taxpayer's device, valid now, signs the content."""
        certified = self._certified(certificate)
        if certified is None:
            return False
        if (certified.machine_number, certified.tax_number) != (machine_number, tax_number):
            return False
        if not certified.not_before <= now <= certified.not_after:
            return False
        return signs(certified.key, signed_digest(schema, content), signature)

    def _certified(self, certificate: bytes) -> Certified | None:
        if certificate not in self._read:
            if len(self._read) >= _CERTIFICATE_COUNT_MAX:
                self._read.popitem(last=False)
            self._read[certificate] = _certified(certificate, self._ca)
        return self._read[certificate]


def signed_digest(schema: str, content: bytes) -> bytes:
    """Return the 32 bytes that a device signs."""
    return hashlib.sha256(schema.encode() + b"\x00" + content).digest()


def signs(key: DeviceKey, digest: bytes, signature: bytes) -> bool:
    """Say whether ``signature`` is that of ``key`` over ``digest``."""
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(_der(signature), digest, ec.ECDSA(_PREHASHED))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, digest)
            case rsa.RSAPublicKey():
                key.verify(signature, digest, _PSS, _PREHASHED)
    except (InvalidSignature, ValueError):
        return False
    return True


def device_key(key: object) -> DeviceKey | None:
    """Return ``key`` when devices may have such a key, else None."""
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) | ed25519.Ed25519PublicKey():
            return key
        case rsa.RSAPublicKey() if key.key_size >= _RSA_BITS_MIN:
            return key
    return None


def single(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """Return the only value of an attribute; empty when it is missing or comes twice."""
    values = name.get_attributes_for_oid(oid)
    return str(values[0].value) if len(values) == 1 else ""


def _certified(certificate: bytes, ca: x509.Certificate) -> Certified | None:
    """Read a certificate; None when it is garbled, not ours, or of a key devices may not have."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        read.verify_directly_issued_by(ca)
        key = device_key(read.public_key())
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return None
    if key is None:
        return None
    return Certified(
        machine_number=single(read.subject, NameOID.COMMON_NAME),
        tax_number=single(read.subject, NameOID.ORGANIZATION_IDENTIFIER),
        not_before=read.not_valid_before_utc,
        not_after=read.not_valid_after_utc,
        key=key,
    )


def _der(signature: bytes) -> bytes:
    """Turn raw r ‖ s into DER; ValueError when it is not 64 bytes."""
    if len(signature) != 64:
        raise ValueError(f"a P-256 signature has 64 bytes, not {len(signature)}")
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    return utils.encode_dss_signature(r, s)
