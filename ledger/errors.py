"""Why a ledger cannot be opened, or must stop: shown to the operator who started the gateway.

None of these is answered to a caller; what callers see is ``invoice.errors.LedgerUnavailable``.
"""


class LedgerError(Exception):
    """Base of the reasons not to start."""


class LedgerInUse(LedgerError):
    """Another gateway holds this ledger, or another program keeps it locked."""


class LedgerReadOnly(LedgerError):
    """The folder or the file cannot be written, or the disk is full."""


class LedgerTooNew(LedgerError):
    """A newer version of this software wrote it."""


class NotALedger(LedgerError):
    """The file is something else, or its migrations were changed after the fact."""


class GrantOverlaps(LedgerError):
    """The authority granted numbers that another grant holds: nothing of it may be used."""
