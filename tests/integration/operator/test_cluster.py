"""The calls of the API server, the Lease and the key, over HTTP."""

import pytest
from support.control_plane import ControlPlane

from model_operator.cluster import ApiError, Cluster
from model_operator.kinds import CONFIG_MAP, LEASE, RENDERED
from model_operator.lease import Leadership
from model_operator.tokens import Tokens

PLACE = ("system", "modelport-operator")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def config_map(name: str = "a", **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "models", "name": name}, "data": data}


def test_objects_come_and_go(cluster: Cluster) -> None:
    assert cluster.get(CONFIG_MAP, "models", "a") is None
    assert cluster.create(CONFIG_MAP, config_map(x="1"))
    assert not cluster.create(CONFIG_MAP, config_map(x="2"))
    cluster.merge(CONFIG_MAP, ("models", "a"), {"data": {"x": None, "y": "2"}})
    found = cluster.get(CONFIG_MAP, "models", "a")
    assert found is not None
    assert found["data"] == {"y": "2"}
    cluster.delete(CONFIG_MAP, "models", "a")
    cluster.delete(CONFIG_MAP, "models", "a")
    assert cluster.get(CONFIG_MAP, "models", "a") is None


def test_a_kind_that_the_cluster_does_not_know_has_no_objects(cluster: Cluster) -> None:
    assert cluster.find(RENDERED["ScaledObject"], "models", "a=b") == []


def test_refusals_carry_status_and_sentence(cluster: Cluster, plane: ControlPlane) -> None:
    plane.refuse |= {(verb, "/configmaps/a"): (403, "not yours") for verb in ("GET", "PATCH", "DELETE")}
    plane.refuse |= {(verb, "/configmaps"): (403, "not yours") for verb in ("GET", "POST")}
    for call in (
        lambda: cluster.get(CONFIG_MAP, "models", "a"),
        lambda: cluster.find(CONFIG_MAP, "models", "a=b"),
        lambda: cluster.apply(CONFIG_MAP, config_map()),
        lambda: cluster.create(CONFIG_MAP, config_map()),
        lambda: cluster.delete(CONFIG_MAP, "models", "a"),
    ):
        with pytest.raises(ApiError, match="not yours") as caught:
            call()
        assert caught.value.status == 403


def test_an_api_server_that_does_not_answer(plane: ControlPlane) -> None:
    with ControlPlane() as other:
        gone = Cluster(other.client)
    gone._api.configuration.host = "http://127.0.0.1:1"
    gone._api.rest_client.pool_manager.connection_pool_kw["retries"] = False
    with pytest.raises(ApiError, match="does not answer") as caught:
        gone.get(CONFIG_MAP, "models", "a")
    assert caught.value.status == 0


def candidate(cluster: Cluster, name: str, clock: Clock) -> Leadership:
    return Leadership(cluster, PLACE, name, 15, clock)


def test_one_of_two_leads_until_it_stops_renewing(cluster: Cluster) -> None:
    clock = Clock()
    first, second = candidate(cluster, "first", clock), candidate(cluster, "second", clock)
    assert first.attempt()
    assert not second.attempt()
    clock.now = 9
    assert first.attempt()
    clock.now = 20
    assert not first.held
    assert not second.attempt()  # it has seen the renewal only now
    clock.now = 34
    assert not second.attempt()
    clock.now = 35
    assert second.attempt()
    assert not first.attempt()
    lease = cluster.get(LEASE, *PLACE)
    assert lease is not None
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("second", 1)


def test_a_lease_that_is_let_go_is_taken_at_once(cluster: Cluster) -> None:
    clock = Clock()
    first, second = candidate(cluster, "first", clock), candidate(cluster, "second", clock)
    second.release()
    assert first.attempt()
    first.release()
    assert not first.held
    assert second.attempt()
    first.release()
    assert second.attempt()


def test_of_two_who_take_at_once_one_is_refused(cluster: Cluster, plane: ControlPlane) -> None:
    clock = Clock()
    plane.refuse["PUT", "/leases/modelport-operator"] = (409, "the object has been modified")
    first = candidate(cluster, "first", clock)
    assert first.attempt()
    assert not first.attempt()
    assert first.held  # what was renewed holds for its time
    clock.now = 10
    assert not first.held


def test_the_key_is_made_once_and_tokens_follow_from_it(cluster: Cluster, plane: ControlPlane) -> None:
    made, read = (Tokens.of(cluster, "system", "key") for _ in range(2))
    assert plane.names("secrets") == {"key"}
    assert made.of_resource("u-1") == read.of_resource("u-1") != made.of_resource("u-2")
    assert len(made.of_resource("u-1")) == 64
