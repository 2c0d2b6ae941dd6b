"""A token says what it was made to say, to whom it was made for, and nothing else passes for one."""

import base64
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resume_token import Tokens, packed, unpacked
from invoice.errors import InvalidRequest

SEED = 20_260_708
TOKENS = Tokens(b"k" * 32)


def rule(text: str, bound: bytes = b"bound", tokens: Tokens = TOKENS) -> str:
    """By which rule a token is refused."""
    with pytest.raises(InvalidRequest) as caught:
        tokens.read(text, bound, field="page_token")
    assert caught.value.facts["field"] == "page_token"
    return caught.value.facts["rule"]


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_was_made_is_read(payload: bytes, bound: bytes) -> None:
    token = TOKENS.make(bound, payload)

    assert TOKENS.read(token, bound, field="x") == payload
    assert token.isascii()
    assert "=" not in token


@given(st.dictionaries(st.integers(1, 2**40), st.integers(1, 2**62), max_size=20))
def test_positions_are_read_as_written(positions: dict[int, int]) -> None:
    assert unpacked(packed(positions)) == positions


def test_a_position_of_few_meters_is_short() -> None:
    assert len(TOKENS.make(b"bound", packed(dict.fromkeys(range(100, 108), 1_000_000)))) < 90


def test_a_meter_at_its_beginning_is_left_out() -> None:
    assert packed({1: 0, 5: 3, 9: 0}) == packed({5: 3})


def test_a_token_of_another_question_is_a_mismatch() -> None:
    assert rule(TOKENS.make(b"other", b"payload")) == "TOKEN_MISMATCH"


def test_a_token_of_another_ledger_is_none() -> None:
    assert rule(Tokens(b"l" * 32).make(b"bound", b"payload")) == "FIELD_FORMAT"


@pytest.mark.parametrize(
    "text", ["", "x", "xx", "ü" * 40, "a" * 40, "a b" * 20, "=" * 40, "a" * 9999]
)
def test_nonsense_is_no_token(text: str) -> None:
    assert rule(text) == "FIELD_FORMAT"


def test_no_altered_token_passes() -> None:
    print(f"seed {SEED}")
    rng = Random(SEED)
    token = TOKENS.make(b"bound", b"payload")
    whole = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for at in range(len(whole)):
        altered = bytearray(whole)
        altered[at] ^= rng.randrange(1, 256)
        text = base64.urlsafe_b64encode(altered).rstrip(b"=").decode()
        assert rule(text) == "FIELD_FORMAT", at
    for cut in range(1, len(whole)):
        shorter = base64.urlsafe_b64encode(whole[:-cut]).rstrip(b"=").decode()
        assert rule(shorter) == "FIELD_FORMAT", cut
