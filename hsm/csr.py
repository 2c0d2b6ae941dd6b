"""A certificate request (PKCS#10, RFC 2986) whose signature is made elsewhere."""

import hashlib

from asn1crypto.algos import SignedDigestAlgorithm
from asn1crypto.csr import CertificationRequest, CertificationRequestInfo, CRIAttributes
from asn1crypto.keys import PublicKeyInfo
from asn1crypto.x509 import Name
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hsm.keys import Sign
from hsm.port import Algorithm, DeviceKey

# ub-common-name and ub-serial-number, RFC 5280 appendix A.
_NAME_LENGTH_MAX = 64

_PSS_SHA256 = {
    "hash_algorithm": {"algorithm": "sha256"},
    "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
    "salt_length": 32,
}


def require_names(common_name: str, serial_number: str) -> None:
    """Refuse names a certificate cannot hold (ValueError)."""
    for name, text in (("common_name", common_name), ("serial_number", serial_number)):
        if not 1 <= len(text) <= _NAME_LENGTH_MAX:
            raise ValueError(f"{name} must be 1 to {_NAME_LENGTH_MAX} characters, not {text!r}")
    if not (serial_number.isascii() and serial_number.isalnum()):  # a PrintableString, X.520
        raise ValueError(f"serial_number must be letters and digits, not {serial_number!r}")


def build(key: DeviceKey, *, common_name: str, serial_number: str, sign: Sign) -> bytes:
    """Return the request, DER, signed by ``sign`` (:func:`hsm.keys.sign_with`)."""
    require_names(common_name, serial_number)
    info = CertificationRequestInfo(
        {
            "version": "v1",
            "subject": Name.build({"common_name": common_name, "serial_number": serial_number}),
            "subject_pk_info": PublicKeyInfo.load(key.public_key),
            "attributes": CRIAttributes([]),
        }
    )
    request = CertificationRequest(
        {
            "certification_request_info": info,
            "signature_algorithm": _algorithm(key.algorithm),
            "signature": _signature(key.algorithm, info.dump(), sign),
        }
    )
    der: bytes = request.dump()
    return der


def _algorithm(algorithm: Algorithm) -> SignedDigestAlgorithm:
    match algorithm:
        case "P-256":
            return SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
        case "Ed25519":
            return SignedDigestAlgorithm({"algorithm": "ed25519"})
        case "RSA-3072":
            return SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": _PSS_SHA256})


def _signature(algorithm: Algorithm, message: bytes, sign: Sign) -> bytes:
    if algorithm == "Ed25519":
        return sign(message)  # RFC 8410: the message itself, never a digest of it
    signature = sign(hashlib.sha256(message).digest())
    if algorithm == "P-256":
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        return encode_dss_signature(r, s)
    return signature
