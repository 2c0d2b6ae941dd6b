"""The one way to say no. The desk gives each reason its status."""


class Refusal(Exception):
    """The call is refused and has no effect.

    ``reason`` is the wire name. ``retry_s`` is when a retry makes sense, None when that is not
    known. ``facts`` go into the metadata.
    """

    def __init__(
        self, reason: str, message: str, *, retry_s: float | None = None, **facts: str
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_s = retry_s
        self.facts = facts


def malformed(field: str, message: str) -> Refusal:
    """Return the refusal of a field that no call of this kind may carry."""
    return Refusal("REQUEST_INVALID", f"{field}: {message}", field=field)
