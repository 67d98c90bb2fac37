"""What stores of buckets have in common: keys below a URI, and levels made of listings that come in pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from model_artifact.delivery import Usage
from model_fetcher.sources.base import Entry

MAX_HINTS = 1000
"""Objects of a level that are kept, for they only serve as hints. Folders, which may be versions, are all kept."""


@dataclass(frozen=True)
class Page:
    """A piece of a listing: objects with their sizes in bytes, and folders, all by their full names."""

    objects: list[Entry]
    folders: list[str]


@dataclass(frozen=True)
class Spot:
    """A bucket and a key in it, without a slash at its end; an empty key is the bucket itself."""

    scheme: str
    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> "Spot":
        """The spot that a URI names. Raises Usage when the bucket is missing."""
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if not bucket:
            raise Usage(f"{uri}: expected {scheme}://bucket/key")
        return cls(scheme.lower(), bucket, key.rstrip("/"))

    @property
    def prefix(self) -> str:
        """What the names of all objects below it begin with."""
        return f"{self.key}/" if self.key else ""

    @property
    def parent(self) -> str:
        """The prefix of what lies beside it."""
        folder, slash, _ = self.key.rpartition("/")
        return f"{folder}{slash}"

    def name(self, key: str) -> str:
        """The full name of a key below it."""
        return f"{self.prefix}{key}" if key else self.key

    def uri(self, name: str) -> str:
        """A full name as a URI."""
        return f"{self.scheme}://{self.bucket}/{name}"

    def below(self, pages: Iterable[Page]) -> list[str]:
        """Names of a level below it: every folder, and the first objects."""
        return [name.removeprefix(self.prefix) for name in _level(pages) if name != self.prefix]

    def beside(self, pages: Iterable[Page]) -> list[str]:
        """URIs of the first things beside it."""
        return [self.uri(name) for name in _level(islice(pages, 1))]

    def entries(self, pages: Iterable[Page]) -> Iterable[Entry]:
        """Objects below it; markers of folders are left out."""
        for page in pages:
            for item in page.objects:
                if not item.key.endswith("/"):
                    yield Entry(item.key.removeprefix(self.prefix), item.size)


def _level(pages: Iterable[Page]) -> list[str]:
    names: list[str] = []
    folders: list[str] = []
    for page in pages:
        names += [item.key for item in page.objects[: MAX_HINTS - len(names)]]
        folders += page.folders
    return sorted([*names, *folders])
