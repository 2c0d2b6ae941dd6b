"""A school (在线教育): the courses of a family on one invoice, the invoices of an hour in one batch."""

from locust import between, task

from loadtests.grpc_user import GrpcUser
from loadtests.papers import Papers
from loadtests.world import of_types

# Orders of two lines each that go on one invoice, and invoices in a batch.
_ORDERS = 4
_BATCH = (10, 40)


class SchoolUser(GrpcUser):
    """The nightly job of a school, which has all the time there is."""

    weight = 1
    wait_time = between(2.0, 4.0)

    def on_start(self) -> None:
        """Prepare the job."""
        super().on_start()
        places = of_types(self.worker.places["school"], "026", "028")
        self.courses = Papers(places, orders=_ORDERS)

    @task
    def hand_in(self) -> None:
        """Issue one batch of merged invoices."""
        count = self.random.randint(*_BATCH)
        self.batch("school: merged batch", [self.courses.draw(self.random) for _ in range(count)])
