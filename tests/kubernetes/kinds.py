"""The kinds of things that the API server keeps. Knows nothing about requests."""

from dataclasses import dataclass

_TABLE = """
v1 namespaces Namespace - ns
v1 nodes Node - no
v1 configmaps ConfigMap + cm
v1 secrets Secret +
v1 services Service + svc
v1 serviceaccounts ServiceAccount + sa
v1 pods Pod + po
v1 events Event + ev
v1 persistentvolumeclaims PersistentVolumeClaim + pvc
v1 persistentvolumes PersistentVolume - pv
v1 endpoints Endpoints + ep
v1 limitranges LimitRange + limits
v1 resourcequotas ResourceQuota + quota
apps/v1 deployments Deployment + deploy
apps/v1 statefulsets StatefulSet + sts
apps/v1 daemonsets DaemonSet + ds
apps/v1 replicasets ReplicaSet + rs
batch/v1 jobs Job +
batch/v1 cronjobs CronJob + cj
policy/v1 poddisruptionbudgets PodDisruptionBudget + pdb
networking.k8s.io/v1 ingresses Ingress + ing
networking.k8s.io/v1 networkpolicies NetworkPolicy + netpol
networking.k8s.io/v1 ingressclasses IngressClass -
autoscaling/v2 horizontalpodautoscalers HorizontalPodAutoscaler + hpa
rbac.authorization.k8s.io/v1 roles Role +
rbac.authorization.k8s.io/v1 rolebindings RoleBinding +
rbac.authorization.k8s.io/v1 clusterroles ClusterRole -
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding -
coordination.k8s.io/v1 leases Lease +
authorization.k8s.io/v1 selfsubjectaccessreviews SelfSubjectAccessReview -
apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition - crd
scheduling.k8s.io/v1 priorityclasses PriorityClass - pc
monitoring.coreos.com/v1 podmonitors PodMonitor + pmon
monitoring.coreos.com/v1 prometheusrules PrometheusRule + promrule
"""


@dataclass(frozen=True)
class Resource:
    """A kind, and where its objects lie."""

    group_version: str
    plural: str
    kind: str
    namespaced: bool
    short: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.group_version.rpartition("/")[2]

    @property
    def full_name(self) -> str:
        """As Kubernetes names it in its messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _row(line: str) -> Resource:
    group_version, plural, kind, namespaced, *short = line.split()
    return Resource(group_version, plural, kind, namespaced == "+", tuple(short))


RESOURCES = tuple(_row(line) for line in _TABLE.strip().splitlines())
GROUP_VERSIONS = tuple(dict.fromkeys(one.group_version for one in RESOURCES))
BY_PATH = {(one.group_version, one.plural): one for one in RESOURCES}
BY_KIND = {one.kind: one for one in RESOURCES}
NAMESPACE, SERVICE_ACCOUNT = BY_KIND["Namespace"], BY_KIND["ServiceAccount"]
REVIEW = BY_KIND["SelfSubjectAccessReview"]


@dataclass(frozen=True)
class Key:
    """Where one object lies; of what has no namespace, that is empty."""

    resource: Resource
    namespace: str
    name: str
