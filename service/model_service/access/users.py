"""Users and clients with passwords: argon2 hashes, checked in a thread, few at a time.

Argon2 is slow and takes tens of megabytes on purpose, so a check waits for the one before, and few may wait.
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic import Field, field_validator

from model_service.access.files import Entry, read_entries
from model_service.access.principal import Kind, Principal
from model_service.errors import Overloaded

MOST_MEMORY_KIB = 1 << 20
MOST_WAITING = 16
_hasher = PasswordHasher()


class User(Entry):
    """Somebody with a password, or a program with a secret; `modelport keys password` writes the entry.

    Attributes:
        client: a program, which takes the client-credentials grant; people take the password grant.
    """

    hash: str = Field(pattern=r"^\$argon2id\$")
    client: bool = False

    @field_validator("hash")
    @classmethod
    def _affordable(cls, hash_: str) -> str:
        try:
            memory = extract_parameters(hash_).memory_cost
        except InvalidHashError:
            raise ValueError("expected an argon2id hash") from None
        if memory > MOST_MEMORY_KIB:
            raise ValueError(f"expected a hash that takes at most {MOST_MEMORY_KIB} KiB, got {memory}")
        return hash_

    def principal(self, kind: Kind) -> Principal:
        """The user, as proven in one of the ways."""
        return Principal.make(self.name, kind, self.roles, self.models)


Users = Mapping[str, User]


def read_users(path: Path) -> Users:
    """The users of a file by name.

    Raises:
        SettingsInvalid: the file is not what it should be.
    """
    return {user.name: user for user in read_entries(path, User)}


class Passwords:
    """Checks passwords away from the event loop, one at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._waiting = 0

    async def check(self, users: Users, name: str, password: str) -> User | None:
        """The user, if the password is right and the entry still holds.

        An unknown name takes as long as a wrong password: it is checked against somebody else's hash.

        Raises:
            Overloaded: too many checks wait.
        """
        if self._waiting >= MOST_WAITING:
            raise Overloaded("too many passwords wait to be checked", 1)
        user = users.get(name)
        hash_ = (user or next(iter(users.values()))).hash if users else ""
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(self._thread, _is_right, hash_, password)
        finally:
            self._waiting -= 1
        return user if right and user is not None and time.time() < user.expires_at else None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _is_right(hash_: str, password: str) -> bool:
    try:
        return _hasher.verify(hash_, password)
    except (Argon2Error, InvalidHashError):
        return False
