"""A PKCS#11 module that forwards to the real one and fails where it is told to.

It stands at the seam ``hsm.module.Cryptoki``, so everything above it is the real code and
everything below it the real SoftHSM.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pkcs11
from pkcs11 import Attribute

from hsm.module import Module


class FaultyModule:
    """Faults: ``sign_faults`` (one each), ``sign_fault`` and ``gone`` (while set), ``wrong``, hang."""

    def __init__(self, real: Module) -> None:
        self._real = real
        self.gate = real.gate
        self.sign_faults: list[Exception] = []
        self.sign_fault: Exception | None = None
        self.login_fault: Exception | None = None
        self.gone: Exception | None = None
        self.wrong = False
        self.may_sign = threading.Event()
        self.may_sign.set()
        self.login_count = 0
        self.session_count = 0
        self.reset_count = 0
        self.sign_count = 0

    @property
    def generation(self) -> int:
        """The real one's."""
        return self._real.generation

    def slots(self) -> list[pkcs11.Slot]:
        """Forward, unless the device is gone."""
        if self.gone is not None:
            raise self.gone
        return [cast("pkcs11.Slot", _Slot(self, slot)) for slot in self._real.slots()]

    def reset(self, *, seen: int, wait_s: float) -> None:
        """Count and forward."""
        self.reset_count += 1
        self._real.reset(seen=seen, wait_s=wait_s)

    def release(self, *, wait_s: float) -> None:
        """Forward."""
        self._real.release(wait_s=wait_s)

    def login(self, opening: Callable[[], pkcs11.Session]) -> pkcs11.Session:
        """Count a login and forward it, unless it is to fail."""
        self.login_count += 1
        if self.login_fault is not None:
            raise self.login_fault
        return opening()

    def sign(self, signing: Callable[[], bytes]) -> bytes:
        """Forward a signature through whatever faults are planted."""
        self.sign_count += 1
        self.may_sign.wait()
        if self.sign_faults:
            raise self.sign_faults.pop(0)
        if self.sign_fault is not None:
            raise self.sign_fault
        signature = signing()
        return bytes([signature[0] ^ 1]) + signature[1:] if self.wrong else signature


class _Forward:
    """Everything not overridden goes to the real object."""

    def __init__(self, faults: FaultyModule, real: Any) -> None:
        self._faults = faults
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Slot(_Forward):
    def get_token(self) -> "_Token":
        return _Token(self._faults, self._real.get_token())


class _Token(_Forward):
    def open(self, **options: Any) -> "_Session":
        self._faults.session_count += 1
        if options.get("user_pin") is None:
            return _Session(self._faults, self._real.open(**options))
        session = self._faults.login(lambda: self._real.open(**options))
        return _Session(self._faults, session)


class _Session(_Forward):
    def get_objects(self, attrs: dict[Attribute, Any]) -> Iterator["_Key"]:
        for found in self._real.get_objects(attrs):
            yield _Key(self._faults, found)


class _Key(_Forward):
    def __getitem__(self, name: Attribute) -> Any:
        return self._real[name]

    def sign(self, data: bytes, **options: Any) -> bytes:
        return self._faults.sign(lambda: self._real.sign(data, **options))
