"""The API server that tests bring, by what the real helm and kubectl find there."""

import json

import pytest

from tests.helm.chart import CHART, Manifest
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.clients import DEMO, Done, helm, kubectl, worked

pytestmark = pytest.mark.integration

OPS = "tw-thumbwheel-ops"
UNREADY = ("--set", "images.app.tag=unready")
MORE = ("--reuse-values", "--set", "settings.ops_alpha=0.1")


def upgrade(api: ApiServer, *words: str) -> Done:
    return helm(api, "upgrade", "tw", CHART, "--wait", "--timeout", "3s", *words)


def history(api: ApiServer) -> list[tuple[str, str]]:
    """Of each revision its state, and what was said of it."""
    told: list[Manifest] = json.loads(worked(helm(api, "history", "tw", "-o", "json")))
    return [(one["status"], one["description"]) for one in told]


def alpha(api: ApiServer) -> str | None:
    return environment(api).get("THUMBWHEEL_OPS_ALPHA")


def environment(api: ApiServer) -> dict[str, str | None]:
    found = api.get("Deployment", OPS)
    assert found
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value") for one in container["env"]}


def test_a_release_is_installed_upgraded_and_rolled_back(installed: ApiServer) -> None:
    assert alpha(installed) is None
    worked(upgrade(installed, *MORE))
    assert alpha(installed) == "0.1"
    worked(helm(installed, "rollback", "tw", "1", "--wait"))
    assert alpha(installed) is None
    assert history(installed) == [
        ("superseded", "Install complete"),
        ("superseded", "Upgrade complete"),
        ("deployed", "Rollback to 1"),
    ]


def test_the_keys_stay_what_they_were(installed: ApiServer) -> None:
    before = keys(installed)
    worked(upgrade(installed, *MORE))
    assert keys(installed) == before


def test_a_key_that_was_changed_stays_whatever_is_rolled_back(installed: ApiServer) -> None:
    told = json.dumps({"stringData": {"ops-key": "another"}})
    worked(kubectl(installed, "patch", "secret", "tw-thumbwheel-keys", f"--patch={told}"))
    changed = keys(installed)
    worked(upgrade(installed, *MORE))
    worked(helm(installed, "rollback", "tw", "1", "--wait"))
    assert keys(installed) == changed


def test_a_key_that_is_wanted_later_is_made_beside_the_others(installed: ApiServer) -> None:
    before = keys(installed)
    worked(upgrade(installed, "--reuse-values", "--set", "secret.engineKey=engine-key"))
    after = keys(installed)
    assert after.keys() - before.keys() == {"engine-key"}
    assert {key: after[key] for key in before} == before


def keys(api: ApiServer) -> dict[str, str]:
    found = api.get("Secret", "tw-thumbwheel-keys")
    assert found
    return dict(found["data"])


def test_what_is_to_be_kept_survives_the_release(installed: ApiServer) -> None:
    kinds = ("Deployment", "StatefulSet", "Service", "Secret", "PersistentVolumeClaim")
    worked(helm(installed, "uninstall", "tw", "--wait"))
    left = {one["metadata"]["name"] for kind in kinds for one in installed.objects(kind)}
    assert left == {"tw-thumbwheel-keys", "tw-thumbwheel-data"}


def test_kinds_of_an_operator_are_taken_as_they_are(api: ApiServer) -> None:
    operator = ("--set", "monitoring.operator=true", "--set", "networkPolicy.enabled=false")
    worked(helm(api, "install", "tw", CHART, "-f", DEMO, *operator, "--wait"))
    assert len(api.objects("PodMonitor")) == 5
    assert api.objects("PrometheusRule")


def test_what_never_gets_ready_fails_the_upgrade(installed: ApiServer) -> None:
    done = upgrade(installed, "--reuse-values", *UNREADY)
    assert done.returncode == 1
    assert f"Deployment/default/{OPS} not ready" in done.stderr
    assert [status for status, _ in history(installed)] == ["deployed", "failed"]


def test_a_failed_upgrade_goes_back_where_it_was_asked_to(installed: ApiServer) -> None:
    done = upgrade(installed, "--reuse-values", *UNREADY, "--rollback-on-failure")
    assert done.returncode == 1
    assert "has been rolled back" in done.stderr
    assert [status for status, _ in history(installed)] == ["superseded", "failed", "deployed"]


@pytest.mark.parametrize("status", [500, 403, 409])
def test_an_upgrade_that_broke_half_way_is_mended_by_the_next(
    installed: ApiServer, status: int
) -> None:
    installed.fail("patch", "Deployment", OPS, status=status)
    assert upgrade(installed, *MORE).returncode == 1
    assert alpha(installed) is None
    assert [told for told, _ in history(installed)] == ["deployed", "failed"]
    worked(upgrade(installed, *MORE))
    assert alpha(installed) == "0.1"
    assert [told for told, _ in history(installed)] == ["superseded", "failed", "deployed"]


def test_a_field_has_one_owner_who_wants_it_so(installed: ApiServer) -> None:
    spec = {"spec": {"replicas": 3}}
    mine = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": OPS}, **spec}
    words = ("apply", "--server-side", "--field-manager=me", "-f", "-")
    refused = kubectl(installed, *words, told=json.dumps(mine))
    assert 'conflict with "helm" using apps/v1: .spec.replicas' in refused.stderr
    worked(kubectl(installed, *words, "--force-conflicts", told=json.dumps(mine)))
    refused = upgrade(installed, *MORE)
    assert 'conflict with "me" using apps/v1: .spec.replicas' in refused.stderr
    worked(upgrade(installed, *MORE, "--force-conflicts"))


def patched(api: ApiServer, *words: str) -> set[str]:
    """The kinds that an upgrade patches."""
    before = len(api.requests)
    worked(upgrade(api, "--reuse-values", *words))
    asked = [one for one in api.requests[before:] if one.method == "PATCH"]
    return {one.path.partition("?")[0].split("/")[-2] for one in asked}


def test_helm_patches_what_did_not_change_but_on_its_own_side(installed: ApiServer) -> None:
    """Whoever upgrades by the server's apply may change all; by Helm's own, only some."""
    assert {"deployments", "roles", "services", "serviceaccounts"} <= patched(installed)
    ours = patched(installed, "--server-side=false")
    assert not {"deployments", "roles", "services", "serviceaccounts"} & ours
    assert "poddisruptionbudgets" in ours  # which Helm sends whole


def test_sides_may_change_without_a_conflict(installed: ApiServer) -> None:
    for side in ("false", "auto", "true", "auto"):
        worked(upgrade(installed, *MORE, f"--server-side={side}"))


def test_a_misspelt_field_is_refused(api: ApiServer) -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"}}
    told = json.dumps({**claim, "spec": {"acessModes": ["ReadWriteOnce"]}})
    done = kubectl(api, "create", "-f", "-", told=told)
    assert done.returncode == 1
    assert "acessModes" in done.stderr
