"""What the gate remembers, and whom it makes wait."""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from support.access import AUDIENCE, CHEAP, MAKERS, Issuer, issuing, key_entry, pem, user_entry, write_json

from model_service.access import gate as module
from model_service.access import users as users_module
from model_service.access.errors import LockedOut, NotAuthenticated
from model_service.access.gate import Gate
from model_service.access.lockout import FREE_FAILURES, Lockout
from model_service.access.settings import AccessSettings

ALICE = b"Basic YWxpY2U6cGFzc3dvcmQ="


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    path = tmp_path / "users.json"
    write_json(path, [user_entry("alice", "password")])
    return Gate(AccessSettings.model_validate({"users_file": path, "basic": True}), lockout=Lockout(lambda: 1000.0))


@pytest.fixture(scope="module")
def junk_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Every way at once."""
    folder = tmp_path_factory.mktemp("junk")
    keys, users, signing = folder / "keys", folder / "users", folder / "signing"
    write_json(keys, [key_entry("shop", "right")])
    write_json(users, [user_entry("alice", "password")])
    signing.write_bytes(pem(MAKERS["EdDSA"]()))
    with issuing() as issuer:
        issuer.add("one")
        given = {"keys_file": keys, "users_file": users, "token_key_file": signing, "basic": True,
                 "jwt_issuer": issuer.url, "jwt_audience": AUDIENCE}  # fmt: skip
        gate = Gate(AccessSettings.model_validate(given))
        yield gate
        gate.verifier.close()


def test_one_check_serves_all_who_wait_even_when_one_of_them_leaves(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = []
    right = users_module._is_right
    monkeypatch.setattr(users_module, "_is_right", lambda *given: checks.append(given) or right(*given))

    async def run() -> list[Any]:
        asking = [asyncio.create_task(gate.recognise({b"authorization": ALICE}, "a")) for _ in range(50)]
        await asyncio.sleep(0)
        asking[0].cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
        await gate.stop()
        return results

    left, *others = asyncio.run(run())
    assert isinstance(left, asyncio.CancelledError)
    assert {principal.name for principal in others} == {"alice"}
    assert len(checks) == 1


def test_memory_is_bounded_and_what_holds_no_longer_is_forgotten(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RECENT", 2)

    async def run() -> None:
        first, second, other = ({b"authorization": word + ALICE[5:]} for word in (b"Basic", b"basic", b"BASIC"))
        assert gate.known(first) is None
        await gate.recognise(first, "a")
        await gate.recognise(second, "a")
        assert gate.known(first) is not None  # used since, so the second one goes
        await gate.recognise(other, "a")
        assert [gate.known(each) is not None for each in (first, second, other)] == [True, False, True]
        monkeypatch.setattr(module.time, "time", lambda: 4e9)
        assert gate.known(other) is None
        await gate.stop()

    asyncio.run(run())


def test_what_was_proven_by_old_files_is_not_remembered(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    right = users_module._is_right

    def slow(*given: str) -> bool:
        # Of another size, for two files of one moment and one size would be taken for the same.
        write_json(gate.settings.users_file, [user_entry("alice", "another", roles=[])])
        gate.look()
        return right(*given)

    monkeypatch.setattr(users_module, "_is_right", slow)

    async def run() -> None:
        await gate.recognise({b"authorization": ALICE}, "a")
        assert gate.known({b"authorization": ALICE}) is None
        await gate.stop()

    asyncio.run(run())


def test_a_failing_look_does_not_end_the_following(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    looks = asyncio.Queue[int]()

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def look() -> None:
            loop.call_soon_threadsafe(looks.put_nowait, 1)
            raise MemoryError

        monkeypatch.setattr(gate, "look", look)
        gate.start()
        for _ in range(3):
            await looks.get()
        await gate.stop()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert "goes on" in caplog.text


def test_changes_are_followed_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: Issuer) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    keys = tmp_path / "keys.json"
    write_json(keys, [key_entry("a", "first")])
    issuer.add("one")
    given = {"keys_file": keys, "jwt_issuer": issuer.url, "jwt_audience": AUDIENCE}

    async def run() -> None:
        gate = Gate(AccessSettings.model_validate(given))
        gate.start()
        write_json(keys, [key_entry("another", "second one")])
        while gate.known({b"x-api-key": b"second one"}) is None or len(issuer.fetches) < 2:  # noqa: ASYNC110 - no events
            await asyncio.sleep(0.01)
        await gate.stop()
        with pytest.raises(NotAuthenticated, match="unknown"):
            await gate.recognise({b"x-api-key": b"first"}, "a")

    asyncio.run(asyncio.wait_for(run(), 60))


def test_an_issuer_that_hangs_delays_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: Issuer) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    asked, held = threading.Event(), threading.Event()

    def hang(_: str) -> Any:
        asked.set()
        held.wait(120)
        return {}

    monkeypatch.setattr(issuer, "answer", hang)
    keys = tmp_path / "keys.json"
    write_json(keys, [key_entry("a", "first")])
    given = {"keys_file": keys, "jwt_issuer": issuer.url, "jwt_audience": AUDIENCE}

    async def run() -> None:
        gate = Gate(AccessSettings.model_validate(given))
        gate.start()
        await asyncio.to_thread(asked.wait, 60)
        write_json(keys, [key_entry("another", "second one")])
        while gate.known({b"x-api-key": b"second one"}) is None:  # noqa: ASYNC110 - no events
            await asyncio.sleep(0.01)
        assert not held.is_set()
        held.set()
        await gate.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_an_administrator_who_is_limited_to_models_cannot_touch_all(
    serve: Callable[..., TestClient], tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    write_json(keys, [key_entry("some", "some", roles=["admin"], models=["churn"])])
    client = serve(keys_file=keys)
    for method, path, status in (
        ("PUT", "/admin/traffic", 403),
        ("POST", "/admin/models/iris/versions/1/load", 403),
        ("POST", "/admin/models/churn/versions/1/load", 404),  # allowed, and not of this port
    ):
        assert client.request(method, path, headers={"X-API-Key": "some"}).status_code == status


def test_hashes_of_the_tests_are_real() -> None:
    assert CHEAP.hash("x").startswith("$argon2id$")


def _segment(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


JUNK = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda word, rest: word + b" " + rest, st.sampled_from([b"Bearer", b"basic", b"Digest"]), st.binary()),
    st.builds(lambda content: b"Basic " + base64.b64encode(content), st.binary()),
    st.builds(
        lambda header, payload, signature: b"Bearer " + b".".join(map(_segment, (header, payload, signature))),
        st.one_of(
            st.binary(),
            st.builds(
                lambda alg, kid: json.dumps({"alg": alg, "kid": kid}).encode(),
                st.sampled_from(["ES256", "RS256", "HS256", "none", ["ES256"], {}, None, 7]),
                st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())),
            ),
        ),
        st.binary(),
        st.binary(),
    ),
)


@given(credential=JUNK)
def test_no_header_breaks_the_gate(junk_gate: Gate, credential: bytes) -> None:
    async def ask() -> None:
        with pytest.raises((NotAuthenticated, LockedOut)):
            await junk_gate.recognise({b"authorization": credential}, "a")
        with pytest.raises((NotAuthenticated, LockedOut)):
            await junk_gate.recognise({b"x-api-key": credential}, "a")

    asyncio.run(ask())


def test_passwords_that_are_tried_at_once_are_answered_as_often_as_one_after_the_other(gate: Gate) -> None:
    async def attempt(number: int) -> str:
        try:
            return str(await gate.verifier.check("alice", "password" if number == 12 else f"wrong {number}", "a"))
        except LockedOut:
            return "locked out"

    async def run() -> list[str]:
        return await asyncio.gather(*(attempt(number) for number in range(16)))

    assert asyncio.run(run()) == ["None"] * (FREE_FAILURES + 1) + ["locked out"] * (15 - FREE_FAILURES)
    gate.verifier.close()
