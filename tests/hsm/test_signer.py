"""Device faults, planted under the real adaptor: what callers see, and how the device comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pkcs11
import pytest
import structlog.testing

from hsm.config import HsmConfig
from hsm.errors import KeyUnsafe, KeyUnusable, PinRefused, SelfTestFailed, TokenMissing
from hsm.port import DeviceKey
from hsm.signer import Pkcs11Signer
from hsm.verify import verify
from invoice.errors import HsmUnavailable
from tests.conftest import SoftHsmToken
from tests.fakes.faulty_module import FaultyModule

DIGEST = bytes(range(32))


@pytest.fixture
async def faulty(config: HsmConfig, faults: FaultyModule) -> AsyncIterator[Pkcs11Signer]:
    signer = Pkcs11Signer(replace(config, wait_s=0.4), module=faults)
    await signer.start()
    yield signer
    faults.may_sign.set()
    await signer.close()


@pytest.fixture
async def faulty_key(faulty: Pkcs11Signer) -> DeviceKey:
    return await faulty.ensure_key("device-p256", "P-256")


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until ``condition`` holds; five seconds is the promise (R8)."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a device has nothing to await
            await asyncio.sleep(0.005)


async def signs(signer: Pkcs11Signer, key: DeviceKey) -> bool:
    [signature] = await signer.sign(key, [DIGEST])
    return verify(key.public_key, key.algorithm, DIGEST, signature)


@pytest.mark.parametrize(
    "fault",
    [
        pkcs11.SessionHandleInvalid,
        pkcs11.SessionClosed,
        pkcs11.ObjectHandleInvalid,
        pkcs11.KeyHandleInvalid,
        pkcs11.OperationActive,
        pkcs11.OperationNotInitialized,
    ],
)
async def test_a_lost_session_is_reopened_and_no_caller_notices(
    faulty: Pkcs11Signer,
    faulty_key: DeviceKey,
    faults: FaultyModule,
    fault: type[pkcs11.PKCS11Error],
) -> None:
    logins, sessions = faults.login_count, faults.session_count
    faults.sign_faults = [fault()]

    assert await signs(faulty, faulty_key)

    assert faulty.available(faulty_key.key_id)
    assert faults.login_count == logins
    assert faults.session_count > sessions


async def test_a_session_lost_twice_in_a_row_is_a_device_fault(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    faults.sign_faults = [pkcs11.SessionHandleInvalid(), pkcs11.SessionHandleInvalid()]

    with pytest.raises(HsmUnavailable, match="SessionHandleInvalid"):
        await faulty.sign(faulty_key, [DIGEST])

    assert not faulty.available(faulty_key.key_id)


async def test_a_forgotten_login_is_renewed_once_for_all_lanes(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    logins = faults.login_count
    faults.sign_faults = [pkcs11.UserNotLoggedIn()]

    assert await signs(faulty, faulty_key)

    assert faults.login_count == logins + 1
    assert faulty.available(faulty_key.key_id)


@pytest.mark.parametrize(
    "fault",
    [
        pkcs11.DeviceRemoved(),
        pkcs11.DeviceError(),
        pkcs11.TokenNotPresent(),
        pkcs11.TokenNotRecognised(),
        pkcs11.DeviceMemory(),
        pkcs11.FunctionFailed(),
        pkcs11.GeneralError(),
        pkcs11.SessionCount(),
        pkcs11.PKCS11Error("Unmapped error code 0x80000001"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_device_fault_opens_the_breaker_and_a_real_signature_closes_it(
    faulty: Pkcs11Signer,
    faulty_key: DeviceKey,
    faults: FaultyModule,
    fault: pkcs11.PKCS11Error,
) -> None:
    faults.sign_fault = fault
    with pytest.raises(HsmUnavailable, match=type(fault).__name__):
        await faulty.sign(faulty_key, [DIGEST])
    assert not faulty.available(faulty_key.key_id)
    await until(lambda: faulty.counts.probes >= 2)
    assert not faulty.available(faulty_key.key_id)

    faults.sign_fault = None

    await until(lambda: faulty.available(faulty_key.key_id))
    assert await signs(faulty, faulty_key)


async def test_while_the_breaker_is_open_callers_are_refused_without_asking_the_device(
    config: HsmConfig, faults: FaultyModule
) -> None:
    signer = Pkcs11Signer(replace(config, probe_s=5), module=faults)
    await signer.start()
    key = await signer.ensure_key("device-p256", "P-256")
    faults.sign_fault = pkcs11.DeviceError()
    with pytest.raises(HsmUnavailable):
        await signer.sign(key, [DIGEST])
    asked = faults.sign_count

    with pytest.raises(HsmUnavailable) as refused:
        await signer.sign(key, [DIGEST])

    assert faults.sign_count == asked
    assert refused.value.retry_s == 5
    await signer.close()


async def test_a_broken_key_leaves_other_keys_in_service(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    other = await faulty.ensure_key("device-other", "P-256")
    faults.sign_faults = [pkcs11.DeviceError()]
    with pytest.raises(HsmUnavailable):
        await faulty.sign(faulty_key, [DIGEST])
    faults.sign_faults = [pkcs11.DeviceError()] * 3

    await until(lambda: faulty.available(faulty_key.key_id))

    assert faulty.available(other.key_id)
    # The token was there and another key served: nobody's sessions were taken away.
    assert faults.reset_count == 0


async def test_a_wrong_signature_is_never_returned(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    faults.wrong = True

    with pytest.raises(HsmUnavailable, match="refuses"):
        await faulty.sign(faulty_key, [DIGEST])

    assert faulty.counts.wrong_signatures == 1
    assert not faulty.available(faulty_key.key_id)
    faults.wrong = False
    await until(lambda: faulty.available(faulty_key.key_id))


async def test_sampling_still_sees_a_device_that_signs_wrongly(
    config: HsmConfig, faults: FaultyModule
) -> None:
    signer = Pkcs11Signer(replace(config, verify="sampled", lanes=1), module=faults)
    await signer.start()
    key = await signer.ensure_key("device-p256", "P-256")
    faults.wrong = True

    async def sign_64() -> None:
        for _ in range(64):
            await signer.sign(key, [DIGEST])

    # One lane checks one signature in each 64 in a row, wherever the calls cut them.
    with pytest.raises(HsmUnavailable, match="refuses"):
        await sign_64()

    await signer.close()


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (KeyUnsafe("hsm: not safe to sign with"), "not safe to sign with"),
        (KeyUnusable("hsm: two keys of one label"), "two keys of one label"),
        (pkcs11.MechanismInvalid(), "the device refuses the call: MechanismInvalid"),
    ],
    ids=["KeyUnsafe", "KeyUnusable", "CallRefused"],
)
async def test_a_key_that_may_not_sign_is_out_of_service_until_it_does(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule, fault: Exception, cause: str
) -> None:
    faults.sign_fault = fault

    with structlog.testing.capture_logs() as lines, pytest.raises(HsmUnavailable, match=cause):
        await faulty.sign(faulty_key, [DIGEST])

    assert not faulty.available(faulty_key.key_id)
    [line] = [line for line in lines if line["event"] == "hsm.breaker_opened"]
    assert line["log_level"] == "error"
    assert cause in line["cause"]
    faults.sign_fault = None
    await until(lambda: faulty.available(faulty_key.key_id))
    assert await signs(faulty, faulty_key)


async def test_a_probe_of_a_device_that_signs_anyway_costs_nothing(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    assert await signs(faulty, faulty_key)
    sign_count = faults.sign_count

    await faulty.probe()

    assert faults.sign_count == sign_count


async def test_a_probe_of_an_idle_device_signs_with_a_key_in_service(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    faults.sign_fault = pkcs11.DeviceRemoved()

    with pytest.raises(HsmUnavailable, match="DeviceRemoved"):
        await faulty.probe()

    assert not faulty.available(faulty_key.key_id)
    faults.sign_fault = None
    await until(lambda: faulty.available(faulty_key.key_id))
    await faulty.probe()


async def test_one_broken_key_fails_no_probe(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    await faulty.ensure_key("device-other", "P-256")
    faults.sign_faults = [pkcs11.DeviceError()]

    await faulty.probe()

    assert not faulty.available(faulty_key.key_id)


async def test_a_probe_of_a_device_without_keys_notices_that_its_token_is_gone_and_back(
    signer: Pkcs11Signer, softhsm_token: SoftHsmToken
) -> None:
    await signer.probe()
    away = softhsm_token.directory.with_name("tokens.away")
    softhsm_token.directory.rename(away)
    try:
        with pytest.raises(HsmUnavailable):
            await signer.probe()
    finally:
        away.rename(softhsm_token.directory)

    await signer.probe()
    key = await signer.ensure_key("device-p256", "P-256")
    assert await signs(signer, key)


async def test_a_probe_of_an_idle_device_with_keys_notices_that_its_token_is_gone(
    signer: Pkcs11Signer, key: DeviceKey, softhsm_token: SoftHsmToken
) -> None:
    away = softhsm_token.directory.with_name("tokens.away")
    softhsm_token.directory.rename(away)
    try:
        with pytest.raises(HsmUnavailable):
            await signer.probe()
    finally:
        away.rename(softhsm_token.directory)

    await until(lambda: signer.available(key.key_id))
    await signer.probe()


async def test_a_hanging_device_makes_callers_wait_no_longer_than_told_and_comes_back(
    faulty: Pkcs11Signer, faulty_key: DeviceKey, faults: FaultyModule
) -> None:
    faults.may_sign.clear()
    loop = asyncio.get_running_loop()
    started = loop.time()

    calls = [asyncio.create_task(faulty.sign(faulty_key, [DIGEST])) for _ in range(6)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [HsmUnavailable] * 6
    assert loop.time() - started < 1.5
    assert not faulty.available(faulty_key.key_id)
    await until(lambda: faulty.counts.probes >= 1)

    faults.may_sign.set()

    await until(lambda: faulty.available(faulty_key.key_id))
    assert await signs(faulty, faulty_key)


async def test_a_device_that_was_pulled_and_put_back_signs_again_without_a_restart(
    signer: Pkcs11Signer, key: DeviceKey, softhsm_token: SoftHsmToken
) -> None:
    away = softhsm_token.directory.with_name("away")
    softhsm_token.directory.rename(away)
    try:
        with pytest.raises(HsmUnavailable):
            await signer.sign(key, [DIGEST])
        assert not signer.available(key.key_id)
        await until(lambda: signer.counts.probes >= 3)
        assert not signer.available(key.key_id)
    finally:
        away.rename(softhsm_token.directory)

    await until(lambda: signer.available(key.key_id))

    assert await signs(signer, key)
    assert await signer.ensure_key("device-p256") == key


async def test_after_a_reset_no_handle_of_the_old_module_is_used(
    config: HsmConfig, faults: FaultyModule
) -> None:
    # Handles are counters that start again: an old one may by now be somebody else's key.
    signer = Pkcs11Signer(replace(config, lanes=1), module=faults)
    await signer.start()
    key = await signer.ensure_key("device-p256", "P-256")
    asked = faults.sign_count

    faults.reset(seen=faults.generation, wait_s=1)

    assert await signs(signer, key)
    assert faults.sign_count == asked + 1
    await signer.close()


async def test_a_pin_refused_at_start_is_tried_once_and_named(
    config: HsmConfig, faults: FaultyModule
) -> None:
    faults.login_fault = pkcs11.PinIncorrect()
    signer = Pkcs11Signer(config, module=faults)

    with pytest.raises(PinRefused) as refused:
        await signer.start()

    assert str(refused.value) == (
        f"hsm: the PIN in {config.pin_file} was refused by token 'test-token' (PinIncorrect); "
        "not tried again"
    )
    assert faults.login_count == 1


@pytest.mark.parametrize(
    "fault", [pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.PinInvalid]
)
async def test_a_pin_refused_while_running_is_tried_once_and_the_key_stays_out_of_service(
    faulty: Pkcs11Signer,
    faulty_key: DeviceKey,
    faults: FaultyModule,
    fault: type[pkcs11.PKCS11Error],
) -> None:
    logins = faults.login_count
    faults.login_fault = fault()
    faults.sign_fault = pkcs11.UserNotLoggedIn()

    with pytest.raises(HsmUnavailable, match="not tried again"):
        await faulty.sign(faulty_key, [DIGEST])
    faults.login_fault = faults.sign_fault = None
    for _ in range(3):
        with pytest.raises(HsmUnavailable, match="not tried again"):
            await faulty.sign(faulty_key, [DIGEST])

    probers = [task for task in asyncio.all_tasks() if task.get_name() == "hsm-prober"]
    if probers:
        _, running = await asyncio.wait(probers, timeout=1)
        assert not running
    assert faults.login_count == logins + 1
    assert faulty.counts.probes == 0
    assert not faulty.available(faulty_key.key_id)


async def test_a_token_that_is_not_there_at_start_is_named(
    config: HsmConfig, faults: FaultyModule
) -> None:
    signer = Pkcs11Signer(replace(config, token_label="other"), module=faults)

    with pytest.raises(TokenMissing, match="no token with label 'other'"):
        await signer.start()


async def test_a_device_that_fails_the_self_test_does_not_start(
    config: HsmConfig, faults: FaultyModule
) -> None:
    faults.wrong = True
    signer = Pkcs11Signer(config, module=faults)

    with pytest.raises(SelfTestFailed, match="8 of 8 threads"):
        await signer.start()


async def test_nothing_secret_is_logged(config: HsmConfig, softhsm_token: SoftHsmToken) -> None:
    pin = softhsm_token.pin_file.read_text()
    with structlog.testing.capture_logs() as lines:
        signer = Pkcs11Signer(config)
        await signer.start()
        await signer.ensure_key("device-p256", "P-256")
        await signer.close()

    assert [line["event"] for line in lines] == ["hsm.opened", "hsm.key_ready", "hsm.closed"]
    assert pin not in repr(lines)
