"""The books of signatures: each verifies under a key of its device that has a certificate."""

from collections.abc import Callable, Iterator

import apsw

from invoice import content
from ledger.values import Row, fetch

_KEYS = """
SELECT tax_number, machine_number, key_id, algorithm, public_key, certificate FROM device_key
"""


class Keys:
    """The keys of all devices, and who judges by them; ``right_count`` signatures did verify."""

    def __init__(self, verify: Callable[[bytes, str, bytes, bytes], bool]) -> None:
        self._verify = verify
        self._keys: dict[Row, Row] = {}
        self.right_count = 0

    def load(self, connection: apsw.Connection) -> None:
        """Read the keys."""
        self._keys = {row[:3]: row[3:] for row in fetch(connection, _KEYS)}

    def faults(
        self, key: tuple[str, str, str | None], tag: bytes, signed: bytes, signature: bytes
    ) -> Iterator[str]:
        """Say what is wrong with a signature under ``key`` (tax number, machine number, key id)."""
        found = self._keys.get(key)
        if found is None:
            yield f"its device has no key {key[2]}"
            return
        algorithm, public_key, certificate = found
        if not certificate:
            yield f"key {key[2]} has no certificate"
        digest = content.digest(tag, signed)
        try:
            right, why = (
                self._verify(public_key, algorithm, digest, signature),
                "it does not verify",
            )
        except ValueError as error:
            right, why = False, f"its key {key[2]} cannot be used: {error}"
        if right:
            self.right_count += 1
        else:
            yield why
