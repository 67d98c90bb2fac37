"""Files of credentials that are read again when they change; what cannot be read leaves what was read before.

A Secret's files are links into a folder that is swapped as a whole, so a change shows in what the link leads to.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Generic, TypeVar

import yaml
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError, field_validator

from model_service.access.principal import ROLES
from model_service.errors import SettingsInvalid
from model_service.setting_types import Group

log = logging.getLogger(__name__)
NEVER = float("inf")
MOST_BYTES = 16 << 20
T = TypeVar("T")


class Entry(Group):
    """What keys, users and clients have in common.

    Attributes:
        name: who it is, for logs and limits.
        hash: of the secret.
        roles: what it may do; `predict` alone when left out.
        models: names of the models that it is limited to; all when left out.
        expires: when it ends to hold, a date (its first moment in UTC) or a time with a zone; never when left out.
    """

    name: str = Field(min_length=1, max_length=128, pattern=r"^[^\s:]+$")
    hash: str
    roles: tuple[str, ...] = ("predict",)
    models: tuple[str, ...] | None = None
    expires: AwareDatetime | date | None = None

    @field_validator("roles")
    @classmethod
    def _known(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [role for role in roles if role not in ROLES]:
            raise ValueError(f"expected roles of {', '.join(ROLES)}, got {unknown[0]}")
        return roles

    @property
    def expires_at(self) -> float:
        """Seconds since the epoch."""
        if self.expires is None:
            return NEVER
        moment = self.expires if isinstance(self.expires, datetime) else datetime.combine(self.expires, time(), UTC)
        return moment.timestamp()


E = TypeVar("E", bound=Entry)


def read_entries(path: Path, kind: type[E]) -> Sequence[E]:
    """The entries of a YAML or JSON list.

    Raises:
        SettingsInvalid: the file or an entry is not what it should be; a hash is never shown.
    """
    try:
        document = yaml.safe_load(read_bytes(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise SettingsInvalid(f"{path}: not YAML or JSON{f', line {mark.line + 1}' if mark else ''}") from None
    if not isinstance(document, list):
        raise SettingsInvalid(f"{path}: expected a list of entries, got {type(document).__name__}")
    try:
        entries = TypeAdapter(list[kind]).validate_python(document)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        index, *place = first["loc"]
        raise SettingsInvalid(f"{path}: entry {int(index) + 1}: {'.'.join(map(str, place))}: {first['msg']}") from None
    for what in ("name", "hash"):
        _refuse_twice(path, what, [getattr(entry, what) for entry in entries])
    return entries


def read_bytes(path: Path) -> bytes:
    """The content of a file of credentials.

    Raises:
        SettingsInvalid: it cannot be read, or is not text.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SettingsInvalid(f"{path}: larger than {MOST_BYTES} bytes")
        content = path.read_bytes()
        content.decode()
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsInvalid(f"{path}: not UTF-8") from None
    return content


def _refuse_twice(path: Path, what: str, values: Sequence[str]) -> None:
    first_of: dict[str, int] = {}
    for number, value in enumerate(values, start=1):
        if first_of.setdefault(value, number) != number:
            raise SettingsInvalid(f"{path}: entries {first_of[value]} and {number} have the same {what}")


class Watched(Generic[T]):
    """What a file says, now or when it was last right.

    Args:
        path: the file.
        read: makes a value of it; raises SettingsInvalid.

    Raises:
        SettingsInvalid: it is wrong at the first reading.
    """

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path, self._read = path, read
        self._seen = _state(path)
        self.value = read(path)

    def look(self) -> bool:
        """Read the file again if it changed; whether there is a new value."""
        seen = _state(self.path)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self.value = self._read(self.path)
        except SettingsInvalid as error:
            log.error("what was read before is kept: %s", error)  # noqa: TRY400 - the sentence is the whole of it
            return False
        log.info("read again: %s", self.path)
        return True


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
