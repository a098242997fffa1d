"""Promotions as revisions, by the real helm and with the rights of the chart's own Role."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops import by_hand, history
from ops.account import Account
from ops.act import first_split
from ops.declared import CannotTell, Declared
from ops.kubernetes import Kubernetes
from ops.metrics import Metrics
from ops.release import Helm
from ops.releases import Releases, Tells
from ops.settings import inherited_env
from ops.values_file import ValuesFile
from tests.helm.chart import CHART, ROOT
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.clients import DEMO, helm, kubectl, worked
from tests.ops.made import Place
from tests.ops.moved import promote

pytestmark = pytest.mark.integration

MODEL, OPS = "tw-thumbwheel-model", "tw-thumbwheel-ops"
Look = Callable[[], None]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("loop"))
    first_split(place.log)
    yield place
    place.log.close()


def account(api: ApiServer, name: str = OPS) -> Account:
    return Account(api.url, api.account_folder(name))


def teller(api: ApiServer, name: str = OPS, keeps: int = 10) -> Helm:
    path = f"{ROOT / '.venv/helm'}:{inherited_env()['PATH']}"
    # As in a pod, where no kubeconfig is.
    env = {**inherited_env(), **api.environment, "PATH": path, "KUBECONFIG": "/none"}
    return Helm(account(api, name), MODEL, keeps=keeps, env=env)


@pytest.fixture
def look(installed: ApiServer, place: Place) -> Iterator[Look]:
    with looking(installed, place, teller(installed)) as look:
        yield look


@contextmanager
def looking(api: ApiServer, place: Place, tells: Tells, name: str = OPS) -> Iterator[Look]:
    kubernetes = Kubernetes(account(api, name))

    def declared() -> Declared | None:
        data = kubernetes.config_map(MODEL)
        return None if data is None else Declared.read(data)

    releases = Releases(
        log=place.log,
        adapters=place.adapters,
        declared=declared,
        teller=tells,
        leads=lambda: True,
        metrics=Metrics(),
        each_look=isinstance(tells, ValuesFile),
    )

    def look() -> None:
        for _ in range(3):
            releases.look()

    yield look
    kubernetes.close()


def promoted(place: Place, look: Look) -> None:
    look()
    for name in ("m-v1", "m-v2"):
        promote(place, name)
        look()


def story(api: ApiServer) -> list[tuple[str, str]]:
    told = json.loads(worked(helm(api, "history", MODEL, "-o", "json")))
    return [(one["status"], one["description"]) for one in told]


def serving(api: ApiServer) -> str:
    found = api.get("ConfigMap", MODEL)
    assert found
    return str(found["data"]["stable"])


def test_the_history_of_the_release_is_the_model_s(
    installed: ApiServer, place: Place, look: Look
) -> None:
    promoted(place, look)
    assert story(installed) == [
        ("superseded", "base: nothing is better yet (split 1, by ops)"),
        ("superseded", "m-v1: promoted by hand (split 3, by ann)"),
        ("deployed", "m-v2: promoted by hand (split 5, by ann)"),
    ]
    changed = {
        one["metadata"]["name"]
        for kind in ("Deployment", "StatefulSet", "CronJob")
        for one in installed.objects(kind)
        if one["metadata"]["generation"] != 1
    }
    assert changed == set()


def test_helm_rollback_is_the_model_s_roll_back(
    installed: ApiServer, place: Place, look: Look
) -> None:
    promoted(place, look)
    worked(helm(installed, "rollback", MODEL))
    look()
    split = by_hand.current(place.log)
    assert (split.stable, split.pinned, split.by) == ("m-v1", True, "helm")
    assert split.reason == "the release says m-v1, as of its revision 2"
    assert story(installed)[-1] == ("deployed", "Rollback to 2")


def test_an_upgrade_of_all_the_rest_moves_nothing(
    installed: ApiServer, place: Place, look: Look
) -> None:
    look()
    promote(place, "m-v1")
    look()
    chart = ROOT / "helm/thumbwheel"
    worked(
        helm(installed, "upgrade", "tw", chart, "--reuse-values", "--set=settings.ops_alpha=0.1")
    )
    worked(helm(installed, "rollback", "tw", "1"))
    look()
    assert by_hand.current(place.log).stable == serving(installed) == "m-v1"


def test_a_revision_that_helm_has_forgotten_cannot_be_gone_back_to(
    installed: ApiServer, place: Place, look: Look
) -> None:
    look()
    promote(place, "m-v1")
    look()
    worked(kubectl(installed, "delete", "secret", f"sh.helm.release.v1.{MODEL}.v1"))
    done = helm(installed, "rollback", MODEL, "1")
    assert done.returncode == 1
    assert "release has no 1 version" in done.stderr
    look()
    assert by_hand.current(place.log).stable == "m-v1"


def test_an_adapter_that_is_gone_is_refused_and_the_history_says_so(
    installed: ApiServer, place: Place, look: Look
) -> None:
    promoted(place, look)
    (place.adapters / "m-v1/adapter_model.safetensors").unlink()
    worked(helm(installed, "rollback", MODEL, "2"))
    look()
    assert by_hand.current(place.log).stable == serving(installed) == "m-v2"
    assert story(installed)[-1][1].startswith("m-v1 was refused: ")


def test_an_upgrade_that_fails_half_way_is_told_again(
    installed: ApiServer, place: Place, look: Look
) -> None:
    look()
    split = promote(place, "m-v1")
    installed.fail("patch", "ConfigMap", MODEL)
    with pytest.raises(CannotTell, match="helm upgrade: "):
        teller(installed).tell(split, "it won")
    assert story(installed)[-1][0] == "failed"
    look()
    assert (story(installed)[-1][0], serving(installed)) == ("deployed", "m-v1")


def test_a_helm_that_was_killed_half_way_holds_nothing_up_for_ever(
    installed: ApiServer, place: Place, look: Look
) -> None:
    look()
    pending(installed, since=timedelta(seconds=10))
    split = promote(place, "m-v1")
    with pytest.raises(CannotTell, match="another operation"):
        teller(installed).tell(split, "it won")
    pending(installed, since=timedelta(minutes=10))
    teller(installed).tell(split, "it won")
    assert (story(installed)[-1], serving(installed)) == (("deployed", "it won"), "m-v1")
    look()
    assert by_hand.current(place.log).stable == "m-v1", "what helm went back to asks for nothing"


def test_a_first_install_that_was_killed_half_way_is_begun_anew(
    installed: ApiServer, place: Place, look: Look
) -> None:
    look()
    pending(installed, since=timedelta(minutes=10), version=1)
    split = promote(place, "m-v1")
    teller(installed).tell(split, "it won")
    assert (story(installed), serving(installed)) == ([("deployed", "it won")], "m-v1")


def test_helm_keeps_so_many_revisions_and_refuses_to_go_to_older_ones(
    installed: ApiServer, place: Place
) -> None:
    tells = teller(installed, keeps=2)
    for name in ("m-v1", "m-v2", "m-v3"):
        tells.tell(promote(place, name), name)
    assert [why for _, why in story(installed)] == ["m-v2", "m-v3"]
    assert "release has no 1 version" in helm(installed, "rollback", MODEL, "1").stderr
    assert serving(installed) == "m-v3"


def pending(api: ApiServer, since: timedelta, version: int = 2) -> None:
    """A revision, as a helm leaves it that was killed so long ago."""
    kept = api.get("Secret", f"sh.helm.release.v1.{MODEL}.v1")
    assert kept
    told = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(kept["data"]["release"]))))
    status = "pending-upgrade" if version > 1 else "pending-install"
    told["version"], told["info"]["status"] = version, status
    told["info"]["last_deployed"] = (datetime.now(UTC) - since).isoformat()
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(told).encode()))).decode()
    labels = {**kept["metadata"]["labels"], "status": status, "version": str(version)}
    name = f"sh.helm.release.v1.{MODEL}.v{version}"
    about = {"name": name, "labels": labels}
    secret = {**kept, "metadata": about, "data": {"release": packed}}
    worked(kubectl(api, "delete", "secret", name, "--ignore-not-found"))
    worked(kubectl(api, "create", "-f", "-", told=json.dumps(secret)))


def test_with_gitops_a_commit_is_seen_and_one_that_is_taken_back_is_a_roll_back(
    api: ApiServer, place: Place, tmp_path: Path
) -> None:
    committed = [tmp_path / "none.yaml"]
    committed[0].touch()
    by_git = ("-f", DEMO, "--set", "rollout.told=git", "--set", "secret.name=mine")

    def applied() -> None:
        """As Flux does it at each commit."""
        worked(helm(api, "upgrade", "--install", "tw", CHART, *by_git, "-f", committed[-1]))
        look()

    def commit() -> None:
        committed.append(tmp_path / f"{len(committed)}.yaml")
        committed[-1].write_text(written.read_text())

    written = tmp_path / "values.yaml"
    worked(helm(api, "upgrade", "--install", "tw", CHART, *by_git))
    with looking(api, place, ValuesFile(written)) as look:
        look()
        for name in ("m-v1", "m-v2"):
            promote(place, name)
            look()
            commit()
            applied()
        assert [by_hand.current(place.log).stable, serving(api)] == ["m-v2", "m-v2"]
        committed.pop()
        applied()
        split = by_hand.current(place.log)
        assert (split.stable, split.pinned, split.by) == ("m-v1", True, "helm")
    assert helm(api, "history", MODEL).returncode == 1, "helm was never run by ops"


def test_without_its_role_ops_says_so_and_all_goes_on(
    installed: ApiServer, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with looking(installed, place, teller(installed, "nobody"), "nobody") as look:
        promote(place, "m-v1")
        look()
        assert f'403: configmaps "{MODEL}" is forbidden: User' in caplog.text
    with looking(installed, place, teller(installed, "nobody")) as look:
        look()
        assert "secrets is forbidden" in caplog.text
    assert by_hand.current(place.log).stable == "m-v1"
    by_hand.roll_back(place.log, place.adapters, "ann")
    assert by_hand.current(place.log).stable == "base"


def test_two_who_tell_at_once_leave_one_whole_release(
    installed: ApiServer, place: Place, look: Look
) -> None:
    """As when a controller has slept through its lease."""
    look()
    split = promote(place, "m-v1")

    def told(_: int) -> str:
        try:
            teller(installed).tell(split, "it won")
        except CannotTell as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as both:
        said = list(both.map(told, range(2)))
    assert "" in said
    look()
    assert (story(installed)[-1][0], serving(installed)) == ("deployed", "m-v1")
    assert {one.outcome for one in history.releases(place.log)} == {"seen"}


@pytest.mark.parametrize(
    ("asked", "may"),
    [
        (("get", f"configmap/{MODEL}"), True),
        (("patch", f"configmap/{MODEL}"), True),
        (("create", "configmaps"), True),
        (("create", "secrets"), True),
        (("get", "configmap/tw-thumbwheel-plan"), False),
        (("patch", "configmap/tw-thumbwheel-plan"), False),
        (("delete", f"configmap/{MODEL}"), True),
        (("get", "secret/tw-thumbwheel-keys"), True),  # Kubernetes cannot tell it from Helm's
        (("watch", "secrets"), False),
        (("delete", "configmap/tw-thumbwheel-plan"), False),
        (("list", "configmaps"), False),
        (("patch", "statefulsets"), False),
        (("get", "pods"), False),
        (("create", "pods"), False),
        (("create", "pods/exec"), False),
        (("create", "rolebindings"), False),
        (("get", "nodes"), False),
    ],
)
def test_ops_may_do_what_it_needs_and_nothing_else(
    installed: ApiServer, asked: tuple[str, str], may: bool
) -> None:
    done = kubectl(installed, "auth", "can-i", *asked, token=installed.token_of(OPS))
    assert done.stdout.strip() == ("yes" if may else "no"), done.stderr
