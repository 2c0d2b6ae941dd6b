"""The policy in force, kept over restarts."""

import json
from dataclasses import asdict
from typing import Final

import apsw

from authority.simulator.policy import OfflineLimits, Policy, Window

_READ: Final = "SELECT document, windows_since_ns FROM policy WHERE one = 1"
_LATER: Final = ("issue_days", "issue_deadline", "clock_ahead_ms", "certificate_days")
_WRITE: Final = """
INSERT INTO policy (one, document, windows_since_ns) VALUES (1, :document, :since_ns)
ON CONFLICT (one) DO UPDATE
SET document = excluded.document, windows_since_ns = excluded.windows_since_ns
"""


def load(connection: apsw.Connection) -> tuple[Policy, int] | None:
    """Return the policy and since when its windows count; None in a new store."""
    row = connection.execute(_READ).fetchone()
    if row is None:
        return None
    document = json.loads(row[0])
    policy = Policy(
        windows=tuple(Window(**window) for window in document["windows"]),
        offline_limits=OfflineLimits(**document["offline_limits"]),
        holding_count_max=document["holding_count_max"],
        result_delay_ms=document["result_delay_ms"],
        # Those that are not in documents of an older simulator.
        **{name: document[name] for name in _LATER if name in document},
    )
    return policy, row[1]


def save(connection: apsw.Connection, policy: Policy, now_ns: int) -> int:
    """Put ``policy`` in force; return since when its windows count.

    Windows that stay the same go on counting, so a restart forgives nothing.
    """
    present = load(connection)
    since_ns = now_ns
    if present is not None and present[0].windows == policy.windows:
        since_ns = present[1]
    document = json.dumps(asdict(policy))
    connection.execute(_WRITE, {"document": document, "since_ns": since_ns})
    return since_ns
