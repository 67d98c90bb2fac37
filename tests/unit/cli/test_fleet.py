"""A change of traffic that goes to several servers, and to those that start later."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.stand_in import StandIn, serving

from modelport.admin import AdminApi, Document, Outdated, change, open_url
from modelport.admin.documents import with_default, with_weights
from modelport.answers import ApiError


class Fleet:
    """Servers that start with what is stored; `gone` are those whose ports are closed."""

    def __init__(self, servers: list[StandIn]) -> None:
        self.servers, self.document = servers, {"generation": 0, "models": {}}
        self.late: list[StandIn] = []
        self.conflicts = 0

    def members(self) -> list[AdminApi]:
        return [open_url(server.url, None, 60.0) for server in self.servers]

    def stored(self) -> Document:
        return self.document

    def store(self, document: Document) -> None:
        if self.conflicts:
            self.conflicts -= 1
            self.document = {"generation": document["generation"] + 3, "models": {}}
            raise Outdated("somebody was faster")
        self.document = document
        self.servers += self.late


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet([stack.enter_context(serving()) for _ in range(3)])


def halves(entry):
    return with_weights(entry, {"1": 50, "2": 50}, None)


def test_every_server_and_the_store_get_it(fleet):
    changed = change(fleet, "churn", halves)
    assert changed.failed == {}
    assert len(changed.taken) == 3
    assert [server.document for server in fleet.servers] == [fleet.document] * 3
    assert fleet.document["models"]["churn"]["weights"] == {"1": 50, "2": 50}


def test_what_the_first_refuses_is_stored_nowhere(fleet):
    fleet.servers[0].refused["2"] = "it is corrupt"
    with pytest.raises(ApiError, match="it is corrupt"):
        change(fleet, "churn", halves)
    assert fleet.document["generation"] == 0
    assert [server.document["generation"] for server in fleet.servers] == [0, 0, 0]


def test_a_server_that_does_not_take_it_is_named_and_stops_nobody(fleet):
    fleet.servers[1].refused["2"] = "no memory is left"
    changed = change(fleet, "churn", halves)
    assert list(changed.failed) == [fleet.servers[1].url]
    assert "no memory is left" in changed.failed[fleet.servers[1].url]
    assert [server.document["generation"] for server in fleet.servers] == [1, 0, 1]
    assert fleet.document["generation"] == 1


def test_a_server_that_starts_meanwhile_gets_it_too(fleet):
    fleet.late, fleet.servers = fleet.servers[2:], fleet.servers[:2]
    changed = change(fleet, "churn", halves)
    assert len(changed.taken) == 3
    assert {server.document["generation"] for server in fleet.servers} == {1}


def test_the_generation_is_above_everything_in_force(fleet):
    fleet.servers[2].document = {"generation": 41, "models": {"churn": {"default": "3"}}}
    change(fleet, "churn", halves)
    assert fleet.document == {"generation": 42, "models": {"churn": {"default": "3", "weights": {"1": 50, "2": 50}}}}
    assert [server.document for server in fleet.servers] == [fleet.document] * 3


def test_a_conflict_of_the_store_is_tried_once_more(fleet):
    fleet.conflicts = 1
    changed = change(fleet, "churn", halves)
    assert changed.document["generation"] == 5
    assert {server.document["generation"] for server in fleet.servers} == {5}
    fleet.conflicts = 2
    with pytest.raises(Outdated, match="somebody was faster"):
        change(fleet, "churn", halves)


def test_with_no_server_up_only_the_store_gets_it(fleet):
    fleet.document = {"generation": 3, "models": {"churn": {"default": "1"}}}
    fleet.servers.clear()
    changed = change(fleet, "churn", lambda entry: with_default(entry, "2"))
    assert changed.taken == []
    assert fleet.document == {"generation": 4, "models": {"churn": {"default": "2"}}}
    with pytest.raises(LookupError, match="no pod is ready"):
        change(fleet, "other", halves)
