"""A certification authority in five lines, for tests."""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def certify(request: x509.CertificateSigningRequest) -> bytes:
    """Certify ``request`` with a throwaway authority key; DER."""
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    return (
        x509.CertificateBuilder(issuer, request.subject, request.public_key(), 1)
        .not_valid_before(_START)
        .not_valid_after(_START + dt.timedelta(days=365))
        .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
        .public_bytes(Encoding.DER)
    )
