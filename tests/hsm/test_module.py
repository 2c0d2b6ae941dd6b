"""Threads may use the module: it is initialised with OS locking, and that is what saves it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm.config import HsmConfig
from hsm.errors import LockingRefused, ModuleMissing, ModuleRefused
from hsm.module import LockingLib, Module, require_os_locking
from tests.conftest import SoftHsmToken

ROOT = Path(__file__).parents[2]


def stress(token: SoftHsmToken, *, threads: int, signs: int, mode: str) -> str:
    """Run the stress program; its count, or how it died."""
    files = [str(token.conf), token.label, str(token.pin_file)]
    arguments = [*files, str(threads), str(signs), mode]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.hsm.stress", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout.strip() if ran.returncode == 0 else f"exit {ran.returncode}"


def test_eight_threads_sign_200_times_each_and_all_1600_are_right(
    softhsm_token: SoftHsmToken,
) -> None:
    assert stress(softhsm_token, threads=8, signs=200, mode="locking") == "1600"


def test_without_os_locking_threads_break_the_module(softhsm_token: SoftHsmToken) -> None:
    # The trap is real, so the test above can fail. Each run breaks with near certainty.
    runs = (stress(softhsm_token, threads=8, signs=200, mode="unlocked") for _ in range(5))

    assert any(run != "1600" for run in runs)


def test_python_pkcs11_still_initialises_through_the_method_we_override(config: HsmConfig) -> None:
    # The guard for upgrades: when this fails, python-pkcs11 went another way, and so must we.
    module = Module.open(config.module, config.softhsm2_conf)

    lib = module._lib

    assert lib.os_locking
    assert not lib.initialized  # the base class did not initialise it a second time
    module.release(wait_s=1)
    assert not lib.os_locking


def test_a_library_that_went_past_our_method_is_refused(config: HsmConfig) -> None:
    class OtherWay(LockingLib):
        """What an upgrade could do: construct without calling ``initialize`` as overridden."""

        def __init__(self, so: str) -> None:
            pass

    lib = OtherWay(str(config.module))

    with pytest.raises(LockingRefused, match=r"lib\.initialize"):
        require_os_locking(lib)


def test_a_module_somebody_else_initialised_is_refused(config: HsmConfig) -> None:
    first = Module.open(config.module, config.softhsm2_conf)

    with pytest.raises(LockingRefused, match="by someone else"):
        LockingLib(str(config.module))

    first.release(wait_s=1)


def test_signers_of_one_process_share_the_module_and_the_last_one_closes_it(
    config: HsmConfig,
) -> None:
    one = Module.open(config.module, config.softhsm2_conf)
    other = Module.open(config.module, config.softhsm2_conf)
    assert one is other

    one.release(wait_s=1)
    assert other.slots()
    other.release(wait_s=1)

    again = Module.open(config.module, config.softhsm2_conf)
    assert again is not one
    again.release(wait_s=1)


def test_one_process_has_one_configuration(config: HsmConfig, tmp_path: Path) -> None:
    module = Module.open(config.module, config.softhsm2_conf)

    with pytest.raises(ModuleRefused, match="is in use with"):
        Module.open(config.module, tmp_path / "other.conf")

    module.release(wait_s=1)


def test_a_module_that_is_in_a_call_is_not_finalised(config: HsmConfig) -> None:
    module = Module.open(config.module, config.softhsm2_conf)

    with module.gate:
        module.release(wait_s=0.01)

        assert module.slots()
    module.release(wait_s=1)


def test_a_reset_happens_once_for_all_who_saw_the_same_fault(config: HsmConfig) -> None:
    module = Module.open(config.module, config.softhsm2_conf)
    seen = module.generation

    module.reset(seen=seen, wait_s=1)
    module.reset(seen=seen, wait_s=1)

    assert module.generation == seen + 1
    assert module.slots()
    module.release(wait_s=1)


def test_a_forked_child_may_not_use_its_parents_module(config: HsmConfig) -> None:
    module = Module.open(config.module, config.softhsm2_conf)

    child = os.fork()
    if child == 0:
        try:
            module.slots()
        except ModuleRefused:
            os._exit(42)
        os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 42
    module.release(wait_s=1)


def test_a_path_without_a_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModuleMissing, match="no PKCS#11 module at"):
        Module.open(tmp_path / "absent.so", None)


def test_a_file_that_is_no_module_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("not a library")

    with pytest.raises(ModuleMissing, match="is no PKCS#11 module"):
        Module.open(text, None)


def test_a_token_directory_that_is_not_there_is_named(tmp_path: Path, config: HsmConfig) -> None:
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'absent'}\n")

    with pytest.raises(ModuleRefused, match="token directory"):
        Module.open(config.module, conf)
