"""A lane's seat at the device: one session, its cached key handles, and what to do on errors."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import pkcs11

from hsm import csr, keys
from hsm.errors import (
    CallRefused,
    DeviceAway,
    KeyUnusable,
    ModuleRefused,
    PinFileUnusable,
    TokenMissing,
    WrongSignature,
)
from hsm.faults import Fault, fault_of, sentence
from hsm.keys import Sign
from hsm.module import Cryptoki
from hsm.port import Algorithm, DeviceKey
from hsm.token import Stamp, Token
from hsm.verify import Verifier, verifier

T = TypeVar("T")

_NEVER: Stamp = (-1, -1)


class KeySession:
    """Used by one thread only: PKCS#11 allows one operation per session at a time.

    Methods block. They raise DeviceAway (the device's fault), PinRefused, KeyUnsafe, KeyUnusable,
    or CallRefused (ours), and nothing of the device's library.
    """

    def __init__(self, module: Cryptoki, token: Token, *, verify_every: int, wait_s: float) -> None:
        self._module = module
        self._token = token
        self._verify_every = verify_every
        self._wait_s = wait_s
        self._stamp = _NEVER
        self._session: pkcs11.Session | None = None
        self._handles: dict[str, tuple[Sign, Verifier]] = {}
        self._unverified_count = 0
        self.reopen_count = 0

    def sign(self, key: DeviceKey, digests: Sequence[bytes]) -> list[bytes]:
        """Sign ``digests`` in order; WrongSignature when a checked one is not right."""
        return self._do(lambda: self._sign(key, digests))

    def sign_or_heal(
        self, key: DeviceKey, digest: bytes, *, others_served: Callable[[], bool]
    ) -> list[bytes]:
        """Sign; when the device is away, take the module down and up, and sign again.

        That hurts every session of the process, so it is left alone while the token shows itself
        and other keys are served: then it is this key that is broken, not the device.
        """
        seen = self._module.generation
        try:
            return self.sign(key, [digest])
        except DeviceAway:
            if others_served() and self._do(self._token.present):
                raise
        self._reset(seen)
        return self.sign(key, [digest])

    def prove_or_heal(self) -> None:
        """Sign with a throwaway key, for a device none of whose keys is in service.

        When it is away, take the module down and up, which hurts nobody then, and try again.
        """
        seen = self._module.generation
        try:
            self._do(self._prove)
        except DeviceAway:
            self._reset(seen)
            self._do(self._prove)

    def ensure_key(self, label: str, algorithm: Algorithm | None, default: Algorithm) -> DeviceKey:
        """See :meth:`hsm.port.Signer.ensure_key`."""
        return self._do(lambda: self._ensure_key(label, algorithm, default))

    def csr(self, key: DeviceKey, common_name: str, serial_number: str) -> bytes:
        """See :meth:`hsm.port.Signer.csr`."""

        def request() -> bytes:
            sign, _ = self._handle(key)
            return csr.build(key, common_name=common_name, serial_number=serial_number, sign=sign)

        return self._do(request)

    def close(self) -> None:
        """Close the session if it can still be alive; it holds no login, so nobody is logged out."""
        if self._session is not None and self._stamp[0] == self._module.generation:
            # After a reset the handle's number may belong to somebody else's session.
            with suppress(pkcs11.PKCS11Error), self._module.gate:
                self._session.close()
        self._session = None
        self._handles.clear()
        self._stamp = _NEVER

    def _sign(self, key: DeviceKey, digests: Sequence[bytes]) -> list[bytes]:
        sign, right = self._handle(key)
        if self._verify_every == 1:
            signatures = []
            for digest in digests:
                signature = sign(digest)
                if not right(digest, signature):
                    raise WrongSignature(_wrong(key))
                signatures.append(signature)
            return signatures
        signatures = [sign(digest) for digest in digests]
        self._sample(key, digests, signatures, right)
        return signatures

    def _prove(self) -> None:
        session = self._connected()
        # A session's own key lives in memory: it would sign on while the token is gone.
        if not self._token.present():
            raise DeviceAway("the token does not show itself")
        key = keys.make(session, "probe", "P-256", store=False)
        try:
            digest = bytes(32)
            sign = keys.sign_with(keys.private_half(session, key), key.algorithm)
            if not verifier(key.public_key, key.algorithm)(digest, sign(digest)):
                raise WrongSignature(_wrong(key))
        finally:
            with suppress(pkcs11.PKCS11Error):
                keys.destroy(session, key)

    def _sample(
        self, key: DeviceKey, digests: Sequence[bytes], signatures: list[bytes], right: Verifier
    ) -> None:
        """Check each ``verify_every``-th signature of this lane; the first is among them."""
        first = -self._unverified_count % self._verify_every
        for index in range(first, len(digests), self._verify_every):
            if not right(digests[index], signatures[index]):
                raise WrongSignature(_wrong(key))
        self._unverified_count += len(digests)

    def _handle(self, key: DeviceKey) -> tuple[Sign, Verifier]:
        session = self._connected()
        handle = self._handles.get(key.key_id)
        if handle is None:
            private = keys.private_half(session, key)
            handle = (
                keys.sign_with(private, key.algorithm),
                verifier(key.public_key, key.algorithm),
            )
            self._handles[key.key_id] = handle
        return handle

    def _ensure_key(self, label: str, algorithm: Algorithm | None, default: Algorithm) -> DeviceKey:
        key = keys.find(self._connected(), label)
        if key is None:
            key = keys.make(self._token.root(), label, algorithm or default)
        if algorithm is not None and key.algorithm != algorithm:
            raise KeyUnusable(
                f"hsm: the key {label!r} is {key.algorithm}, not {algorithm} as asked"
            )
        digest = bytes(32)
        sign, right = self._handle(key)
        if not right(digest, sign(digest)):
            raise WrongSignature(_wrong(key))
        return key

    def _connected(self) -> pkcs11.Session:
        if self._session is None or self._stamp != self._token.stamp:
            self._handles.clear()
            self._stamp, self._session = self._token.session()
            self.reopen_count += 1
        return self._session

    def _do(self, call: Callable[[], T]) -> T:
        """Run ``call`` inside the module, a second time after what a new session or login mends."""
        try:
            try:
                with self._module.gate:
                    return call()
            except pkcs11.PKCS11Error as error:
                self._mend(error)
            with self._module.gate:
                return call()
        except pkcs11.PKCS11Error as error:
            if fault_of(error) is Fault.BUG:
                raise CallRefused(f"hsm: the device refuses the call: {sentence(error)}") from error
            raise DeviceAway(sentence(error)) from error
        except (TokenMissing, ModuleRefused, PinFileUnusable) as error:
            raise DeviceAway(str(error)) from error

    def _mend(self, error: pkcs11.PKCS11Error) -> None:
        fault = fault_of(error)
        if fault is Fault.LOGIN:
            with self._module.gate:
                self._token.login_again(self._stamp)
        elif fault is not Fault.SESSION:
            raise error
        self.close()

    def _reset(self, seen: int) -> None:
        try:
            self._module.reset(seen=seen, wait_s=self._wait_s)
        except (TimeoutError, ModuleRefused) as error:
            raise DeviceAway(str(error)) from error


def _wrong(key: DeviceKey) -> str:
    return f"the device returned a signature that key {key.label!r} refuses"
