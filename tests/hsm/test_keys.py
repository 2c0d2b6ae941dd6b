"""Keys never leave the token, and a key that could is not signed with."""

import os
from collections.abc import Iterator
from contextlib import suppress

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

from hsm import keys
from hsm.config import HsmConfig
from hsm.errors import KeyUnsafe, KeyUnusable
from hsm.module import Module
from hsm.port import Algorithm
from hsm.token import Token

ALGORITHMS: list[Algorithm] = ["P-256", "Ed25519", "RSA-3072"]
P256 = bytes.fromhex("06082a8648ce3d030107")
P384 = bytes.fromhex("06052b81040022")


@pytest.fixture
def root(config: HsmConfig) -> Iterator[pkcs11.Session]:
    module = Module.open(config.module, config.softhsm2_conf)
    yield Token(module, label=config.token_label, pin_file=config.pin_file).root()
    module.release(wait_s=1)


def generate(
    root: pkcs11.Session, label: str, private: dict[str, bool], *, params: bytes = P256
) -> None:
    """Make a throwaway pair with the library alone, as someone careless would."""
    names = {getattr(Attribute, name): value for name, value in private.items()}
    curve = root.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: params}, local=True)
    curve.generate_keypair(
        label=label,
        id=os.urandom(8),
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template=names,
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_made_key_cannot_leave_the_token(root: pkcs11.Session, algorithm: Algorithm) -> None:
    key = keys.make(root, f"leave-{algorithm}", algorithm, store=False)
    private = keys.private_half(root, key)

    attributes = {
        name: private[getattr(Attribute, name)]
        for name in ("SENSITIVE", "EXTRACTABLE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL")
    }
    may = {name: private[getattr(Attribute, name)] for name in ("SIGN", "DECRYPT", "UNWRAP")}

    assert attributes == {
        "SENSITIVE": True,
        "EXTRACTABLE": False,
        "ALWAYS_SENSITIVE": True,
        "NEVER_EXTRACTABLE": True,
        "LOCAL": True,
    }
    assert may == {"SIGN": True, "DECRYPT": False, "UNWRAP": False}
    secret = Attribute.PRIVATE_EXPONENT if algorithm == "RSA-3072" else Attribute.VALUE
    with pytest.raises(pkcs11.AttributeSensitive):
        private[secret]


@pytest.mark.parametrize(
    ("private", "named"),
    [
        ({"EXTRACTABLE": True}, "EXTRACTABLE=True, NEVER_EXTRACTABLE=False"),
        ({"SENSITIVE": False, "EXTRACTABLE": False}, "SENSITIVE=False, ALWAYS_SENSITIVE=False"),
    ],
)
def test_an_unsafe_key_is_refused_by_what_is_wrong_with_it(
    root: pkcs11.Session, private: dict[str, bool], named: str
) -> None:
    generate(root, "unsafe", private)

    with pytest.raises(KeyUnsafe, match=f"'unsafe' is not safe to sign with: {named}"):
        keys.find(root, "unsafe")


def test_a_key_that_was_unsafe_once_stays_refused(root: pkcs11.Session) -> None:
    generate(root, "once", {"SENSITIVE": False, "EXTRACTABLE": False})
    [private] = root.get_objects(
        {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: "once"}
    )
    private[Attribute.SENSITIVE] = True

    with pytest.raises(KeyUnsafe, match="ALWAYS_SENSITIVE=False"):
        keys.find(root, "once")


def test_no_key_of_that_label_is_no_error(root: pkcs11.Session) -> None:
    assert keys.find(root, "nobody") is None


def test_a_label_of_two_keys_is_refused(root: pkcs11.Session) -> None:
    keys.make(root, "twins", "P-256", store=False)
    keys.make(root, "twins", "P-256", store=False)

    with pytest.raises(KeyUnusable, match="2 private and 2 public"):
        keys.find(root, "twins")


def test_half_a_pair_is_refused(root: pkcs11.Session) -> None:
    keys.make(root, "half", "P-256", store=False)
    root.get_key(object_class=ObjectClass.PUBLIC_KEY, label="half").destroy()

    with pytest.raises(KeyUnusable, match="1 private and 0 public"):
        keys.find(root, "half")


def test_halves_of_different_pairs_are_refused(root: pkcs11.Session) -> None:
    for label, gone in (("mixed", ObjectClass.PRIVATE_KEY), ("mixed-2", ObjectClass.PUBLIC_KEY)):
        keys.make(root, label, "P-256", store=False)
        root.get_key(object_class=gone, label=label).destroy()
    root.get_key(object_class=ObjectClass.PRIVATE_KEY, label="mixed-2")[Attribute.LABEL] = "mixed"

    with pytest.raises(KeyUnusable, match="different pairs"):
        keys.find(root, "mixed")


def test_a_curve_we_do_not_sign_with_is_refused(root: pkcs11.Session) -> None:
    generate(root, "p384", {"SENSITIVE": True, "EXTRACTABLE": False}, params=P384)

    with pytest.raises(KeyUnusable, match="p384"):
        keys.find(root, "p384")


def test_an_rsa_key_of_another_size_is_refused(root: pkcs11.Session) -> None:
    root.generate_keypair(
        KeyType.RSA,
        2048,
        label="rsa2048",
        id=b"1",
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )

    with pytest.raises(KeyUnusable, match="2048 bits"):
        keys.find(root, "rsa2048")


def test_a_key_the_token_has_lost_is_not_found_again(root: pkcs11.Session) -> None:
    key = keys.make(root, "lost", "P-256", store=False)
    with suppress(pkcs11.PKCS11Error):
        root.get_key(object_class=ObjectClass.PRIVATE_KEY, label="lost").destroy()

    with pytest.raises(pkcs11.NoSuchKey):
        keys.private_half(root, key)
