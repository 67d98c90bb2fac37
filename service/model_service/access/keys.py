"""API keys: a list of names and hashes.

A key has 256 random bits, so a fast hash is enough: there is nothing to guess, and every request pays for it.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from pydantic import Field

from model_service.access.files import NEVER, Entry, read_bytes, read_entries
from model_service.access.principal import Principal, Proof
from model_service.errors import SettingsInvalid

LEAST_TOKEN = 32
Proofs = Mapping[bytes, Proof]


class Key(Entry):
    """An API key; `modelport keys create` writes the entry."""

    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")

    def proof(self) -> Proof:
        """The key as it is looked up."""
        principal = Principal.make(self.name, "key", self.roles, self.models)
        return Proof(bytes.fromhex(self.hash.partition(":")[2]), principal, self.expires_at)


def read_keys(path: Path) -> Proofs:
    """The keys of a file by digest.

    Raises:
        SettingsInvalid: the file is not what it should be.
    """
    return {proof.digest: proof for proof in (key.proof() for key in read_entries(path, Key))}


def read_token(path: Path) -> Proofs:
    """One administrator's key from a file that holds it as it is: a Secret that somebody else generates.

    Raises:
        SettingsInvalid: it is shorter than a random token would be.
    """
    token = read_bytes(path).strip()
    if len(token) < LEAST_TOKEN:
        raise SettingsInvalid(f"{path}: expected a random token of at least {LEAST_TOKEN} characters")
    digest = sha256(token).digest()
    return {digest: Proof(digest, Principal.make("admin-token", "key", ["admin"], None), NEVER)}
