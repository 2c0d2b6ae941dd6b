"""Signers over the shared SoftHSM token, whole and with faults planted."""

from collections.abc import AsyncIterator

import pytest

from hsm.config import HsmConfig
from hsm.module import Module
from hsm.port import DeviceKey
from hsm.signer import Pkcs11Signer
from tests.conftest import SoftHsmToken
from tests.fakes.faulty_module import FaultyModule


@pytest.fixture
def config(softhsm_token: SoftHsmToken) -> HsmConfig:
    return HsmConfig(
        softhsm2_conf=softhsm_token.conf,
        token_label=softhsm_token.label,
        pin_file=softhsm_token.pin_file,
        wait_s=1.0,
        probe_s=0.02,
    )


@pytest.fixture
async def signer(config: HsmConfig) -> AsyncIterator[Pkcs11Signer]:
    signer = Pkcs11Signer(config)
    await signer.start()
    yield signer
    await signer.close()


@pytest.fixture
async def key(signer: Pkcs11Signer) -> DeviceKey:
    return await signer.ensure_key("device-p256", "P-256")


@pytest.fixture
def faults(config: HsmConfig) -> FaultyModule:
    """The module's faults; a test that takes it must start and close a signer on it."""
    return FaultyModule(Module.open(config.module, config.softhsm2_conf))
