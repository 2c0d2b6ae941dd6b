"""Having a device's key certified: what the authority answers is looked at before anything signs under it."""

from authority.port import Authority
from hsm.port import DeviceKey, Signer
from hsm.verify import public_key_of
from invoice.errors import AuthorityUnavailable
from ledger.records import DeviceKeyRecord


async def certified(
    authority: Authority, signer: Signer, key: DeviceKey, *, machine_number: str, tax_number: str
) -> DeviceKeyRecord:
    """Return ``key`` with its certificate.

    Raises:
        AuthorityUnavailable: No answer, or none that certifies this key: each invoice signed with
            it would be refused.
        AuthorityRefused, HsmUnavailable: No certificate was made.
    """
    csr = await signer.csr(key, common_name=machine_number, serial_number=tax_number)
    answer = await authority.issue_certificate(machine_number=machine_number, csr=csr)
    try:
        public_key = public_key_of(answer.certificate)
    except ValueError as error:
        raise AuthorityUnavailable("the certificate cannot be read") from error
    if public_key != key.public_key:
        raise AuthorityUnavailable("the certificate is of another key")
    return DeviceKeyRecord(
        key_id=key.key_id,
        label=key.label,
        algorithm=key.algorithm,
        public_key=key.public_key,
        certificate=answer.certificate,
    )
