"""Checks a signature with a public key alone: no token, no module, no threads.

The signature formats are those of ``hsm/port.py``.
"""

from collections.abc import Callable
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from hsm.port import DIGEST_BYTES

Verifier = Callable[[bytes, bytes], bool]
"""(digest, signature) → whether the signature is right."""

# An operator's machine holds a few hundred device keys; a doctor run sees each many thousand times.
_KEY_COUNT_MAX = 4096

_ECDSA = ec.ECDSA(Prehashed(SHA256()))
_PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
_PSS_DIGEST = Prehashed(SHA256())


def verify(public_key: bytes, algorithm: str, digest: bytes, signature: bytes) -> bool:
    """Say whether ``signature`` over ``digest`` is by ``public_key`` (SubjectPublicKeyInfo, DER).

    A malformed digest or signature is merely wrong.

    Raises:
        ValueError: The key is unreadable, or not of ``algorithm``.
    """
    return verifier(public_key, algorithm)(digest, signature)


def verify_with_certificate(
    certificate: bytes, algorithm: str, digest: bytes, signature: bytes
) -> bool:
    """Like :func:`verify`, with the key of a DER certificate. Its validity is not looked at."""
    return verifier(public_key_of(certificate), algorithm)(digest, signature)


@lru_cache(maxsize=_KEY_COUNT_MAX)
def public_key_of(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a DER certificate; ValueError when it has none."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError(f"the certificate's key is of an unknown kind: {error}") from error
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@lru_cache(maxsize=_KEY_COUNT_MAX)
def verifier(public_key: bytes, algorithm: str) -> Verifier:
    """Load a key once and return its check; ValueError as in :func:`verify`."""
    try:
        key = load_der_public_key(public_key)
    except UnsupportedAlgorithm as error:
        raise ValueError(f"a public key of an unknown kind: {error}") from error
    match algorithm, key:
        case "P-256", ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return _p256(key)
        case "Ed25519", Ed25519PublicKey():
            return _ed25519(key)
        case "RSA-3072", RSAPublicKey(key_size=3072):
            return _rsa(key)
    raise ValueError(f"not a key of {algorithm}: {type(key).__name__}")


def _p256(key: ec.EllipticCurvePublicKey) -> Verifier:
    check = key.verify
    number = int.from_bytes

    def right(digest: bytes, signature: bytes) -> bool:
        if len(signature) != 64 or len(digest) != DIGEST_BYTES:
            return False
        der = encode_dss_signature(number(signature[:32], "big"), number(signature[32:], "big"))
        try:
            check(der, digest, _ECDSA)
        except InvalidSignature:
            return False
        return True

    return right


def _ed25519(key: Ed25519PublicKey) -> Verifier:
    def right(digest: bytes, signature: bytes) -> bool:
        if len(digest) != DIGEST_BYTES:
            return False
        try:
            key.verify(signature, digest)
        except InvalidSignature:
            return False
        return True

    return right


def _rsa(key: RSAPublicKey) -> Verifier:
    def right(digest: bytes, signature: bytes) -> bool:
        if len(digest) != DIGEST_BYTES:
            return False
        try:
            key.verify(signature, digest, _PSS, _PSS_DIGEST)
        except InvalidSignature:
            return False
        return True

    return right
