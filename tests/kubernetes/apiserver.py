"""A small Kubernetes API server for quick tests with the real helm and kubectl. Door.

Objects have their schemas, fields their owners, accounts their rights; what controllers would do to
an object is said of it at once. There are no pods behind it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.helm.chart import Manifest
from tests.kubernetes import certificate
from tests.kubernetes.answering import Answering, Asked, served
from tests.kubernetes.faults import Fault
from tests.kubernetes.kinds import BY_KIND, NAMESPACE, SERVICE_ACCOUNT, Key
from tests.kubernetes.objects import Objects
from tests.kubernetes.rights import ADMIN, token
from tests.kubernetes.schemas import schemas

MINOR = "1.35"


@dataclass
class ApiServer:
    folder: Path
    answering: Answering
    url: str

    @property
    def kubeconfig(self) -> Path:
        """Of `admin`, who may do all."""
        return self.folder / "kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        """For helm and kubectl, so that nothing of them stays on the machine."""
        places = ("KUBECACHEDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
        return {
            "KUBECONFIG": str(self.kubeconfig),
            **{name: str(self.folder / name.lower()) for name in places},
        }

    @property
    def requests(self) -> list[Asked]:
        """All but those for what the server has, and its version."""
        return list(self.answering.asked)

    def objects(self, kind: str, namespace: str = "") -> list[Manifest]:
        found = self.answering.objects.under(BY_KIND[kind], namespace)
        return [manifest for _, manifest in found]

    def get(self, kind: str, name: str, namespace: str = "default") -> Manifest | None:
        resource = BY_KIND[kind]
        where = namespace if resource.namespaced else ""
        return self.answering.objects.get(Key(resource, where, name))

    def token_of(self, account: str, namespace: str = "default") -> str:
        """It may do what the Roles that lie here then let it."""
        return token(account, namespace)

    def account_folder(self, account: str, namespace: str = "default") -> Path:
        """As /var/run/secrets/kubernetes.io/serviceaccount in its pods."""
        folder = self.folder / "accounts" / namespace / account
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "token").write_text(self.token_of(account, namespace))
        (folder / "namespace").write_text(namespace)
        (folder / "ca.crt").write_bytes((self.folder / "ca.crt").read_bytes())
        return folder

    def fail(
        self, verb: str, kind: str, name: str | None = None, *, times: int = 1, status: int = 500
    ) -> None:
        """The next calls of that verb end so."""
        self.answering.faults.append(Fault(verb, BY_KIND[kind], name, times, status))


@contextmanager
def api_server(minor: str = MINOR) -> Iterator[ApiServer]:
    objects = Objects()
    for name in ("default", "kube-system"):
        _put(objects, Key(NAMESPACE, "", name))
    _put(objects, Key(SERVICE_ACCOUNT, "default", "default"))
    answering = Answering(objects, schemas(minor), minor)
    with TemporaryDirectory() as place:
        folder = Path(place)
        certificate.write(folder / "ca.crt", folder / "ca.key")
        with served(answering, folder / "ca.crt", folder / "ca.key") as url:
            _write_kubeconfig(folder, url)
            yield ApiServer(folder, answering, url)


def _put(objects: Objects, key: Key) -> None:
    kind = {"apiVersion": key.resource.group_version, "kind": key.resource.kind}
    about = {"name": key.name, **({"namespace": key.namespace} if key.namespace else {})}
    objects.keep(key, {**kind, "metadata": about})


def _write_kubeconfig(folder: Path, url: str) -> None:
    cluster = {"server": url, "certificate-authority": str(folder / "ca.crt")}
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": ADMIN, "user": {"token": ADMIN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": ADMIN}}],
        "current-context": "test",
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(told))
