"""Who is asking: API keys, and the memory of what was proven otherwise, so that each credential is verified once."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from model_service.access.errors import LockedOut, NotAuthenticated
from model_service.access.files import Watched
from model_service.access.keys import Proofs, read_keys, read_token
from model_service.access.lockout import Lockout
from model_service.access.principal import Principal, Proof, Remembers, Shown
from model_service.access.settings import AccessSettings
from model_service.access.verifying import Verifier
from model_service.headers import Headers

log = logging.getLogger(__name__)
API_KEY, AUTHORIZATION = b"x-api-key", b"authorization"
LOOK_SECONDS = 2.0
MOST_RECENT = 10_000


class Gate:
    """Everything that access control knows in one worker.

    Args:
        settings: which ways of proving who one is there are.
        token_file: one more key, an administrator's.
        lockout: of the pod; one of its own when left out.

    Raises:
        SettingsInvalid: a file is wrong, or a package is missing.
    """

    def __init__(
        self, settings: AccessSettings, token_file: Path | None = None, lockout: Lockout | None = None
    ) -> None:
        self.settings = settings
        self._lockout = lockout or Lockout()
        self._key_files = [Watched(path, read_keys) for path in (settings.keys_file,) if path]
        self._key_files += [Watched(path, read_token) for path in (token_file,) if path]
        self.verifier = Verifier(settings, self._lockout)
        self._keys = self._gathered()
        self._era = object()
        self._recent: OrderedDict[bytes, Proof] = OrderedDict()
        self._pending: dict[bytes, asyncio.Task[Principal]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def known(self, headers: Headers, connection: Remembers | None = None) -> Principal | None:
        """Who brings an API key, or anything else that was verified before, if it still holds.

        What is looked up is the sha256 of the credential: how long that takes says nothing about the credential.

        Args:
            headers: of the request.
            connection: that they came on; what it showed is kept there.
        """
        era = self._era  # before what is looked up, so that a change meanwhile makes this old
        header = API_KEY if API_KEY in headers else AUTHORIZATION
        presented = headers.get(header)
        if presented is None:
            return None
        shown = connection.shown if connection is not None else None
        if shown is not None and shown.holds(era, header, presented):
            proof: Proof | None = shown.proof
        else:
            proof = self._found(header, presented)
            if connection is not None and proof is not None:
                connection.shown = Shown(era, header, presented, proof)
        return proof.principal if proof is not None and proof.expires > time.time() else None

    def _found(self, header: bytes, presented: bytes) -> Proof | None:
        if header is API_KEY:
            digest = sha256(presented).digest()
            proof = self._keys.get(digest)
        else:
            digest = _digest(presented)
            proof = self._keys.get(digest) or self._recalled(digest)
        return proof if proof is not None and compare_digest(proof.digest, digest) else None

    def _recalled(self, digest: bytes) -> Proof | None:
        recent = self._recent
        proof = recent.get(digest)
        if proof is not None:
            recent.move_to_end(digest)
        return proof

    async def recognise(self, headers: Headers, address: str) -> Principal:
        """Who is asking; many that ask with one credential at once cost one verification.

        Raises:
            NotAuthenticated, LockedOut, CannotVerify, Overloaded: nobody, for now or at all.
        """
        principal = self.known(headers)
        if principal is not None:
            return principal
        try:
            return await self._verify(headers, address)
        except NotAuthenticated as error:
            if error.wrong:
                self._lockout.failed(address, "")
            if error.wrong and (seconds := self._lockout.seconds(address, "")):
                raise LockedOut(seconds, str(error)) from None
            raise

    async def _verify(self, headers: Headers, address: str) -> Principal:
        authorization = headers.get(AUTHORIZATION)
        if API_KEY in headers:
            raise NotAuthenticated("the API key is unknown or has expired", wrong=True)
        if authorization is None:
            raise NotAuthenticated(f"this needs {self._ways()}")
        digest = _digest(authorization)
        task = self._pending.get(digest)
        if task is None:
            task = self._pending[digest] = asyncio.create_task(self._remember(digest, authorization, address))
            task.add_done_callback(lambda done: self._verified(digest, done))
        return await asyncio.shield(task)  # a client that leaves takes nothing from those who wait with it

    async def _remember(self, digest: bytes, authorization: bytes, address: str) -> Principal:
        recent = self._recent  # if files change meanwhile, what follows from the old ones is not remembered
        principal, expires = await self.verifier.verify(authorization, address)
        recent[digest] = Proof(digest, principal, expires)
        if len(recent) > MOST_RECENT:
            recent.popitem(last=False)
        return principal

    def _verified(self, digest: bytes, task: "asyncio.Task[Principal]") -> None:
        del self._pending[digest]
        if not task.cancelled():
            task.exception()  # those who wait are told; perhaps nobody waits any more

    def _ways(self) -> str:
        basic = ["a password"] if self.settings.basic else []
        keys = ["an X-API-Key header"] if self._key_files else []
        return " or ".join([*keys, "a bearer token", *basic])

    def _gathered(self) -> Proofs:
        return {digest: proof for file in self._key_files for digest, proof in file.value.items()}

    def start(self) -> None:
        """Begin to follow the files and the issuer's keys; call it on the event loop."""
        follow = self._refresh, lambda: asyncio.to_thread(self.look)  # apart: an issuer that hangs delays no file
        self._tasks = [asyncio.create_task(_repeat(act)) for act in follow]

    async def stop(self) -> None:
        """Stop following them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.verifier.close()

    async def _refresh(self) -> None:
        if await self.verifier.refresh():
            self._recent, self._era = OrderedDict(), object()

    def look(self) -> None:
        """Take up what changed in the files: whom they no longer hold is no longer known."""
        changed = [file.look() for file in self._key_files]
        if any(changed):
            self._keys, self._era = self._gathered(), object()
        if self.verifier.look():
            self._recent, self._era = OrderedDict(), object()


async def _repeat(act: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await act()
        except Exception:
            log.exception("looking for changed credentials failed; what was known before goes on")
        await asyncio.sleep(LOOK_SECONDS)


def _digest(authorization: bytes) -> bytes:
    """Of a bearer's token alone, so that an API key may come as one; of any other header whole."""
    is_bearer = authorization[:7].lower() == b"bearer "
    return sha256(authorization[7:].strip() if is_bearer else authorization).digest()
