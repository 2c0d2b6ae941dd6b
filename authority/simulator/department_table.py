"""Whose store it is: decided at the first start, for good."""

from typing import Final

import apsw

from authority.simulator.departments import Department
from authority.simulator.store import StoreUnusable

_READ: Final = "SELECT name FROM department WHERE one = 1"
_WRITE: Final = "INSERT INTO department (one, name) VALUES (1, :name)"


def settle(connection: apsw.Connection, wanted: Department | None) -> Department:
    """Return the department of the store; a new store gets the one wanted, by default the tax office.

    Raises:
        StoreUnusable: The store is the other one's.
    """
    row = connection.execute(_READ).fetchone()
    if row is None:
        department = wanted or Department.TAX
        connection.execute(_WRITE, {"name": department})
        return department
    present = Department(row[0])
    if wanted not in (None, present):
        raise StoreUnusable(f"the store is that of --office {present}, not of --office {wanted}")
    return present
