"""Why the signing device cannot be used at all.

These stop a start, or show a mistake of ours. They are not failures of one call: a caller of the
service meets only :class:`invoice.errors.HsmUnavailable`. Every sentence starts with ``hsm:``,
names the file or label at fault, and never holds a PIN.
"""


class HsmError(Exception):
    """Base of what an operator, or we, must mend. Effect: none."""


class ModuleMissing(HsmError):
    """The PKCS#11 module is not at its path, or is no PKCS#11 module."""


class ModuleRefused(HsmError):
    """The module does not initialise: bad configuration, or a token directory that is not there."""


class LockingRefused(HsmError):
    """The module was not initialised for threads, so lanes would corrupt it."""


class TokenMissing(HsmError):
    """No token, or more than one, carries the configured label."""


class PinFileUnusable(HsmError):
    """The PIN file is missing, empty, or open to every user of the machine."""


class PinRefused(HsmError):
    """The token refused the PIN. It is never tried again: real devices lock after a few tries."""


class KeyUnsafe(HsmError):
    """A private key could leave, or could once have left, the token."""


class KeyUnusable(HsmError):
    """A label stands for several keys, half a key, or a key of another algorithm."""


class SelfTestFailed(HsmError):
    """The device answered wrongly, or failed, in the test at start."""


class CallRefused(HsmError):
    """The device refuses the call itself (mechanism, template, arguments): our bug."""


class DeviceAway(Exception):
    """The device failed or is gone. Stays in this room: callers get ``HsmUnavailable``."""


class WrongSignature(DeviceAway):
    """The device returned a signature its own public key refuses."""
