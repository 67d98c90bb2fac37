"""Asking as somebody: renewed once when credentials ran out, and as nobody where that is enough."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock
from typing import Protocol, TypeVar

from model_artifact.delivery import AccessDenied, DeliveryError
from model_fetcher.errors import Expired
from model_fetcher.sources.base import Auth

T = TypeVar("T")
ANONYMOUS = "anonymous"


class Login(Protocol):
    """Somebody who asks."""

    @property
    def identity(self) -> str:
        """An account's name."""

    def sign(self, url: str, headers: dict[str, str], scope: str = "") -> dict[str, str]:
        """The headers of a GET request of `url` with what proves who asks; `scope` is a region, where there are any."""

    def renew(self) -> None:
        """Get new credentials. Raises AccessDenied when there are none."""


class Anonymous:
    """Nobody."""

    identity = ANONYMOUS

    def sign(self, url: str, headers: dict[str, str], scope: str = "") -> dict[str, str]:  # noqa: ARG002
        """The headers as they are."""
        return headers

    def renew(self) -> None:
        """Do nothing, for nobody has anything to renew."""


class Caller:
    """Sends requests as somebody, for any number of threads.

    Args:
        login: whom the environment names.
        auth: `auto` falls back to nobody when the first reads are refused, for what is public may be read by nobody
            even where somebody without rights may not.
        notify: told when it does.
    """

    def __init__(self, login: Login, auth: Auth, notify: Callable[[str], None]) -> None:
        self._login: Login = Anonymous() if auth == "anonymous" else login
        self._may_fall_back = auth == "auto" and self.identity != ANONYMOUS
        self._notify = notify
        self._renewing = Lock()
        self._renewals = 0

    @property
    def identity(self) -> str:
        """Who asks by now."""
        return self._login.identity

    @contextmanager
    def ask(self, send: Callable[[Login], AbstractContextManager[T]]) -> Iterator[T]:
        """Yield what `send` gives for a login that it does not refuse.

        Raises:
            AccessDenied: everybody who may be asked for was refused.
        """
        with ExitStack() as stack:
            yield self._enter(stack, send)

    def _enter(self, stack: ExitStack, send: Callable[[Login], AbstractContextManager[T]]) -> T:
        login, renewals = self._login, self._renewals
        try:
            answer = self._enter_renewed(stack, send, login, renewals)
        except AccessDenied as refused:
            if not self._may_fall_back:
                raise
            try:
                answer = stack.enter_context(send(Anonymous()))
            except DeliveryError:
                raise refused from None
            self._fall_back(login)
            return answer
        self._may_fall_back = False
        return answer

    def _enter_renewed(
        self, stack: ExitStack, send: Callable[[Login], AbstractContextManager[T]], login: Login, renewals: int
    ) -> T:
        try:
            return stack.enter_context(send(login))
        except Expired:
            if login.identity == ANONYMOUS:
                raise
            with self._renewing:
                if self._renewals == renewals:  # and no other thread did meanwhile
                    login.renew()
                    self._renewals += 1
            return stack.enter_context(send(login))

    def _fall_back(self, refused: Login) -> None:
        if self._login is refused:
            self._login = Anonymous()
            self._notify(f"{refused.identity} was refused and anybody may read: going on as {ANONYMOUS}")
