"""What a run is told, handed to Locust's processes through their environment."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

_PREFIX: Final = "LOAD_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run. ``users`` is the most there are, ``rate`` how many come or go in a second."""

    target: str
    folder: str
    shape: str
    users: int
    rate: float
    seconds: float
    seed: int

    def environment(self) -> dict[str, str]:
        """These options as variables."""
        return {_PREFIX + one.name.upper(): str(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Options":
        """Read them back; ``KeyError`` when one is missing."""
        text = {one.name: environment[_PREFIX + one.name.upper()] for one in fields(cls)}
        return cls(
            target=text["target"],
            folder=text["folder"],
            shape=text["shape"],
            users=int(text["users"]),
            rate=float(text["rate"]),
            seconds=float(text["seconds"]),
            seed=int(text["seed"]),
        )
