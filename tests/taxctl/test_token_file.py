"""A token file is whole or as it was; what holds no token is never taken for a fresh start."""

import os
from pathlib import Path

import pytest

from taxctl.session import Unusable
from taxctl.token_file import load, store


def test_what_was_stored_is_loaded_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "token"

    for token in ("first", "second"):
        store(path, token)
        assert load(path) == token

    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_no_token(tmp_path: Path) -> None:
    assert load(tmp_path / "none") == ""


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"a\nb", b"x" * 65_537, b"a\x1b[2J"])
def test_what_holds_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)

    with pytest.raises(Unusable, match="holds no resume token"):
        load(path)


def test_what_cannot_be_written_is_said_and_the_old_token_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "token"
    with pytest.raises(Unusable, match="the position was not stored"):
        store(path, "t")

    path = tmp_path / "token"
    store(path, "old")
    # A folder in the way of the rename, as a full disk is in the way of the bytes.
    (tmp_path / "taken").mkdir()
    with pytest.raises(Unusable):
        store(tmp_path / "taken", "new")
    assert load(path) == "old"
    assert sorted(os.listdir(tmp_path)) == ["taken", "token"]  # noqa: PTH208 - names only
