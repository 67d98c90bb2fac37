"""How requests come in, and what the pods may talk to."""

from typing import Any

from support.chart import URI, given, merged, render


def backend(rendered: Any) -> str:
    name: str = rendered.one("Service")["metadata"]["name"]
    return name


def test_the_service_has_its_type_port_and_annotations() -> None:
    service = render(given("network")).one("Service")
    assert service["metadata"]["annotations"] == {"example.com/balancer": "internal"}
    assert service["spec"]["type"] == "NodePort"
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080}]
    assert "annotations" not in render(URI).one("Service")["metadata"]


def test_an_ingress_leads_to_the_service() -> None:
    rendered = render(given("network"))
    ingress = rendered.one("Ingress")
    assert ingress["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"secretName": "churn-tls", "hosts": ["churn.example.com"]}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "churn.example.com"
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/churn", "Prefix")
    assert path["backend"]["service"] == {"name": backend(rendered), "port": {"name": "http"}}


def test_an_ingress_without_hosts_takes_every_name() -> None:
    rules = render(URI | {"ingress": {"enabled": True}}).one("Ingress")["spec"]["rules"]
    assert [rule.get("host") for rule in rules] == [None]


def test_a_route_of_the_gateway_api_leads_to_the_service() -> None:
    values = given("network")
    rendered = render(values)
    route = rendered.one("HTTPRoute")
    assert route["metadata"]["annotations"] == {"example.com/owner": "growth"}
    assert route["spec"]["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert route["spec"]["hostnames"] == ["churn.example.com"]
    (rule,) = route["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": backend(rendered), "port": 80}]
    assert (rule["matches"], rule["filters"]) == (values["httpRoute"]["matches"], values["httpRoute"]["filters"])


def test_a_network_policy_lets_in_whom_it_names() -> None:
    values = given("network")
    rendered = render(values)
    policy = rendered.one("NetworkPolicy")["spec"]
    assert policy["podSelector"] == rendered.one("Deployment")["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (way_in,) = policy["ingress"]
    assert (way_in["from"], way_in["ports"]) == (
        values["networkPolicy"]["from"],
        [{"port": "http", "protocol": "TCP"}],
    )
    names, allowed = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert allowed == values["networkPolicy"]["egress"][0]


def test_a_network_policy_leaves_the_way_out_alone_unless_told() -> None:
    policy = {"networkPolicy": {"enabled": True}}
    spec = render(URI | policy).one("NetworkPolicy")["spec"]
    assert (spec["policyTypes"], "egress" in spec, "from" in spec["ingress"][0]) == (["Ingress"], False, False)
    closed = render(merged(URI, policy, {"networkPolicy": {"egress": []}})).one("NetworkPolicy")["spec"]
    assert (closed["policyTypes"], len(closed["egress"])) == (["Ingress", "Egress"], 1)


def test_nothing_of_this_is_made_by_default() -> None:
    kinds = {item["kind"] for item in render(URI).objects}
    assert not kinds & {"Ingress", "HTTPRoute", "NetworkPolicy"}
