"""FPKJ issue requests: XML to ``IssueInvoiceRequest`` and back.

Nothing a platform sends is dropped in silence: an element we do not know is passed over only when
it is empty, and refused by name otherwise.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from fpkj.document import DOCUMENT_BYTES_MAX, Element, parse
from fpkj.errors import FpkjError
from fpkj.fields import HEADER, LINE, Field, Value
from fpkj.markup import element, encode, valid
from taxcontrol.v1 import invoice_pb2 as pb
from taxcontrol.v1 import invoice_service_pb2 as service

_ROOT: Final = "business"
_REQUEST: Final = "REQUEST_COMMON_FPKJ"
_HEADER: Final = "COMMON_FPKJ_FPT"
_LINES: Final = "COMMON_FPKJ_XMXXS"
_LINE: Final = "COMMON_FPKJ_XMXX"
# What platforms put on elements; only `id` and `size` say something, and both are checked.
_ATTRIBUTES: Final = frozenset({"id", "comment", "class", "size", "version"})
_FIELDS: Final = {
    table: {field.element: field for field in fields}
    for table, fields in ((_HEADER, HEADER), (_LINE, LINE))
}

Message = service.IssueInvoiceRequest | pb.Line


def read(data: bytes, *, point: int = 0) -> list[service.IssueInvoiceRequest]:
    """Read the requests of one document, in its order. FPKJ names no issuing point, so ``point`` does.

    Raises:
        FpkjError: The document or one of its fields cannot be taken; nothing of it is.
    """
    root = parse(data)
    if root.tag != _ROOT or root.attributes.get("id") != "FPKJ":
        raise FpkjError(root.tag, "ELEMENT_UNKNOWN", 'the document must be <business id="FPKJ">')
    found = _children(root, "", {_REQUEST})
    if not found:
        raise FpkjError(_REQUEST, "ELEMENT_MISSING", "no request in the document")
    paths = [f"{_REQUEST}[{place}]" if len(found) > 1 else "" for place in _count(found)]
    return [_request(one, path, point) for one, path in zip(found, paths, strict=True)]


def write(request: service.IssueInvoiceRequest) -> bytes:
    """Write a request as GBK XML. Point and priority have no place in FPKJ and stay behind.

    Raises:
        FpkjError: A value has no spelling in FPKJ, or the document would be too large; a donation
            receipt, which is not the tax authority's, has no place in it at all.
    """
    if request.donation_project:
        raise FpkjError("donation_project", "FIELD_NOT_ALLOWED", "FPKJ knows no donation receipts")
    lines = [
        element(_LINE, _written(line, LINE, f"{_LINES}/{_LINE}[{place}]"))
        for place, line in zip(_count(request.lines), request.lines, strict=True)
    ]
    data = encode(
        _REQUEST,
        [
            element(_HEADER, _written(request, HEADER, _HEADER), f' class="{_HEADER}"'),
            element(_LINES, lines, f' class="{_LINE}" size="{len(lines)}"'),
        ],
    )
    if len(data) > DOCUMENT_BYTES_MAX:
        message = f"{len(data)} bytes, at most {DOCUMENT_BYTES_MAX}"
        raise FpkjError("", "DOCUMENT_TOO_LARGE", message)
    return data


def _request(element: Element, path: str, point: int) -> service.IssueInvoiceRequest:
    parts = _alone(_children(element, path, {_HEADER, _LINES}), path)
    for tag in (_HEADER, _LINES):
        if tag not in parts:
            raise FpkjError(_at(path, tag), "ELEMENT_MISSING", "must be there")
    request = service.IssueInvoiceRequest()
    _fill(request, parts[_HEADER], _at(path, _HEADER))
    lines_path = _at(path, _LINES)
    lines = _children(parts[_LINES], lines_path, {_LINE})
    _check_size(parts[_LINES], len(lines), lines_path)
    for place, line in zip(_count(lines), lines, strict=True):
        _fill(request.lines.add(), line, f"{lines_path}/{_LINE}[{place}]")
    request.point = f"taxpayers/{request.seller.tax_number}/points/{point}"
    return request


def _fill(message: Message, element: Element, path: str) -> None:
    fields = _FIELDS[element.tag]
    found = _alone(_children(element, path, fields), path)
    for name, field in fields.items():
        text = _text(found[name], _at(path, name)) if name in found else ""
        if text:
            _assign(message, field, text, _at(path, name))
        elif field.required:
            raise FpkjError(_at(path, name), "FIELD_REQUIRED", "must be filled")


def _assign(message: Message, field: Field, text: str, path: str) -> None:
    try:
        value = field.form.read(text)
    except ValueError as error:
        raise FpkjError(path, "FIELD_FORMAT", str(error)) from error
    above, _, name = field.path.rpartition(".")
    setattr(getattr(message, above) if above else message, name, value)


def _written(message: Message, fields: Iterable[Field], path: str) -> Iterator[str]:
    for field in fields:
        try:
            yield element(field.element, valid(_spelled(message, field)))
        except ValueError as error:
            raise FpkjError(f"{path}/{field.element}", "FIELD_FORMAT", str(error)) from error


def _spelled(message: Message, field: Field) -> str:
    # The stubs know each message's names one by one, the table holds them as text.
    if field.absent and not message.HasField(field.path):  # type: ignore[arg-type]
        return ""
    value: Value = message  # type: ignore[assignment]
    for name in field.path.split("."):
        value = getattr(value, name)
    return field.form.write(value)


def _children(element: Element, path: str, known: Iterable[str]) -> list[Element]:
    """Return the known children; raise for a filled unknown one, and for text between them."""
    _check_attributes(element, path)
    if element.text.strip():
        raise FpkjError(path or element.tag, "FIELD_FORMAT", "holds text beside its elements")
    kept = []
    for child in element.children:
        if child.tag in known:
            kept.append(child)
        elif child.children or child.text.strip() or child.attributes.keys() - _ATTRIBUTES:
            message = "is filled, and would be lost"
            raise FpkjError(_at(path, child.tag), "ELEMENT_UNKNOWN", message)
    return kept


def _alone(elements: Iterable[Element], path: str) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for one in elements:
        if one.tag in found:
            raise FpkjError(_at(path, one.tag), "ELEMENT_REPEATED", "stands there twice")
        found[one.tag] = one
    return found


def _text(element: Element, path: str) -> str:
    _check_attributes(element, path)
    if element.children:
        raise FpkjError(path, "FIELD_FORMAT", "must hold text only")
    return element.text


def _check_attributes(element: Element, path: str) -> None:
    for name in sorted(element.attributes.keys() - _ATTRIBUTES):
        raise FpkjError(f"{path or element.tag}/@{name}", "ATTRIBUTE", "is not known")


def _check_size(lines: Element, count: int, path: str) -> None:
    """Compare the stated number of lines: a document cut and mended on its way must not pass."""
    stated = lines.attributes.get("size", str(count))
    if stated != str(count):
        raise FpkjError(f"{path}/@size", "ATTRIBUTE", f"says {stated}, there are {count} lines")


def _at(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _count(things: Iterable[object]) -> Iterator[int]:
    """Number things from 1, as XPath does."""
    return (place for place, _ in enumerate(things, 1))
