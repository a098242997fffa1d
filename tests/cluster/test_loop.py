"""The loop on a real Kubernetes: installed, rolled, rolled back, and bereft of its pods.

The tests go on from each other: one release, installed once, costs minutes.
"""

import asyncio
import json
import os
import sysconfig
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from feedback.events import BASE, VERDICT_KINDS, Completion, Verdict, decode
from feedback.log import open_log, read_all
from ops import history
from ops.demo.brokers import Broker, brokers
from ops.demo.processes import teach
from ops.demo.users import Crowd, Habits
from serving.split import Split
from tests.cluster import images
from tests.cluster.node import Node, node
from tests.cluster.release import MODEL, RELEASE, Cluster, Manifest, until
from tests.cluster.servers import IP
from tests.helm.chart import CHART, ROOT
from tests.integration.load import Load

pytestmark = pytest.mark.cluster

HERE = Path(__file__).parent
APP, MOUNTED = "localhost/thumbwheel:tried", "localhost/thumbwheel-mounted:tried"
ENGINE_KEY = "engine-key"
ACCOUNT = f"system:serviceaccount:tried:{RELEASE}-ops"

_ROOMS = {"gateway": 2, "engine": 2, "worker": 1, "rounds": 1, "score": 1, "ops": 2}


@dataclass(frozen=True)
class Place:
    """Where it all lies on the machine."""

    cluster: Cluster
    log: str
    diary: Path
    broker: Broker | None  # of Kafka, where it is ours
    install: Callable[[], None]

    @property
    def url(self) -> str:
        """Of the gateways' Service, where it is reached from here."""
        return os.environ.get("THUMBWHEEL_TEST_URL") or self.cluster.url("gateway")

    def split(self) -> Split:
        with closing(open_log(self.log)) as log:
            return history.splits(log)[-1]

    def revision_of(self, adapter: str) -> str:
        """Helm's, that first told of it."""
        told = (one for one in self.cluster.story() if one["description"].startswith(adapter))
        return str(next(told)["revision"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("cluster")
    begun = _yours if os.environ.get("KUBECONFIG") else _ours
    with begun(folder) as (cluster, values, broker):

        def install() -> None:
            cluster.helm("install", RELEASE, CHART, *values, "--wait", "--timeout", "10m")

        install()
        told = cluster.helm("get", "values", RELEASE, "--output", "json")
        yield Place(cluster, json.loads(told)["log"], folder / "diary.jsonl", broker, install)


Begun = tuple[Cluster, list[str | Path], Broker | None]


@contextmanager
def _yours(folder: Path) -> Iterator[Begun]:
    """With values as in values.yaml, that say where your images, model and Kafka are."""
    values = os.environ.get("THUMBWHEEL_TEST_VALUES", "")
    assert Path(values).is_file(), (
        f"THUMBWHEEL_TEST_VALUES is {values!r}; with KUBECONFIG expected a file of values, as "
        "tests/cluster/values.yaml is, with your images, model and log"
    )
    cluster = Cluster(Path(os.environ["KUBECONFIG"]), "tried")
    _make_namespace(cluster)
    try:
        yield cluster, ["-f", values], None
    finally:
        cluster.run("kubectl", "delete", "namespace", cluster.namespace, "--wait")


@contextmanager
def _ours(folder: Path) -> Iterator[Begun]:
    asyncio.run(teach(folder / "model", seed=0))
    for path in (folder / "model").iterdir():
        path.chmod(0o644)  # pods are another user
    with node(folder / "node") as one, brokers(folder / "kafka", settings=_outside) as (broker,):
        _load_images(one, folder)
        cluster = Cluster(one.kubeconfig, "tried")
        _make_namespace(cluster)
        _mount(cluster, folder / "model")
        log = f"log=kafka://{IP}:{broker.port}?partitions=2"
        yield cluster, ["-f", HERE / "values.yaml", "--set-string", log], broker


def _outside(broker: Broker) -> dict[str, object]:
    """Pods reach it too."""
    said = f"PLAINTEXT://0.0.0.0:{broker.port},CONTROLLER://127.0.0.1:{broker.controller_port}"
    return {"listeners": said, "advertised.listeners": f"PLAINTEXT://{IP}:{broker.port}"}


def _load_images(one: Node, folder: Path) -> None:
    images.have_base(one.base)
    base = {"BASE": images.BASE}
    app = ROOT / "helm/images/Dockerfile"
    one.load(images.built(app, "app", ROOT, APP, base, folder / "app.tar"))
    mounted = HERE / "Dockerfile"
    one.load(images.built(mounted, "", ROOT, MOUNTED, base, folder / "mounted.tar"))


def _make_namespace(cluster: Cluster) -> None:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    about = {"name": cluster.namespace, "labels": enforced}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": about}
    cluster.run("kubectl", "apply", "-f", "-", told=json.dumps(made))


def _mount(cluster: Cluster, model: Path) -> None:
    environment = Path(sysconfig.get_path("purelib"))
    for name, path in (("model", model), ("environment", environment)):
        cluster.apply(*_mounted(name, path, cluster.namespace))


def _mounted(name: str, path: Path, namespace: str) -> Iterator[Manifest]:
    """A folder of the node, for claims of that name: pods themselves may mount none."""
    common = {"storageClassName": "", "accessModes": ["ReadOnlyMany"]}
    volume = f"{namespace}-{name}"
    of = {"kind": "PersistentVolume", "apiVersion": "v1", "metadata": {"name": volume}}
    claim = {"name": name, "namespace": namespace}
    host = {"hostPath": {"path": str(path)}, "capacity": {"storage": "1Gi"}, "claimRef": claim}
    yield {**of, "spec": {**common, **host}}
    wanted = {"volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}}
    yield {
        **of,
        "kind": "PersistentVolumeClaim",
        "metadata": claim,
        "spec": {**common, **wanted},
    }


@contextmanager
def users(place: Place) -> Iterator[None]:
    """Chat and rate, while the body runs."""
    stop = asyncio.Event()

    async def chat() -> None:
        running.set_result(asyncio.get_running_loop())
        async with httpx.AsyncClient(base_url=place.url, timeout=60, trust_env=False) as client:
            await Crowd(client, "demo", habits=Habits(seats=8), diary=place.diary).chat(stop)

    running: Future[asyncio.AbstractEventLoop] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(chat()))
    thread.start()
    try:
        yield
    finally:
        running.result(10).call_soon_threadsafe(stop.set)
        thread.join(120)


def examples(place: Place) -> int:
    with closing(open_log(place.log)) as log:
        return sum(1 for _ in read_all(log, "verdicts"))


def chatted(url: str, user: str, key: str = "none") -> tuple[ChatCompletion, str]:
    """The answer, and the adapter in its header."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="demo",
            user=user,
            max_tokens=8,
            messages=[{"role": "user", "content": "How do I make tea?"}],
        )
    return raw.parse(), raw.headers["x-thumbwheel-adapter"]


def asked(place: Place, user: str) -> tuple[str, str]:
    """The adapter in the header, and the model in vLLM's own answer."""
    answer, adapter = chatted(place.url, user)
    return adapter, answer.model


def like(url: str, answer: ChatCompletion, key: str = "none") -> None:
    said = {"completion_id": answer.id, "thumb": "up"}
    assert sent("POST", f"{url}/v1/feedback", key, said).status_code == 202


def sent(how: str, url: str, key: str, said: object = None) -> httpx.Response:
    bearer = {"authorization": f"Bearer {key}"}
    return httpx.request(how, url, headers=bearer, json=said, timeout=60, trust_env=False)


def test_every_pod_is_ready_and_restricted(place: Place) -> None:
    for room, count in _ROOMS.items():
        assert place.cluster.are_ready(room, count), room
    loose = place.cluster.tried(
        *("kubectl", "-n", "tried", "run", "loose", f"--image={APP}", "--restart=Never")
    )
    assert "violates PodSecurity" in loose.stderr


def test_an_unmodified_client_chats_through_the_service(place: Place) -> None:
    assert asked(place, "ann") == (BASE, "demo")


def test_a_round_by_hand_begins_though_none_is_due(place: Place) -> None:
    made = ("create", "job", "by-hand", f"--from=cronjob/{RELEASE}-trainer")
    told = place.cluster.kubectl(*made, "--dry-run=client", "--output=yaml")
    place.cluster.kubectl("apply", "-f", "-", told=told.replace("--if-due", "--once"))
    place.cluster.has_ended("by-hand")
    assert "too_few: no adapter" in place.cluster.logs("job/by-hand")


def test_thumbs_a_round_as_a_job_and_a_canary_make_a_revision_that_says_why(place: Place) -> None:
    with users(place):
        until(lambda: examples(place) > 150, 300, lambda: examples(place))
        place.cluster.round("round-1")
        until(lambda: place.split().stable == "demo-v1", 600, lambda: place.cluster.ops("status"))
    until(lambda: place.cluster.serving() == "demo-v1", 30, place.cluster.story)
    first, *_, last = place.cluster.story()
    assert first["description"] == "base: nothing is better yet (split 1, by ops)"
    assert last["description"].startswith("demo-v1: better: gain ")
    assert {asked(place, f"user-{number}") for number in range(8)} == {("demo-v1", "demo-v1")}


def test_helm_rollback_brings_the_former_adapter_back_and_touches_no_pod(place: Place) -> None:
    with users(place):
        until(lambda: place.split().canary is None, 60, place.split)
        promoted_by_hand(place, "round-2")
    newer = place.split().stable
    assert newer not in (BASE, "demo-v1")
    until(lambda: place.cluster.serving() == newer, 30, place.cluster.story)
    before = {room: place.cluster.lives(room) for room in _ROOMS}
    place.cluster.helm("rollback", MODEL, place.revision_of("demo-v1"))
    began = time.monotonic()
    until(lambda: asked(place, "ann") == ("demo-v1", "demo-v1"), 5, place.split)
    print(f"\nthe former adapter answers {time.monotonic() - began:.1f} s after helm rollback")
    assert {asked(place, f"user-{number}") for number in range(8)} == {("demo-v1", "demo-v1")}
    split = place.split()
    assert (split.stable, split.canary, split.pinned, split.by) == ("demo-v1", None, True, "helm")
    listed = place.cluster.kubectl(
        "exec", f"deployment/{RELEASE}-ops", "--", "ls", "/data/adapters"
    )
    assert f"{newer}.withdrawn.json" in listed.split()
    assert {room: place.cluster.lives(room) for room in _ROOMS} == before
    assert "paused" in place.cluster.ops("status")


def promoted_by_hand(place: Place, name: str) -> None:
    """The adapter of one more round."""
    had = place.split().stable
    seen = examples(place)
    until(lambda: examples(place) > seen + 150, 300, lambda: examples(place))
    place.cluster.round(name)
    until(lambda: place.split().canary is not None, 120, lambda: place.cluster.ops("status"))
    place.cluster.ops("promote", "--reason", "I like it")
    assert place.split().stable != had


def test_the_next_round_learns_from_the_former_adapter(place: Place) -> None:
    """On two nodes, as torchrun knows them: two pods that train together."""
    two = ("--set", "trainer.nodes=2")
    place.cluster.helm("upgrade", RELEASE, CHART, "--reuse-values", *two, "--wait")
    place.cluster.round("round-3")  # of what was said of it meanwhile
    told = place.cluster.kubectl(
        *("exec", f"deployment/{RELEASE}-ops", "--"),
        *("sh", "-c", "cat $(ls -td /data/adapters/demo-v*/manifest.json | head -1)"),
    )
    manifest = json.loads(told)
    assert (manifest["parent"], manifest["plan"]["nodes"]) == ("demo-v1", 2)


@pytest.mark.parametrize(
    ("asked", "may"),
    [
        (("get", f"configmap/{MODEL}"), "yes"),
        (("patch", f"configmap/{MODEL}"), "yes"),
        (("create", "secrets"), "yes"),
        (("get", f"configmap/{RELEASE}-plan"), "no"),
        (("delete", f"configmap/{MODEL}"), "yes"),
        (("get", f"secret/{RELEASE}-keys"), "yes"),  # Kubernetes cannot tell it from Helm's
        (("watch", "secrets"), "no"),
        (("list", "configmaps"), "no"),
        (("patch", f"statefulset/{RELEASE}-engine"), "no"),
        (("get", "pods"), "no"),
        (("delete", "pods"), "no"),
        (("create", "pods/exec"), "no"),
        (("create", "rolebindings"), "no"),
        (("get", "nodes"), "no"),
    ],
)
def test_the_controller_may_do_what_it_needs_and_nothing_else(
    place: Place, asked: tuple[str, str], may: str
) -> None:
    done = place.cluster.tried("kubectl", "-n", "tried", "auth", "can-i", *asked, f"--as={ACCOUNT}")
    assert done.stdout.strip() == may


def test_nobody_else_is_given_a_token(place: Place) -> None:
    for room in (*_ROOMS, "trainer"):
        mounted = {
            volume["name"] for pod in place.cluster.pods(room) for volume in pod["spec"]["volumes"]
        }
        assert any(name.startswith("kube-api-access") for name in mounted) == (room == "ops")


@contextmanager
def load(place: Place) -> Iterator[Load]:
    """Clients that chat and judge while the body runs; afterwards all of it is on the log."""
    made = Load(place.url, seed=int(time.time()), clients=6, model="demo")
    stop = asyncio.Event()
    running: Future[asyncio.AbstractEventLoop] = Future()

    async def go() -> None:
        running.set_result(asyncio.get_running_loop())
        await made.run(stop)

    thread = threading.Thread(target=lambda: asyncio.run(go()))
    thread.start()
    try:
        yield made
    finally:
        running.result(10).call_soon_threadsafe(stop.set)
        thread.join(180)
    until(lambda: not missing(place, made), 60, lambda: missing(place, made))


def missing(place: Place, made: Load) -> set[str]:
    """Verdicts that were accepted, and completions that were answered, which are not on the log."""
    with closing(open_log(place.log)) as log:
        said = [decode(one.value, VERDICT_KINDS) for one in read_all(log, "verdicts")]
        ids = {decode(one.value, (Completion,)).id for one in read_all(log, "completions")}
    keys = {one.key for one in said if isinstance(one, Verdict)}  # the guard's rulings have none
    return (made.ledger.keys - keys) | (made.ledger.answered.keys() - ids)


def nothing_failed(made: Load) -> None:
    counts = made.ledger.counts
    print(f"\n{dict(counts)}")
    assert counts["chats answered"] > 20
    assert made.ledger.failures == []


def all_ready(place: Place) -> None:
    for room, count in _ROOMS.items():
        until(
            lambda: place.cluster.are_ready(room, count),  # noqa: B023 (it is asked at once)
            400,
            lambda: place.cluster.kubectl("get", "pods"),
        )


def test_a_rolling_upgrade_fails_no_request(place: Place) -> None:
    before = who(place, "gateway")
    with load(place) as made:
        anew = ("--set", f"extra.env.ROLLED=at-{time.time():.0f}")
        patient = ("--wait", "--timeout", "10m")
        place.cluster.helm("upgrade", RELEASE, CHART, "--reuse-values", *anew, *patient)
        all_ready(place)
    assert not before & who(place, "gateway")
    nothing_failed(made)


@pytest.mark.parametrize("room", ["gateway", "ops", "worker", "engine"])
def test_a_pod_that_is_deleted_under_load_fails_no_request_and_loses_no_verdict(
    place: Place, room: str
) -> None:
    all_ready(place)
    victim = place.cluster.pods(room)[0]["metadata"]["name"]
    with load(place) as made:
        time.sleep(3)
        place.cluster.kubectl("delete", "pod", victim)
        all_ready(place)
        time.sleep(3)
    nothing_failed(made)


def test_a_new_engine_serves_every_adapter_with_no_load_call(place: Place) -> None:
    (first, *_) = place.cluster.pods("engine")
    address = first["status"]["podIP"]
    listed = place.cluster.kubectl(
        *("exec", f"deployment/{RELEASE}-ops", "--", "sh", "-c"),
        "cd /data/adapters && ls -d */ *.withdrawn.json",
    )
    withdrawn = {
        one.removesuffix(".withdrawn.json") for one in listed.split() if one.endswith(".json")
    }
    adapters = {one.rstrip("/") for one in listed.split() if one.endswith("/")} - withdrawn
    assert len(adapters) > 1
    key = key_of(place.cluster, ENGINE_KEY)
    for adapter in sorted(adapters):
        said = {
            "model": adapter,
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 1,
        }
        answer = sent("POST", f"http://{address}:8000/v1/chat/completions", key, said)
        assert answer.json()["model"] == adapter


def test_while_kafka_is_lost_all_are_served_and_nothing_is_lost(place: Place) -> None:
    if place.broker is None:
        pytest.skip("Kafka is yours: it is not killed")
    with load(place) as made:
        time.sleep(2)
        place.broker.kill()
        time.sleep(10)
        place.broker.start()
        place.broker.wait()
        time.sleep(3)
    nothing_failed(made)


def test_a_gateway_that_begins_while_kafka_is_lost_is_ready_when_it_is_back(place: Place) -> None:
    if place.broker is None:
        pytest.skip("Kafka is yours: it is not killed")

    def said() -> str:
        return place.cluster.logs(f"pod/{RELEASE}-gateway-1")

    former, before = who(place, "gateway"), asked(place, "ann")
    place.broker.kill()
    try:
        place.cluster.kubectl("delete", "pod", f"{RELEASE}-gateway-1")
        until(lambda: len(who(place, "gateway") - former) == 1, 60, lambda: former)
        until(lambda: "the log is away; what comes waits in the spool" in said(), 120, said)
        time.sleep(5)  # it listens, and is asked whether it is ready
        until(lambda: place.cluster.are_ready("gateway", 1), 10, said)
        assert asked(place, "ann") == before
    finally:
        place.broker.start()
        place.broker.wait()
    all_ready(place)


def test_all_pods_lost_at_once_as_with_their_node_lose_no_verdict(place: Place) -> None:
    """Requests fail meanwhile, as there is no other node: nothing that was accepted is gone."""
    stable = place.split().stable
    with load(place) as made:
        time.sleep(5)
        place.cluster.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")
        all_ready(place)
        time.sleep(3)
    print(f"\n{dict(made.ledger.counts)}")
    assert place.split().stable == stable


def test_a_person_is_forgotten_in_a_gateways_pod(place: Place) -> None:
    answer, _ = chatted(place.url, "carl")
    like(place.url, answer)

    def forget(*words: str) -> str:
        asked = ("exec", "-i", f"{RELEASE}-gateway-0", "--", "thumbwheel", "forget", "carl", *words)
        return place.cluster.tried("kubectl", "-n", "tried", *asked, told="n\n").stdout

    until(lambda: ": 1 examples" in forget(), 60, forget)
    assert "done: no example is theirs" in forget("--yes")


def test_a_new_key_of_the_control_api_is_the_only_one(place: Place) -> None:
    keys = renewed(place, "ops-key", "deployment/ops")
    old, new = (sent("POST", f"{place.cluster.url('ops')}/v1/pause", key) for key in keys)
    assert old.status_code == 401
    assert new.status_code in (200, 409)  # it is paused since the roll-back


def test_a_new_key_of_the_engines_is_the_only_one(place: Place) -> None:
    before = asked(place, "ann")
    keys = renewed(place, ENGINE_KEY, "statefulset/engine", "statefulset/gateway", "deployment/ops")
    for pod in place.cluster.pods("engine"):
        url = f"http://{pod['status']['podIP']}:8000/v1/models"
        assert [sent("GET", url, key).status_code for key in keys] == [401, 200]
    assert asked(place, "ann") == before


def renewed(place: Place, key: str, *readers: str) -> tuple[str, str]:
    """The old one, and the new one, which all who read it have been told."""
    rooms = [reader.partition("/")[2] for reader in readers]
    former = who(place, *rooms)
    old, new = key_of(place.cluster, key), "another"
    told = json.dumps({"stringData": {key: new}})
    place.cluster.kubectl("patch", "secret", f"{RELEASE}-keys", f"--patch={told}")
    named = [reader.replace("/", f"/{RELEASE}-") for reader in readers]
    place.cluster.kubectl("rollout", "restart", *named)
    until(lambda: not former & who(place, *rooms), 400, lambda: former)
    all_ready(place)
    return old, new


def test_an_upgrade_that_is_rolled_back_moves_neither_keys_nor_model(place: Place) -> None:
    def said() -> tuple[str, Split, str]:
        schedule = place.cluster.get("cronjob", f"{RELEASE}-trainer")["spec"]["schedule"]
        return schedule, place.split(), key_of(place.cluster, "ops-key")

    before = said()
    weekly = ("--set", "trainer.schedule=@weekly", "--wait", "--timeout", "10m")
    place.cluster.helm("upgrade", RELEASE, CHART, "--reuse-values", *weekly)
    assert said() == ("@weekly", *before[1:])
    place.cluster.helm("rollback", RELEASE, "--wait", "--timeout", "10m")
    assert said() == before


def who(place: Place, *rooms: str) -> set[str]:
    return {pod["metadata"]["uid"] for room in rooms for pod in place.cluster.pods(room)}


def key_of(cluster: Cluster, name: str) -> str:
    return b64decode(cluster.get("secret", f"{RELEASE}-keys")["data"][name]).decode()


def test_what_is_installed_anew_goes_on_where_it_was(place: Place) -> None:
    split, story = place.split(), place.cluster.story()
    keys = place.cluster.get("secret", f"{RELEASE}-keys")["data"]
    place.cluster.helm("uninstall", RELEASE, "--wait", "--timeout", "5m")
    place.install()
    all_ready(place)
    assert place.cluster.get("secret", f"{RELEASE}-keys")["data"] == keys
    assert asked(place, "ann") == (split.stable, split.stable)
    assert place.split() == split
    assert place.cluster.story() == story


def test_one_engine_with_the_gateway_inside_needs_no_kafka(place: Place) -> None:
    if place.broker is None:
        pytest.skip("the cluster is yours: another namespace would need another model")
    place.cluster.helm("uninstall", RELEASE, "--wait", "--timeout", "5m")
    volume = place.cluster.get("persistentvolume", "tried-model")["spec"]
    small = Cluster(place.cluster.kubeconfig, "small")
    _make_namespace(small)
    _mount(small, Path(volume["hostPath"]["path"]))
    alone = (
        *("gateway.place=inside", "engine.replicas=1", "ops.replicas=1", "score.enabled=false"),
        "data.accessModes={ReadWriteOnce}",
    )
    words = [word for one in alone for word in ("--set", one)]
    values: list[str | Path] = ["-f", HERE / "values.yaml", *words]
    small.helm("install", RELEASE, CHART, *values, "--wait", "--timeout", "10m")
    url, key = small.url("gateway"), key_of(small, ENGINE_KEY)
    with pytest.raises(openai.AuthenticationError):
        chatted(url, "ann")
    answer, _ = chatted(url, "ann", key)
    like(url, answer, key)
    until(lambda: "1/1 = 100%" in small.ops("status"), 60, lambda: small.ops("status"))


def test_who_wants_nothing_to_be_left_has_nothing_left(place: Place) -> None:
    for release in (RELEASE, MODEL):
        place.cluster.helm("uninstall", release, "--wait", "--timeout", "5m", "--ignore-not-found")
    made = f"--selector=app.kubernetes.io/instance={RELEASE}"
    place.cluster.kubectl("delete", "pvc,secret", made, "--timeout=60s")
    kinds = "all,pvc,secret,configmap,serviceaccount,role,rolebinding,networkpolicy,pdb"
    left = place.cluster.kubectl("get", kinds, "--output=name").split()
    assert not [one for one in left if RELEASE in one]
