"""The front page: everything an operator watches, at one look."""

from starlette.requests import Request
from starlette.responses import Response

from console.pages import Pages


class OverviewPage:
    """The overview; live by its stream."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """``GET /``."""
        return self._pages.show(
            request, "overview.html", active="overview", live="/live/overview", name=""
        )
