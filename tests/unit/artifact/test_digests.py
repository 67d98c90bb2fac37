import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact.digests import (
    CHUNK,
    HashingWriter,
    copy_hashed,
    digest_bytes,
    parse_digest,
    same_digest,
    sha256_file,
)
from model_artifact.errors import DigestMismatch

HEX = hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize("text", [HEX, f"sha256:{HEX}", HEX.upper(), f" SHA256:{HEX}\n"])
def test_a_pin_is_read_however_it_is_written(text: str) -> None:
    assert parse_digest(text) == f"sha256:{HEX}" == digest_bytes(b"x")
    assert same_digest(text, HEX)


@pytest.mark.parametrize(
    "text", ["", "sha256:", HEX[:-1], f"{HEX}0", f"md5:{HEX}", HEX.replace(HEX[0], "g"), "\uff10" * 64]
)
def test_anything_else_is_no_pin(text: str) -> None:
    with pytest.raises(DigestMismatch, match="64 hexadecimal digits"):
        parse_digest(text)


@given(st.binary(), st.binary())
def test_digests_are_equal_when_the_bytes_are(left: bytes, right: bytes) -> None:
    assert same_digest(digest_bytes(left), digest_bytes(right)) == (left == right)


@given(st.lists(st.binary(max_size=50)))
def test_hashing_while_writing_equals_hashing_the_whole(chunks: list[bytes]) -> None:
    target = io.BytesIO()
    writer = HashingWriter(target)
    assert [writer.write(chunk) for chunk in chunks] == [len(chunk) for chunk in chunks]
    whole = b"".join(chunks)
    assert target.getvalue() == whole
    assert (writer.size, f"sha256:{writer.sha256}") == (len(whole), digest_bytes(whole))


def test_a_copy_is_hashed_as_it_is_made_and_never_overwrites(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"ab" * CHUNK)
    assert copy_hashed(source, target) == (2 * CHUNK, sha256_file(source))
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(FileExistsError):
        copy_hashed(source, target)
