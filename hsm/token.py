"""One token: found by label, logged in once, and logged in again only when it has forgotten us.

Rules: the login belongs to the process and lives as long as a session does, so the root session is
opened with the PIN and never closed (``Session.close`` would log every other session out). Lane
sessions are opened without PIN. A refused PIN is final. Locks in this order: the module's gate,
then the lock here.
"""

import threading
from pathlib import Path

import pkcs11

from hsm.errors import PinFileUnusable, PinRefused, TokenMissing
from hsm.faults import Fault, fault_of, sentence
from hsm.module import Cryptoki

Stamp = tuple[int, int]
"""Module generation and login count: a session opened under another stamp is dead."""


class Token:
    """The token named ``label``. Methods block; call them from lanes, inside the module's gate."""

    def __init__(self, module: Cryptoki, *, label: str, pin_file: Path) -> None:
        self._module = module
        self._label = label
        self._pin_file = pin_file
        self._lock = threading.Lock()
        self._token: pkcs11.Token | None = None
        self._root: pkcs11.Session | None = None
        self._root_generation = -1
        self._login_count = 0
        self._refused: str | None = None

    @property
    def stamp(self) -> Stamp:
        """What a session must have been opened under to be alive."""
        return self._module.generation, self._login_count

    @property
    def refused(self) -> str | None:
        """The sentence to fail with for good, once the PIN was refused."""
        return self._refused

    def session(self) -> tuple[Stamp, pkcs11.Session]:
        """Open a session without PIN, after a login if this generation had none.

        Raises:
            TokenMissing, PinFileUnusable, PinRefused: Named in ``hsm/errors.py``.
            PKCS11Error: The device failed.
        """
        with self._lock:
            if self._root_generation != self._module.generation or self._token is None:
                self._open()
            assert self._token is not None
            return self.stamp, self._token.open()

    def root(self) -> pkcs11.Session:
        """Return the logged-in read-write session, in which keys are made."""
        with self._lock:
            if self._root_generation != self._module.generation or self._root is None:
                self._open()
            assert self._root is not None
            return self._root

    def login_again(self, seen: Stamp) -> None:
        """Log in once more, unless another lane has since ``seen``."""
        with self._lock:
            if self.stamp == seen:
                self._open()

    def present(self) -> bool:
        """Say whether the device answers and shows the label."""
        try:
            return self._labelled() != []
        except pkcs11.PKCS11Error:
            return False

    def _open(self) -> None:
        generation = self._module.generation
        try:
            found = self._labelled()
        except pkcs11.PKCS11Error as error:
            raise TokenMissing(f"hsm: the slots cannot be listed: {sentence(error)}") from error
        if len(found) != 1:
            raise TokenMissing(
                f"hsm: {len(found) or 'no'} token{'s' * (len(found) > 1)} with label {self._label!r}"
            )
        self._token = found[0]
        self._root = self._login(found[0])
        self._root_generation = generation
        self._login_count += 1

    def _labelled(self) -> list[pkcs11.Token]:
        found = []
        for slot in self._module.slots():
            try:
                token = slot.get_token()
            except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
                continue
            if token.label == self._label:
                found.append(token)
        return found

    def _login(self, token: pkcs11.Token) -> pkcs11.Session:
        if self._refused is not None:
            raise PinRefused(self._refused)
        pin = read_pin(self._pin_file)
        try:
            return token.open(rw=True, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            # Another signer of this process did it: the login is the process's.
            return token.open(rw=True)
        except pkcs11.PKCS11Error as error:
            if fault_of(error) is not Fault.PIN:
                raise
            self._refused = (
                f"hsm: the PIN in {self._pin_file} was refused by token {self._label!r} "
                f"({type(error).__name__}); not tried again"
            )
            raise PinRefused(self._refused) from error


def read_pin(path: Path) -> str:
    """Read the PIN, without its line end.

    Raises:
        PinFileUnusable: Missing, empty, no text, or readable by every user of the machine.
    """
    try:
        if path.stat().st_mode & 0o007:
            raise PinFileUnusable(f"hsm: the PIN file {path} is open to other users; chmod 0400 it")
        pin = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        # The decoder's own text would show bytes of the PIN.
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise PinFileUnusable(f"hsm: the PIN file {path} cannot be read: {reason}") from None
    if not pin:
        raise PinFileUnusable(f"hsm: the PIN file {path} is empty")
    return pin
