"""The one error of this room."""


class FpkjError(Exception):
    """The document cannot be taken as an FPKJ request, or a message cannot be written as one.

    ``field`` is the path of the XML element (``COMMON_FPKJ_FPT/HJJE``; lines are counted from 1,
    as XPath counts), ``""`` when the document as a whole is meant. ``rule`` is one of
    DOCUMENT_TOO_LARGE, ENCODING, XML_FORBIDDEN, XML_MALFORMED, ELEMENT_UNKNOWN, ELEMENT_REPEATED,
    ELEMENT_MISSING, ATTRIBUTE, FIELD_REQUIRED, FIELD_FORMAT.
    """

    def __init__(self, field: str, rule: str, message: str) -> None:
        super().__init__(f"{field}: {rule}: {message}" if field else f"{rule}: {message}")
        self.field = field
        self.rule = rule
        self.message = message
