"""Tokens that callers keep for us: where a list or a watch goes on.

A token is authenticated with a secret of the ledger, so nobody can make one, and bound to what was
asked, so none can be used for something else. It holds for as long as the ledger does, on every
gateway.

    version (1) ‖ digest of what it is bound to (8) ‖ payload ‖ HMAC-SHA256 of all before it (16)

in Base64 for URLs, without padding.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from invoice.errors import InvalidRequest

_VERSION: Final = b"\x01"
_BOUND_BYTES: Final = 8
_SEAL_BYTES: Final = 16
_TEXT: Final = re.compile(r"[0-9A-Za-z_-]+")


class Tokens:
    """Makes and reads tokens with one secret."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, bound: bytes, payload: bytes) -> str:
        """Return the token of ``payload``, for whoever asks ``bound`` again."""
        body = _VERSION + self._bound(bound) + payload
        return urlsafe_b64encode(body + self._seal(body)).rstrip(b"=").decode()

    def read(self, text: str, bound: bytes, *, field: str) -> bytes:
        """Return the payload.

        Raises:
            InvalidRequest: ``FIELD_FORMAT`` when it is no token of ours, ``TOKEN_MISMATCH`` when it
                is one of another question.
        """
        whole = _decoded(text)
        body, seal = whole[:-_SEAL_BYTES], whole[-_SEAL_BYTES:]
        head = len(_VERSION) + _BOUND_BYTES
        if (
            len(body) < head
            or not compare_digest(seal, self._seal(body))
            or not body.startswith(_VERSION)
        ):
            raise InvalidRequest(field, "FIELD_FORMAT", "not a token this service made")
        if body[len(_VERSION) : head] != self._bound(bound):
            raise InvalidRequest(
                field, "TOKEN_MISMATCH", "the token was made for another parent, filter or order"
            )
        return body[head:]

    def _bound(self, bound: bytes) -> bytes:
        return digest(self._key, b"bound\0" + bound, sha256)[:_BOUND_BYTES]

    def _seal(self, body: bytes) -> bytes:
        return digest(self._key, b"seal\0" + body, sha256)[:_SEAL_BYTES]


def packed(positions: Mapping[int, int]) -> bytes:
    """Write positions by meter: the distance from the meter before, then the change number.

    A meter at 0 is left out, as one that is not known yet.
    """
    out = bytearray()
    before = 0
    for meter, number in sorted(positions.items()):
        if number:
            out += _varint(meter - before) + _varint(number)
            before = meter
    return bytes(out)


def unpacked(payload: bytes) -> dict[int, int]:
    """Read what :func:`packed` wrote."""
    numbers: list[int] = []
    number = shift = 0
    for byte in payload:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    positions: dict[int, int] = {}
    meter = 0
    for distance, change_number in zip(numbers[::2], numbers[1::2], strict=True):
        meter += distance
        positions[meter] = change_number
    return positions


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _decoded(text: str) -> bytes:
    if len(text) % 4 == 1 or _TEXT.fullmatch(text) is None:
        return b""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
