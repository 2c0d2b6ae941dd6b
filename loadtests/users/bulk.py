"""An in-house invoice platform (发票中台): long runs over one stream, behind everybody else."""

from locust import between, task

from loadtests.grpc_user import GrpcUser
from loadtests.papers import Papers
from loadtests.world import of_types

_RUN = (50, 200)


class BulkUser(GrpcUser):
    """A run of the platform; its invoices have the priority BULK."""

    weight = 1
    wait_time = between(3.0, 6.0)

    def on_start(self) -> None:
        """Prepare the run."""
        super().on_start()
        places = self.worker.places
        self.papers = Papers(
            [
                *of_types(places["dispatch"], "026", "028"),
                *of_types(places["digital"], "081", "082"),
            ],
            bulk=True,
        )

    @task
    def run_through(self) -> None:
        """Send everything over one stream, and send what it left open over the next."""
        count = self.random.randint(*_RUN)
        self.stream("bulk: stream", [self.papers.draw(self.random) for _ in range(count)])
