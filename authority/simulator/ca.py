"""The authority's certification of device keys.

The CA key is a P-256 software key in the store, made once: good enough for a simulator, and a real
authority's is none of our business.
"""

import hashlib
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authority.simulator.refusal import Refusal
from authority.simulator.signatures import DeviceKey, device_key, single
from authority.simulator.store import StoreUnusable

_CA_DAYS: Final = 20 * 365
# Clocks differ; a certificate must not be refused in its first minutes for it.
_BACKDATED: Final = timedelta(hours=1)

_CA_NAME: Final = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tax authority simulator"),
        x509.NameAttribute(NameOID.COMMON_NAME, "Tax authority simulator device CA"),
    ]
)
_SIGNING_ONLY: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_CERTIFYING_ONLY: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Ca:
    """Signs device certificates. ``certificate`` is its own."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @property
    def certificate_der(self) -> bytes:
        """Return its own certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def certify(
        self, key: DeviceKey, *, machine_number: str, tax_number: str, now: datetime, days: int
    ) -> bytes:
        """Return a certificate (DER) of ``days`` that binds ``key`` to a device and its taxpayer."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, tax_number),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, machine_number),
                x509.NameAttribute(NameOID.COMMON_NAME, machine_number),
            ]
        )
        certificate = (
            _builder(subject, now, days=days)
            .public_key(key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNING_ONLY, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.DER)


def open_ca(folder: Path, now: datetime) -> Ca:
    """Return the CA of a store, made on the first start.

    Raises:
        StoreUnusable: Its key or certificate cannot be read or written.
    """
    key_path, certificate_path = folder / "ca-key.pem", folder / "ca.pem"
    try:
        if not key_path.exists():
            _write_once(key_path, _pem(ec.generate_private_key(ec.SECP256R1())))
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise StoreUnusable(f"{key_path} is not a P-256 key")
        if not certificate_path.exists():
            made = _self_signed(key, now).public_bytes(serialization.Encoding.PEM)
            _write_once(certificate_path, made)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreUnusable(f"the CA in {folder} cannot be used: {error}") from error
    return Ca(key, certificate)


def key_of_request(csr: bytes, machine_number: str) -> DeviceKey:
    """Return the key of a PKCS#10 DER request for this machine.

    Refused: CSR_INVALID when it is garbled, not signed with its own key, names another machine, or
    has a key that devices may not have.
    """
    try:
        request = x509.load_der_x509_csr(csr)
        signed = request.is_signature_valid
        key = device_key(request.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal("CSR_INVALID", "the request cannot be read") from error
    if not signed:
        raise Refusal("CSR_INVALID", "the request is not signed with its key")
    if single(request.subject, NameOID.COMMON_NAME) != machine_number:
        raise Refusal("CSR_INVALID", "its common name is not the machine number")
    if key is None:
        raise Refusal("CSR_INVALID", "a device key is P-256, Ed25519, or RSA of 2048 bits or more")
    return key


def key_digest(key: DeviceKey) -> bytes:
    """Return SHA-256 of the SubjectPublicKeyInfo."""
    info = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(info).digest()


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    return (
        _builder(_CA_NAME, now, days=_CA_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CERTIFYING_ONLY, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(subject: x509.Name, now: datetime, *, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_CA_NAME)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_once(path: Path, content: bytes) -> None:
    """Write a file that is there in full or not at all, readable by its owner only."""
    half = path.with_suffix(".new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
