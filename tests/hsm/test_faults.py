"""Every error class of python-pkcs11 has its one meaning here."""

import pkcs11
import pytest
from pkcs11 import exceptions

from hsm.faults import Fault, fault_of, sentence

CLASSES = [
    one
    for one in vars(exceptions).values()
    if isinstance(one, type) and issubclass(one, pkcs11.PKCS11Error)
]


@pytest.mark.parametrize(
    ("fault", "errors"),
    [
        (
            Fault.SESSION,
            (
                "SessionHandleInvalid SessionClosed ObjectHandleInvalid KeyHandleInvalid "
                "OperationActive OperationNotInitialized"
            ),
        ),
        (Fault.LOGIN, "UserNotLoggedIn"),
        (
            Fault.PIN,
            "PinIncorrect PinLocked PinExpired PinInvalid PinLenRange UserPinNotInitialized",
        ),
        (
            Fault.DEVICE,
            (
                "DeviceRemoved DeviceError TokenNotPresent TokenNotRecognised DeviceMemory "
                "FunctionFailed GeneralError SessionCount"
            ),
        ),
        (
            Fault.BUG,
            (
                "MechanismInvalid ArgumentsBad TemplateIncomplete TemplateInconsistent "
                "KeyTypeInconsistent DataLenRange"
            ),
        ),
    ],
)
def test_the_known_errors_mean_what_the_table_says(fault: Fault, errors: str) -> None:
    assert {fault_of(getattr(pkcs11, name)()) for name in errors.split()} == {fault}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_no_pin_error_is_ever_retried(error: type[pkcs11.PKCS11Error]) -> None:
    retried = fault_of(error()) in (Fault.SESSION, Fault.LOGIN)

    assert not (retried and "Pin" in error.__name__)


def test_what_nobody_has_heard_of_is_the_devices_fault() -> None:
    assert fault_of(pkcs11.PKCS11Error("Unmapped error code 0x80000001")) is Fault.DEVICE


def test_an_error_without_text_is_named_by_its_class() -> None:
    assert sentence(pkcs11.DeviceError()) == "DeviceError"
    assert sentence(pkcs11.PKCS11Error("0x99")) == "PKCS11Error: 0x99"
