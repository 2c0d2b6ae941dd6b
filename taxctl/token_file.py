"""A resume token in a file: read at the start, replaced whole after every message."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

from taxctl.session import Unusable
from taxctl.words import tr

_BYTES_MAX: Final = 64 * 1024


def load(path: Path) -> str:
    """Return the token in ``path``; empty when there is no such file.

    Raises:
        Unusable: It cannot be read, or holds no token. Beginning anew would miss changes.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_BYTES_MAX + 1)
        token = data.decode("ascii").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unusable(tr("{path}: holds no resume token").format(path=path)) from error
    if not token or len(data) > _BYTES_MAX or not token.isprintable():
        raise Unusable(tr("{path}: holds no resume token").format(path=path))
    return token


def store(path: Path, token: str) -> None:
    """Replace the token in ``path``: after a crash at any moment the old or the new one is there.

    Raises:
        Unusable: It cannot be written.
    """
    try:
        _replace(path, f"{token}\n".encode("ascii"))
    except OSError as error:
        raise Unusable(
            tr("{path}: {error}; the position was not stored").format(
                path=path, error=error.strerror
            )
        ) from error


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            # Renamed before its bytes are safe, a power cut could leave an empty file.
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
