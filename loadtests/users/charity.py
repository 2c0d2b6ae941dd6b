"""A foundation (公益): donation receipts, none for a while and then many, most of all in the evening."""

from locust import task

from loadtests import shapes
from loadtests.grpc_user import GrpcUser
from loadtests.papers import Papers
from loadtests.world import of_types

_BURST = (10, 40)
# Between two bursts: when people give, and when they work or sleep.
_EVENING_S = (2.0, 5.0)
_DAY_S = (10.0, 25.0)


class CharityUser(GrpcUser):
    """A donation page: after each appeal every donor wants a receipt at once."""

    weight = 2

    def on_start(self) -> None:
        """Open the page."""
        super().on_start()
        self.receipts = Papers(of_types(self.worker.places["foundation"], "D01"))

    def wait_time(self) -> float:
        """Until the next appeal is heard."""
        pause_s = _EVENING_S if shapes.evening(self.worker.hour) else _DAY_S
        return self.random.uniform(*pause_s)

    @task
    def burst(self) -> None:
        """One receipt after the other, without a pause."""
        for _ in range(self.random.randint(*_BURST)):
            self.issue("charity: receipt", self.receipts.draw(self.random))
