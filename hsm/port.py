"""What the gateway asks of a signing device, whatever stands behind it.

Rules of the port:

- A message is the 32-byte digest the protocol defines, SHA-256(tag, 0x00, content). Hashing is
  the caller's; the device sees digests only.
- ``P-256``: raw ECDSA over the digest; the signature is r then s, 32 bytes each, big-endian.
  ``Ed25519``: pure Ed25519 with the 32 bytes as its message; 64 bytes.
  ``RSA-3072``: PSS over the digest (prehashed SHA-256, MGF1 SHA-256, salt 32); 384 bytes.
- The algorithm belongs to the key, not to the call, and travels with it as text. That leaves room
  for devices that speak SDF (GM/T 0018) instead of PKCS#11: an ``SM2`` key fits behind the same
  same methods, its digest being SM3 over ZA and the message, computed by that adaptor's caller.
- Nothing of the device's own library passes through the port: neither objects nor exceptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Algorithm = Literal["P-256", "Ed25519", "RSA-3072"]

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKey:
    """A key pair in the device, as it may be stored and shown.

    ``key_id`` is the hexadecimal CKA_ID, unique in the token and stable for the key's life;
    ``public_key`` is SubjectPublicKeyInfo, DER.
    """

    key_id: str
    label: str
    algorithm: Algorithm
    public_key: bytes


class Signer(Protocol):
    """A signing device. All methods belong to one event loop.

    Every waiting method may raise HsmUnavailable: the device is late, gone, or its breaker is
    open. Whether it signed is then unknown, and harmless: a signature nobody got is no invoice.
    """

    async def start(self) -> None:
        """Open the device and test it.

        Raises:
            HsmError: By name, what an operator must mend (``hsm/errors.py``).
        """

    async def close(self) -> None:
        """Let running calls end, then leave the device. Later calls raise HsmUnavailable."""

    async def ensure_key(self, label: str, algorithm: Algorithm | None = None) -> DeviceKey:
        """Find the key named ``label``, or make it in the device. Idempotent by label.

        ``algorithm`` None: whatever the found key is; the configured one when it is made.

        Raises:
            KeyUnsafe: The key found is not sensitive, or could leave the device.
            KeyUnusable: Several keys carry the label, or it is of another algorithm.
        """

    async def csr(self, key: DeviceKey, *, common_name: str, serial_number: str) -> bytes:
        """Build a PKCS#10 request for ``key``, signed in the device. DER."""

    async def sign(self, key: DeviceKey, digests: Sequence[bytes]) -> list[bytes]:
        """Sign each 32-byte digest, in order. All or nothing.

        No signature is returned that a check against ``key.public_key`` refused; the adaptor's
        configuration says how many are checked. A key the device will not sign with any more,
        because it could leave or the device refuses the call, is out of service like a dead
        device: HsmUnavailable, its breaker opens, and the cause is logged as an error.
        """

    async def probe(self) -> None:
        """Prove that the device signs now; free of cost while it signs anyway.

        With a key in service where there is one, else with a throwaway key of the device. Raises
        HsmUnavailable when none signed.
        """

    def available(self, key_id: str) -> bool:
        """Say whether new work on this key makes sense: its breaker is closed."""
