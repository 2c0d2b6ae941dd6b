"""What each PKCS#11 error means for us: the one table that decides.

Rule: an error that is not in the table is the device's fault. Opening a breaker for what was our
bug costs a warning; answering "our bug" for a device that died costs an invoice.
"""

from enum import Enum

from pkcs11 import exceptions as p11


class Fault(Enum):
    """What to do after an error."""

    SESSION = "open a new session and try once more"
    LOGIN = "log in again, under a lock, and try once more"
    PIN = "never try again"
    DEVICE = "open the breaker of the key"
    BUG = "raise"


_FAULT_OF: dict[type[p11.PKCS11Error], Fault] = {
    p11.SessionHandleInvalid: Fault.SESSION,
    p11.SessionClosed: Fault.SESSION,
    p11.ObjectHandleInvalid: Fault.SESSION,
    p11.KeyHandleInvalid: Fault.SESSION,
    p11.OperationActive: Fault.SESSION,
    p11.OperationNotInitialized: Fault.SESSION,
    p11.UserNotLoggedIn: Fault.LOGIN,
    # PinLenRange and PinInvalid count as tries on some devices, so they are final like the rest.
    p11.PinIncorrect: Fault.PIN,
    p11.PinLocked: Fault.PIN,
    p11.PinExpired: Fault.PIN,
    p11.PinInvalid: Fault.PIN,
    p11.PinLenRange: Fault.PIN,
    p11.UserPinNotInitialized: Fault.PIN,
    p11.DeviceRemoved: Fault.DEVICE,
    p11.DeviceError: Fault.DEVICE,
    p11.DeviceMemory: Fault.DEVICE,
    p11.TokenNotPresent: Fault.DEVICE,
    p11.TokenNotRecognised: Fault.DEVICE,
    p11.FunctionFailed: Fault.DEVICE,
    p11.GeneralError: Fault.DEVICE,
    p11.HostMemory: Fault.DEVICE,
    p11.SessionCount: Fault.DEVICE,
    # The key was there when it was ensured: a token that lost it is a broken token.
    p11.NoSuchKey: Fault.DEVICE,
    p11.NoSuchToken: Fault.DEVICE,
    p11.SlotIDInvalid: Fault.DEVICE,
    p11.MechanismInvalid: Fault.BUG,
    p11.MechanismParamInvalid: Fault.BUG,
    p11.ArgumentsBad: Fault.BUG,
    p11.AttributeTypeInvalid: Fault.BUG,
    p11.AttributeValueInvalid: Fault.BUG,
    p11.TemplateIncomplete: Fault.BUG,
    p11.TemplateInconsistent: Fault.BUG,
    p11.KeyTypeInconsistent: Fault.BUG,
    p11.DataInvalid: Fault.BUG,
    p11.DataLenRange: Fault.BUG,
    p11.FunctionNotSupported: Fault.BUG,
    p11.SessionReadOnly: Fault.BUG,
}


def fault_of(error: p11.PKCS11Error) -> Fault:
    """Class an error of the device's library."""
    return _FAULT_OF.get(type(error), Fault.DEVICE)


def sentence(error: p11.PKCS11Error) -> str:
    """Name an error; many of the library's carry no text."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
