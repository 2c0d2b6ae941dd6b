"""A signing device made of software: the whole port of ``hsm/port.py``, with faults on request.

    from tests.fakes.software_signer import SoftwareSigner

    signer = SoftwareSigner()
    await signer.start()
    key = await signer.ensure_key("661234567890")      # a real P-256 key, made by cryptography
    [signature] = await signer.sign(key, [digest])     # verifies with hsm.verify.verify

Faults, each one switch:

- ``signer.down = True``: every call raises HsmUnavailable, ``available`` says False; False mends it.
- ``signer.away.add(key.key_id)``: the same for one key alone.
- ``signer.fail_next(2)``: the next two ``sign`` calls raise HsmUnavailable and signed nothing;
  ``fail_next(2, signed=True)``: they signed, and the answer was lost.
- ``signer.hold()`` / ``signer.release()``: ``sign`` hangs in between; ``await signer.asked.wait()``
  returns once a call hangs. A cancelled caller leaves like from a real lane.
- ``signer.wrong = True``: one byte of each signature is flipped. A device adaptor never returns
  such a signature; this is for proving that a caller checks all the same.

``signer.signed`` records (key_id, digest) in order. ``signer.restarted()`` is the same device after
a restart of its user: same keys, no faults, not started.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from hsm.errors import KeyUnusable
from hsm.port import DIGEST_BYTES, Algorithm, DeviceKey
from invoice.errors import HsmUnavailable

PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey

_PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key as the port shows it, and the half it never shows."""

    key: DeviceKey
    private: PrivateKey


class SoftwareSigner:
    """Implements :class:`hsm.port.Signer`; see the module's docstring for the switches."""

    def __init__(self, *, algorithm: Algorithm = "P-256") -> None:
        self.down = False
        self.away: set[str] = set()
        self.wrong = False
        self.asked = asyncio.Event()
        self.signed: list[tuple[str, bytes]] = []
        self._algorithm: Algorithm = algorithm
        self._pairs: dict[str, KeyPair] = {}
        self._open = False
        self._failures: list[bool] = []
        self._may_sign = asyncio.Event()
        self._may_sign.set()

    def restarted(self) -> Self:
        """Return the same device, as the next process finds it."""
        other = type(self)(algorithm=self._algorithm)
        other._pairs = self._pairs
        return other

    def fail_next(self, count: int, *, signed: bool = False) -> None:
        """Let the next ``count`` sign calls fail, before or after they signed."""
        self._failures += [signed] * count

    def hold(self) -> None:
        """Let sign calls hang from now on."""
        self.asked.clear()
        self._may_sign.clear()

    def release(self) -> None:
        """Let the hanging calls, and all later ones, go on."""
        self._may_sign.set()

    async def start(self) -> None:
        """Open the device."""
        self._open = True

    async def close(self) -> None:
        """Close it; later calls raise HsmUnavailable."""
        self._open = False

    async def ensure_key(self, label: str, algorithm: Algorithm | None = None) -> DeviceKey:
        """Find or make the key named ``label``."""
        self._require_up()
        pair = self._pairs.get(label)
        if pair is None:
            pair = self._pairs[label] = _make(label, algorithm or self._algorithm)
        if algorithm is not None and pair.key.algorithm != algorithm:
            raise KeyUnusable(f"hsm: the key {label!r} is {pair.key.algorithm}, not {algorithm}")
        return pair.key

    async def csr(self, key: DeviceKey, *, common_name: str, serial_number: str) -> bytes:
        """Build a certificate request."""
        self._require_up()
        private = self._pairs[key.label].private
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, serial_number),
            ]
        )
        builder = x509.CertificateSigningRequestBuilder(subject)
        if isinstance(private, Ed25519PrivateKey):
            request = builder.sign(private, None)
        elif isinstance(private, rsa.RSAPrivateKey):
            request = builder.sign(private, SHA256(), rsa_padding=_PSS)
        else:
            request = builder.sign(private, SHA256())
        return request.public_bytes(Encoding.DER)

    async def sign(self, key: DeviceKey, digests: Sequence[bytes]) -> list[bytes]:
        """Sign each digest, or fail as told."""
        self._require_up()
        if any(len(digest) != DIGEST_BYTES for digest in digests):
            raise ValueError(f"a digest has {DIGEST_BYTES} bytes")
        if not self._may_sign.is_set():
            self.asked.set()
            await self._may_sign.wait()
            self._require_up()  # it may have gone down meanwhile
        failure = self._failures.pop(0) if self._failures else None
        if failure is False:
            raise HsmUnavailable("the signing device is away: told to fail")
        if key.key_id in self.away:
            raise HsmUnavailable("the key is away", retry_s=1.0)
        private = self._pairs[key.label].private
        signatures = [_sign(private, digest) for digest in digests]
        self.signed += [(key.key_id, digest) for digest in digests]
        if failure is True:
            raise HsmUnavailable("the signing device is away: told to lose the answer")
        return [_flipped(one) for one in signatures] if self.wrong else signatures

    async def probe(self) -> None:
        """Sign with a throwaway key."""
        self._require_up()
        await self._may_sign.wait()
        self._require_up()
        _sign(_make("probe", "P-256").private, bytes(DIGEST_BYTES))

    def available(self, key_id: str) -> bool:
        """Say whether new work makes sense."""
        known = any(pair.key.key_id == key_id for pair in self._pairs.values())
        return self._open and not self.down and known and key_id not in self.away

    def _require_up(self) -> None:
        if self.down or not self._open:
            raise HsmUnavailable("the signing device is away", retry_s=1.0)


def _make(label: str, algorithm: Algorithm) -> KeyPair:
    private: PrivateKey
    match algorithm:
        case "P-256":
            private = ec.generate_private_key(ec.SECP256R1())
        case "Ed25519":
            private = Ed25519PrivateKey.generate()
        case "RSA-3072":
            private = rsa.generate_private_key(65537, 3072)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key_id = x509.SubjectKeyIdentifier.from_public_key(private.public_key()).digest.hex()[:32]
    key = DeviceKey(key_id=key_id, label=label, algorithm=algorithm, public_key=public)
    return KeyPair(key, private)


def _sign(private: PrivateKey, digest: bytes) -> bytes:
    if isinstance(private, Ed25519PrivateKey):
        return private.sign(digest)
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(digest, _PSS, Prehashed(SHA256()))
    r, s = decode_dss_signature(private.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _flipped(signature: bytes) -> bytes:
    return bytes([signature[0] ^ 1]) + signature[1:]
