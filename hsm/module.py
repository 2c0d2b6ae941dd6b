"""The PKCS#11 module, initialised so that threads may use it.

python-pkcs11 0.10.1 releases the GIL around every call, yet calls ``C_Initialize(NULL)``, and
SoftHSM takes NULL as "one thread only" and switches its mutexes off. Two threads then corrupt it
(GeneralError after some thousand signatures; eight threads need about 25). So the module is
initialised here, with CKF_OS_LOCKING_OK, through the one method python-pkcs11 calls for it.

Rules: one :class:`Module` per path and process, shared and counted. Whoever opened it finalises it
explicitly, so that nothing is left to exit handlers. What was opened before a fork is not used
after it.
"""

import ctypes
import os
import threading
from pathlib import Path
from typing import Protocol, Self

import pkcs11
from pkcs11 import _pkcs11

from hsm.errors import LockingRefused, ModuleMissing, ModuleRefused
from hsm.gate import Gate

# PKCS#11 2.40, §5.4 and pkcs11t.h.
_CKF_OS_LOCKING_OK = 0x2
_CKR_OK = 0x0
_CKR_CANT_LOCK = 0xA
_CKR_CRYPTOKI_NOT_INITIALIZED = 0x190
_CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191


class Cryptoki(Protocol):
    """A loaded module, as this room uses one. The seam at which tests plant device faults."""

    gate: Gate

    @property
    def generation(self) -> int:
        """Grows with every reset: what was opened under an older one is dead."""

    def slots(self) -> list[pkcs11.Slot]:
        """List the slots; PKCS11Error when the device is gone."""

    def reset(self, *, seen: int, wait_s: float) -> None:
        """Finalise and initialise again, unless that happened since generation ``seen``.

        Raises:
            TimeoutError: A call did not leave the module within ``wait_s``.
            ModuleRefused: It does not initialise any more; a later reset may work.
        """

    def release(self, *, wait_s: float) -> None:
        """Give the module up; the last one to do so finalises it."""


class _InitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: no mutex callbacks of ours, only the flags."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class LockingLib(_pkcs11.lib):
    """python-pkcs11's module, initialised with OS locking.

    ``initialize`` is what the base class calls while it is constructed. ``os_locking`` is set by
    nothing else, so it stays False should a later python-pkcs11 go another way.
    """

    os_locking = False

    def initialize(self) -> None:
        """Call C_Initialize with CKF_OS_LOCKING_OK."""
        initialize = ctypes.CDLL(self.so).C_Initialize
        initialize.restype = ctypes.c_ulong
        result = initialize(ctypes.byref(_InitializeArgs(flags=_CKF_OS_LOCKING_OK)))
        if result == _CKR_CRYPTOKI_ALREADY_INITIALIZED:
            # By whom, and with which flags, cannot be asked.
            raise LockingRefused(
                f"hsm: {self.so} was initialised by someone else in this process; "
                "whether it locks is unknown"
            )
        if result == _CKR_CANT_LOCK:
            raise LockingRefused(f"hsm: {self.so} cannot use the locks of this system")
        if result != _CKR_OK:
            raise ModuleRefused(
                f"hsm: {self.so} did not initialise (CKR 0x{result:X}); "
                "is its configuration readable and its token directory there?"
            )
        self.os_locking = True

    def terminate(self) -> None:
        """Call C_Finalize. The base class believes it never initialised, so its own does nothing."""
        finalize = ctypes.CDLL(self.so).C_Finalize
        finalize.restype = ctypes.c_ulong
        result = finalize(None)
        self.os_locking = False
        if result not in (_CKR_OK, _CKR_CRYPTOKI_NOT_INITIALIZED):
            raise ModuleRefused(f"hsm: {self.so} did not finalise (CKR 0x{result:X})")


def load_lib(path: Path) -> LockingLib:
    """Load and initialise the module at ``path``.

    Raises:
        ModuleMissing: Nothing there that is a PKCS#11 module.
        LockingRefused: It is not sure that threads may use it.
        ModuleRefused: It does not initialise.
    """
    if not path.is_file():
        raise ModuleMissing(f"hsm: no PKCS#11 module at {path}")
    try:
        lib = LockingLib(str(path))
    except pkcs11.PKCS11Error as error:
        raise ModuleMissing(f"hsm: {path} is no PKCS#11 module: {error}") from error
    require_os_locking(lib)
    return lib


def require_os_locking(lib: LockingLib) -> None:
    """Refuse a library object whose construction went past :meth:`LockingLib.initialize`."""
    if not lib.os_locking:
        raise LockingRefused(
            "hsm: python-pkcs11 no longer initialises modules through lib.initialize; "
            "threads would corrupt the module"
        )


class Module:
    """The one opening of a module in this process."""

    def __init__(self, path: Path, conf: Path | None) -> None:
        self.gate = Gate()
        self.conf = conf
        self.user_count = 0
        self._path = path
        self._pid = os.getpid()
        self._generation = 0
        if conf is not None:
            # SoftHSM reads it at C_Initialize and knows no other way to be told.
            os.environ["SOFTHSM2_CONF"] = str(conf)
        self._lib = load_lib(path)

    @classmethod
    def open(cls, path: Path, conf: Path | None) -> Self:
        """Share the module at ``path`` with its other users in this process, or load it."""
        with _registry_lock:
            module = _registry.get(path)
            if module is None or module.forked:
                module = _registry[path] = cls(path, conf)
            elif module.conf != conf:
                raise ModuleRefused(f"hsm: {path} is in use with {module.conf}, not {conf}")
            module.user_count += 1
            assert isinstance(module, cls)
            return module

    @property
    def generation(self) -> int:
        """Grows with every reset."""
        return self._generation

    @property
    def forked(self) -> bool:
        """Whether this process got the module by a fork."""
        return os.getpid() != self._pid

    def slots(self) -> list[pkcs11.Slot]:
        """List the slots, in the process that opened the module."""
        if self.forked:
            raise ModuleRefused("hsm: the module was opened before a fork; open it after")
        return self._lib.get_slots()

    def reset(self, *, seen: int, wait_s: float) -> None:
        """Finalise and initialise. SoftHSM sees a token directory that came back only so."""
        with self.gate.alone(wait_s=wait_s):
            if self._generation != seen:
                return
            self._generation += 1
            self._lib.terminate()
            self._lib.initialize()

    def release(self, *, wait_s: float) -> None:
        """Finalise when the last user leaves and no call is inside; else leave it be.

        A call that hangs in a dead device would make C_Finalize hang, or crash, as well.
        """
        with _registry_lock:
            self.user_count -= 1
            if self.user_count or self.forked:
                return
            try:
                with self.gate.alone(wait_s=wait_s):
                    self._lib.terminate()
            except TimeoutError:
                self.user_count += 1  # the hanging call's; the module stays registered
                return
            _registry.pop(self._path, None)


_registry: dict[Path, Module] = {}
_registry_lock = threading.Lock()
