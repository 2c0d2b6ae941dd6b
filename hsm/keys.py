"""Key pairs in a token: how they are made, found, judged, described and used.

Everything here takes an open session and lets the library's errors through.
"""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from asn1crypto.core import OctetString
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import (
    MGF,
    Attribute,
    KeyType,
    Mechanism,
    MechanismFlag,
    NoSuchKey,
    ObjectClass,
    PrivateKey,
    PublicKey,
    Session,
)
from pkcs11.types import SignMixin

from hsm.errors import KeyUnsafe, KeyUnusable
from hsm.port import Algorithm, DeviceKey

Sign = Callable[[bytes], bytes]

# DER of the named curves: prime256v1, and edwards25519 as the string PKCS#11 3.0 §2.3.5 allows and
# SoftHSM 2.6 stores (the object identifier 1.3.101.112 means the same).
_P256_PARAMS = bytes.fromhex("06082a8648ce3d030107")
_ED25519_PARAMS = bytes.fromhex("130c656477617264733235353139")
_ED25519_OID = bytes.fromhex("06032b6570")

_STAYS_INSIDE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_MUST_HOLD = {
    **_STAYS_INSIDE,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.NEVER_EXTRACTABLE: True,
}


def find(session: Session, label: str) -> DeviceKey | None:
    """Return the pair named ``label``; None when there is neither half.

    Raises:
        KeyUnusable: Several pairs, or half a pair, or an unknown kind.
        KeyUnsafe: As :func:`require_safe`.
    """
    private = list(session.get_objects(_named(ObjectClass.PRIVATE_KEY, label)))
    public = list(session.get_objects(_named(ObjectClass.PUBLIC_KEY, label)))
    if not private and not public:
        return None
    if (len(private), len(public)) != (1, 1):
        raise KeyUnusable(
            f"hsm: label {label!r} stands for {len(private)} private and {len(public)} public keys"
        )
    if private[0][Attribute.ID] != public[0][Attribute.ID]:
        raise KeyUnusable(f"hsm: the two keys of label {label!r} are of different pairs")
    require_safe(private[0], label)  # type: ignore[arg-type]  # the class was asked for
    return describe(public[0], label)  # type: ignore[arg-type]  # likewise


def make(session: Session, label: str, algorithm: Algorithm, *, store: bool = True) -> DeviceKey:
    """Generate a pair in the token. ``store`` False: it lives as long as ``session``."""
    options: dict[str, Any] = {
        "id": secrets.token_bytes(16),
        "label": label,
        "store": store,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": {Attribute.PRIVATE: True, **_STAYS_INSIDE},
    }
    match algorithm:
        case "P-256":
            curve = session.create_domain_parameters(
                KeyType.EC, {Attribute.EC_PARAMS: _P256_PARAMS}, local=True
            )
            public, private = curve.generate_keypair(**options)
        case "Ed25519":
            curve = session.create_domain_parameters(
                KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _ED25519_PARAMS}, local=True
            )
            public, private = curve.generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, **options
            )
        case "RSA-3072":
            public, private = session.generate_keypair(KeyType.RSA, 3072, **options)
    require_safe(private, label)
    return describe(public, label)


def private_half(session: Session, key: DeviceKey) -> PrivateKey:
    """Find the private key of ``key`` again; NoSuchKey when the token has lost it."""
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: bytes.fromhex(key.key_id)}
    found = list(session.get_objects(wanted))
    if len(found) != 1:
        raise NoSuchKey(f"{len(found)} private keys with id {key.key_id}")
    require_safe(found[0], key.label)  # type: ignore[arg-type]  # the class was asked for
    return found[0]  # type: ignore[return-value]  # likewise


def destroy(session: Session, key: DeviceKey) -> None:
    """Destroy both halves of ``key``."""
    for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
        session.get_key(object_class=kind, id=bytes.fromhex(key.key_id)).destroy()


def require_safe(private: PrivateKey, label: str) -> None:
    """Refuse a private key that can leave the token, or once could have."""
    wrong = [
        f"{name.name}={private[name]}"
        for name, must in _MUST_HOLD.items()
        if private[name] is not must
    ]
    if wrong:
        raise KeyUnsafe(
            f"hsm: the private key {label!r} is not safe to sign with: {', '.join(wrong)}"
        )


def describe(public: PublicKey, label: str) -> DeviceKey:
    """Return the port's record of a public key; KeyUnusable for kinds we do not sign with."""
    algorithm, point = _public_key(public, label)
    return DeviceKey(
        key_id=public[Attribute.ID].hex(),
        label=label,
        algorithm=algorithm,
        public_key=point.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def sign_with(private: PrivateKey, algorithm: Algorithm) -> Sign:
    """Return the one call that signs: see ``hsm/port.py`` for what goes in and what comes out.

    The buffer is the signature's own size: the library's default of 8 KiB is zeroed on each call.
    """
    sign = cast("SignMixin", private).sign  # which private keys that may sign are
    match algorithm:
        case "P-256":
            # Plain ECDSA over a digest: SoftHSM 2.6 knows no mechanism that hashes as well.
            return partial(sign, mechanism=Mechanism.ECDSA, buffer_size=64)
        case "Ed25519":
            return partial(sign, mechanism=Mechanism.EDDSA, buffer_size=64)
        case "RSA-3072":
            return partial(
                sign,
                mechanism=Mechanism.RSA_PKCS_PSS,
                mechanism_param=(Mechanism.SHA256, MGF.SHA256, 32),
                buffer_size=384,
            )


def _named(kind: ObjectClass, label: str) -> dict[Attribute, Any]:
    return {Attribute.CLASS: kind, Attribute.LABEL: label}


def _public_key(
    public: PublicKey, label: str
) -> tuple[Algorithm, ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey]:
    kind = public.key_type
    if kind is KeyType.RSA and (bits := len(public[Attribute.MODULUS].lstrip(b"\0")) * 8) == 3072:
        exponent = int.from_bytes(public[Attribute.PUBLIC_EXPONENT], "big")
        modulus = int.from_bytes(public[Attribute.MODULUS], "big")
        return "RSA-3072", rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if kind is KeyType.RSA:
        raise KeyUnusable(f"hsm: the key {label!r} is RSA of {bits} bits; we sign with RSA-3072")
    params = public[Attribute.EC_PARAMS] if kind in (KeyType.EC, KeyType.EC_EDWARDS) else b""
    if params == _P256_PARAMS:
        point = OctetString.load(public[Attribute.EC_POINT]).native
        return "P-256", ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    if params in (_ED25519_PARAMS, _ED25519_OID):
        point = OctetString.load(public[Attribute.EC_POINT]).native
        return "Ed25519", Ed25519PublicKey.from_public_bytes(point)
    raise KeyUnusable(f"hsm: the key {label!r} is of a kind we do not sign with: {kind!r}")
