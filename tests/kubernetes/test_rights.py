"""What accounts may do on the API server that tests bring, by the real helm and kubectl."""

import json

import pytest

from tests.helm.chart import CHART
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.clients import helm, kubectl, worked
from tests.kubernetes.roles import given, role, rule

pytestmark = pytest.mark.integration


def test_an_account_may_what_its_roles_say(api: ApiServer) -> None:
    given(api, *role("reader", rule("get list", "configmaps"), rule("get", "secrets", names="a")))
    reader = api.token_of("reader")

    def may(*words: str) -> bool:
        return kubectl(api, "auth", "can-i", *words, token=reader).stdout == "yes\n"

    assert may("list", "configmaps")
    assert not may("list", "configmaps", "--as=system:serviceaccount:default:reader")
    assert may("get", "secrets/a")
    assert not may("get", "secrets/b")
    assert not may("delete", "configmaps")
    assert not may("list", "configmaps", "--namespace", "kube-system")
    assert "No resources found" in kubectl(api, "get", "configmaps", token=reader).stderr
    assert kubectl(api, "get", "secrets", token=reader).stderr == (
        'Error from server (Forbidden): secrets is forbidden: User "system:serviceaccount:default:'
        'reader" cannot list resource "secrets" in API group "" in the namespace "default"\n'
    )


def test_nobody_gives_away_what_they_do_not_have(api: ApiServer) -> None:
    roles = rule("create", "roles", "rbac.authorization.k8s.io")
    given(api, *role("maker", roles, rule("get", "pods")))
    mine, yours = (
        role(name, rule("get", what))[0] for name, what in (("a", "pods"), ("b", "secrets"))
    )
    maker = api.token_of("maker")
    worked(kubectl(api, "create", "-f", "-", token=maker, told=json.dumps(mine)))
    done = kubectl(api, "create", "-f", "-", token=maker, told=json.dumps(yours))
    assert "attempting to grant RBAC permissions not currently held" in done.stderr


def test_helm_may_no_more_than_its_account(installed: ApiServer) -> None:
    done = helm(installed, "upgrade", "tw", CHART, token=installed.token_of("nobody"))
    assert done.returncode == 1
    assert "secrets is forbidden" in done.stderr or "cannot list resource" in done.stderr
    assert {one.user for one in installed.requests} == {
        "admin",
        "system:serviceaccount:default:nobody",
    }


def test_a_pod_finds_its_account_in_a_folder(api: ApiServer) -> None:
    folder = api.account_folder("ops")
    told = {path.name: path.read_text() for path in folder.iterdir()}
    assert told.keys() == {"token", "namespace", "ca.crt"}
    assert (told["token"], told["namespace"]) == (api.token_of("ops"), "default")
