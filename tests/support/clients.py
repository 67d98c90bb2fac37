"""Applications in this process, with clients of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from fastapi.testclient import TestClient

from model_service.app import create_app
from model_service.settings import Settings


@contextmanager
def starting() -> Iterator[Callable[..., TestClient]]:
    """Give what starts an application from its settings; all of them end with the block."""
    with ExitStack() as stack:

        def start(client: tuple[str, int] = ("testclient", 50000), **settings: Any) -> TestClient:
            app = create_app(Settings.model_validate(settings))
            return stack.enter_context(TestClient(app, raise_server_exceptions=False, client=client))

        yield start
