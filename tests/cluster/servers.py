"""What each server of the node is told. Pure: knows nothing of how they start and end."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "node"
# A bridge of the node's own is its network: nothing can be reached from outside the machine.
BRIDGE = "thumbwheel0"
IP = "10.213.0.1"
DOMAIN = "cluster.local"
SERVICES = "10.214.0.0/16"
_PODS = "10.213.0.0/24"
_ISSUER = "https://kubernetes.default.svc"


@dataclass(frozen=True)
class Ports:
    api: int
    kubelet: int
    kubelet_health: int
    proxy_health: int
    proxy_metrics: int
    etcd: int
    etcd_peers: int


@dataclass(frozen=True)
class Place:
    """`made` is by `install`; `home` is short, as names of sockets must be; `folder` stays."""

    made: Path
    home: Path
    folder: Path
    ports: Ports
    token: str

    @property
    def socket(self) -> Path:
        return self.home / "containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def accounts_key(self) -> Path:
        return self.folder / "accounts.key"

    @property
    def certificate(self) -> Path:
        """The API server makes it, and it vouches for itself."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def url(self) -> str:
        return f"https://{IP}:{self.ports.api}"


Commands = dict[str, list[str]]


def first(place: Place) -> Commands:
    """Those that the others need, in the order of their start."""
    return {
        "containerd": ["containerd", f"--config={place.folder / 'containerd.toml'}"],
        "etcd": _etcd(place),
        "kube-apiserver": _api_server(place),
    }


def then(place: Place) -> Commands:
    """Those that need the API."""
    program, folder = str(place.made / "node"), place.folder
    lone = (f"--kubeconfig={place.kubeconfig}", "--leader-elect=false", "--secure-port=0")
    return {
        "kube-controller-manager": [
            *(program, "kube-controller-manager", *lone),
            f"--service-account-private-key-file={place.accounts_key}",
            f"--root-ca-file={place.certificate}",
        ],
        "kube-scheduler": [program, "kube-scheduler", *lone],
        "kubelet": [
            *(program, "kubelet", f"--config={folder / 'kubelet.json'}"),
            f"--kubeconfig={place.kubeconfig}",
            f"--root-dir={place.home / 'kubelet'}",
            f"--cert-dir={place.home / 'kubelet-certificates'}",
            *(f"--hostname-override={NAME}", f"--node-ip={IP}"),
        ],
        "kube-proxy": [program, "kube-proxy", f"--config={folder / 'proxy.json'}"],
        "coredns": [program, "coredns", f"-conf={folder / 'Corefile'}"],
    }


def _etcd(place: Place) -> list[str]:
    url, peers = (f"http://127.0.0.1:{port}" for port in (place.ports.etcd, place.ports.etcd_peers))
    return [
        *(str(place.made / "node"), "etcd", f"--data-dir={place.home / 'etcd'}"),
        *(f"--listen-client-urls={url}", f"--advertise-client-urls={url}"),
        *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
        *(f"--initial-cluster=default={peers}", "--unsafe-no-fsync"),
    ]


def _api_server(place: Place) -> list[str]:
    return [
        *(str(place.made / "node"), "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{place.ports.etcd}",
        *(f"--bind-address={IP}", f"--secure-port={place.ports.api}"),
        f"--cert-dir={place.certificate.parent}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={place.accounts_key}",
        f"--service-account-signing-key-file={place.accounts_key}",
        f"--token-auth-file={place.folder / 'tokens.csv'}",
        *("--authorization-mode=RBAC", "--allow-privileged"),
        # A node's name need not be known to the machine.
        "--kubelet-preferred-address-types=InternalIP",
    ]


def settings(place: Place, plugins: Path) -> dict[str, str]:
    """The files in the folder; `plugins` are those of the pods' network."""
    return {
        "containerd.toml": _containerd(place, plugins),
        "network/pods.conflist": json.dumps(_network(place)),
        "tokens.csv": f"{place.token},admin,admin,system:masters\n",
        "kubeconfig": json.dumps(_kubeconfig(place), indent=2),
        "kubelet.json": json.dumps(_kubelet(place), indent=2),
        "proxy.json": json.dumps(_proxy(place), indent=2),
        "Corefile": _names(place),
    }


def _containerd(place: Place, plugins: Path) -> str:
    # It may not lower what the kernel says of who is killed first where it lacks CAP_SYS_RESOURCE.
    return f"""\
version = 2
root = "{place.home}/containerd"
state = "{place.home}/run"
[grpc]
  address = "{place.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{place.home}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{place.folder}/network"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{place.home}/runc"
"""


def _network(place: Place) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(place.home / "addresses"),
        "ranges": [[{"subnet": _PODS, "gateway": IP}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "ipam": addresses}
    gateway = {"isGateway": True, "ipMasq": True, "hairpinMode": True}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    # Where Docker runs too, nothing is forwarded that nobody speaks for.
    plugins = [bridge | gateway, ports, {"type": "firewall"}]
    return {"cniVersion": "0.4.0", "name": "thumbwheel-pods", "plugins": plugins}


def _kubeconfig(place: Place) -> dict[str, Any]:
    cluster = {"server": place.url, "certificate-authority": str(place.certificate)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": place.token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": "admin"}}],
        "current-context": NAME,
    }


def _kubelet(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": IP,
        "port": place.ports.kubelet,
        "healthzPort": place.ports.kubelet_health,
        # Who reaches the bridge is root on this machine, or one of its pods.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{place.socket}",
        "podLogsDir": str(place.folder / "pods"),
        "volumePluginDir": str(place.home / "volume-plugins"),
        "clusterDNS": [IP],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        # Images are brought once: none may go for want of room.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
    }


def _proxy(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(place.kubeconfig)},
        "mode": "iptables",
        "iptables": {"minSyncPeriod": "100ms"},
        "clusterCIDR": _PODS,
        "hostnameOverride": NAME,
        "healthzBindAddress": f"127.0.0.1:{place.ports.proxy_health}",
        "metricsBindAddress": f"127.0.0.1:{place.ports.proxy_metrics}",
        "oomScoreAdj": 0,
        # The kernel's own; not every machine lets them be set.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _names(place: Place) -> str:
    """Names inside are answered; no other name is there."""
    return f"""\
{DOMAIN} in-addr.arpa {{
  bind {IP}
  errors
  cache 1
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {place.kubeconfig} {NAME}
    pods insecure
  }}
}}
. {{
  bind {IP}
  template ANY ANY . {{
    rcode NXDOMAIN
  }}
}}
"""
