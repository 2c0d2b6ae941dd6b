"""Messages from their JSON form, read strictly: every fault is named with its place.

The form is that of proto3 JSON: field names in snake_case or camelCase, 64-bit numbers as numbers
or text, enum values by name, null for what is left out. What a lenient reader would pass over (a
field that is not known or stands there twice, a number cut to fit) is a fault here.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from taxctl.words import tr

_BITS: Final = {FieldDescriptor.CPPTYPE_INT32: 31, FieldDescriptor.CPPTYPE_INT64: 63}
# No number of ours has more digits.
_DIGITS_MAX: Final = 40
_SHOWN_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that cannot be taken: the path of the field, the rule's name, a sentence."""

    field: str
    rule: str
    message: str

    def __str__(self) -> str:
        told = f"{self.rule}: {self.message}"
        return f"{self.field}: {told}" if self.field else told


class _Unfit(Exception):
    """A value is not of its field's form; the sentence says what it must be."""


class JsonObject(dict[str, Any]):
    """An object as it stands there, with the keys that stand there more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counted = Counter(key for key, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = [key for key, count in counted.items() if count > 1]


def _not_a_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


DECODER: Final = json.JSONDecoder(object_pairs_hook=JsonObject, parse_constant=_not_a_number)


def fill(message: Message, value: object, path: str = "") -> list[Fault]:
    """Fill ``message`` from what :data:`DECODER` read; the answer is every fault there is."""
    return list(_fill(message, value, path))


def _fill(message: Message, value: object, path: str) -> Iterator[Fault]:
    if not isinstance(value, JsonObject):
        yield Fault(
            path, "FIELD_FORMAT", tr("must be an object, not {kind}").format(kind=_kind(value))
        )
        return
    known = _fields(cast("Descriptor", message.DESCRIPTOR))
    for key in value.repeated:
        yield Fault(_at(path, key), "FIELD_REPEATED", tr("stands there twice"))
    met: dict[str, str] = {}
    for key, given in value.items():
        field = known.get(key)
        if field is None:
            yield Fault(
                _at(path, key),
                "FIELD_UNKNOWN",
                tr("is no field of {name}").format(name=_name(message)),
            )
            continue
        if field.name in met:
            twice = tr("stands there as {name} as well").format(name=met[field.name])
            yield Fault(_at(path, key), "FIELD_REPEATED", twice)
            continue
        met[field.name] = key
        if given is not None:
            yield from _assign(message, field, given, _at(path, field.name))


def _assign(message: Message, field: FieldDescriptor, value: object, path: str) -> Iterator[Fault]:
    if field.is_repeated:
        if not isinstance(value, list):
            yield Fault(
                path, "FIELD_FORMAT", tr("must be a list, not {kind}").format(kind=_kind(value))
            )
            return
        for place, one in enumerate(value):
            yield from _append(message, field, one, f"{path}[{place}]")
    elif field.message_type is not None:
        inner = getattr(message, field.name)
        inner.SetInParent()
        yield from _fill(inner, value, path)
    else:
        try:
            setattr(message, field.name, _scalar(field, value))
        except _Unfit as error:
            yield Fault(path, "FIELD_FORMAT", str(error))


def _append(message: Message, field: FieldDescriptor, value: object, path: str) -> Iterator[Fault]:
    repeated = getattr(message, field.name)
    if field.message_type is not None:
        yield from _fill(repeated.add(), value, path)
        return
    try:
        repeated.append(_scalar(field, value))
    except _Unfit as error:
        yield Fault(path, "FIELD_FORMAT", str(error))


def _scalar(field: FieldDescriptor, value: object) -> str | bool | int:
    """Read a scalar; raise :class:`_Unfit` with the sentence."""
    if field.enum_type is not None:
        return _enum(field.enum_type, value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text(value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if isinstance(value, bool):
            return value
        raise _Unfit(tr("must be true or false, not {kind}").format(kind=_kind(value)))
    return _whole(value, _BITS[field.cpp_type])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unfit(tr("must be a text in quotes, not {kind}").format(kind=_kind(value)))
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Unfit(tr("holds half of a character (a lone surrogate)")) from error
    return value


def _whole(value: object, bits: int) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, str) and _written_whole(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        shown = f" ({str(value)[:_SHOWN_MAX]})" if isinstance(value, (str, float)) else ""
        raise _Unfit(
            tr("must be a whole number, not {kind}{shown}").format(kind=_kind(value), shown=shown)
        )
    if not -(2**bits) <= value < 2**bits:
        raise _Unfit(tr("must fit {n} bits").format(n=bits + 1))
    return value


def _written_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX


def _enum(values: EnumDescriptor, value: object) -> int:
    names = values.values_by_name
    if isinstance(value, str) and value in names:
        return int(names[value].number)
    if isinstance(value, int) and not isinstance(value, bool) and value in values.values_by_number:
        return value
    raise _Unfit(tr("must be one of {names}").format(names=", ".join(names)))


@cache
def _fields(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    named = {field.name: field for field in descriptor.fields}
    return {field.json_name: field for field in descriptor.fields} | named


def _kind(value: object) -> str:
    """What JSON calls it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return tr("a number")
    if isinstance(value, str):
        return tr("a text")
    return tr("a list") if isinstance(value, list) else tr("an object")


def _name(message: Message) -> str:
    return str(message.DESCRIPTOR.name)


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
