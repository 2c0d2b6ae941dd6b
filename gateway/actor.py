"""Who does an operator's write: as the caller calls itself, until callers have identities."""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

from invoice.errors import InvalidRequest

KEY: Final = "operator"
"""The metadata key that names the operator."""

_NAME_CHARACTERS_MAX: Final = 64
_DEFAULT: Final = "operator"
# Those of what acts by itself: nobody may pass for it.
GATEWAY: Final = "gateway"
AUTHORITY: Final = "authority"

_actor: ContextVar[str] = ContextVar("actor", default=_DEFAULT)


def current() -> str:
    """Return who the running call is for; ``operator`` when it did not say."""
    return _actor.get()


def note(metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
    """Take the name out of a call's metadata, for as long as the call runs.

    Raises:
        InvalidRequest: At ``operator``: it is no name, or one that nobody may use.
    """
    for key, value in metadata or ():
        if key == KEY:
            _actor.set(_checked(value))
            return


def _checked(value: str | bytes) -> str:
    name = value.decode(errors="replace") if isinstance(value, bytes) else value
    if not (1 <= len(name) <= _NAME_CHARACTERS_MAX and name.isascii() and name.isprintable()):
        message = f"1 to {_NAME_CHARACTERS_MAX} printable ASCII characters"
        raise InvalidRequest(KEY, "FIELD_FORMAT", message)
    if name in (GATEWAY, AUTHORITY):
        raise InvalidRequest(KEY, "FIELD_NOT_ALLOWED", "stands for what acts by itself")
    return name
