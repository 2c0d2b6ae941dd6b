"""What SQLite stores and answers, as types."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import apsw
import orjson

Value: TypeAlias = "str | int | float | bytes | None"
# Columns are known to the statement that names them, not to the type checker.
Row: TypeAlias = tuple[Any, ...]
Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


def fetch(connection: apsw.Connection, statement: str, values: Sequence[Value] = ()) -> list[Row]:
    """Run a statement to its end and answer its rows."""
    return connection.execute(statement, values).fetchall()


def fetch_one(connection: apsw.Connection, statement: str, values: Sequence[Value] = ()) -> Any:
    """Run a statement and answer its only column of its only row; None when there is no row."""
    return connection.execute(statement, values).get


def to_json(value: Json) -> str:
    """Write ``value`` with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def from_json(text: str | bytes) -> Any:
    """Read what :func:`to_json` wrote."""
    return orjson.loads(text)
