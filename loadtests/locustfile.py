"""What Locust reads: the users, the shape, and who keeps the account of each process.

``python -m loadtests.load`` starts Locust with this file; it needs the variables of ``options``.
"""

import os
from typing import Any

from locust import LoadTestShape, events
from locust.env import Environment
from locust.runners import MasterRunner

from loadtests import shapes
from loadtests.grpc_user import worker
from loadtests.options import Options
from loadtests.users.bulk import BulkUser
from loadtests.users.charity import CharityUser
from loadtests.users.merchant import MerchantUser
from loadtests.users.operator import OperatorUser
from loadtests.users.railway import RailwayUser
from loadtests.users.school import SchoolUser

USERS = [RailwayUser, CharityUser, SchoolUser, MerchantUser, BulkUser, OperatorUser]


# By hand, on Locust's page, whoever sits there says how many; a shape would overrule them.
if Options.of_environment(os.environ).shape:

    class Shape(LoadTestShape):
        """The shape that the run was told."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._options = Options.of_environment(os.environ)

        def tick(self) -> tuple[int, float] | None:
            """How many users there are now, and how fast they come."""
            options = self._options
            count = shapes.users_at(
                options.shape,
                self.get_run_time(),  # type: ignore[no-untyped-call]
                total_s=options.seconds,
                users_max=options.users,
                users_min=len(USERS),
            )
            return None if count is None else (count, options.rate)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _keep_account(environment: Environment, **_: Any) -> None:
    """Everywhere but in the master of several processes, which has no users."""
    if isinstance(environment.runner, MasterRunner):
        return

    @environment.events.test_start.add_listener  # type: ignore[untyped-decorator]
    def _begin(**_: Any) -> None:
        worker()

    @environment.events.user_error.add_listener  # type: ignore[untyped-decorator]
    def _note(user_instance: Any, exception: Exception, **_: Any) -> None:
        # A fault of a user's own code: what it did is then not checked, so the run is not right.
        worker().account.wrong(type(user_instance).__name__, "failed", [repr(exception)])

    @environment.events.quit.add_listener  # type: ignore[untyped-decorator]
    def _end(**_: Any) -> None:
        if worker.cache_info().currsize:
            worker().account.close()
            worker().connection.channel.close()
