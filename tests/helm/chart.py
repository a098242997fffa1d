"""The chart, rendered by the real helm."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "thumbwheel"
EXAMPLES = sorted((ROOT / "helm" / "examples").glob("*.yaml"))

Manifest = dict[str, Any]


def tool(name: str) -> str | Path:
    """helm or kubectl, as `make` has unpacked it; or the machine's own."""
    unpacked = ROOT / ".venv" / "helm" / name
    return unpacked if unpacked.exists() else name


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("helm"), *words], capture_output=True, text=True, timeout=60)


def rendered(*words: str | Path) -> list[Manifest]:
    done = helm("template", "tw", CHART, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def of(manifests: list[Manifest], kind: str, room: str) -> Manifest:
    (found,) = (
        one
        for one in manifests
        if one["kind"] == kind and one["metadata"]["name"] == f"tw-thumbwheel-{room}"
    )
    return found


def templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Each template of pods, with the name of what makes them."""
    for one in manifests:
        spec = one.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield one["metadata"]["name"], template


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Their specs."""
    for name, template in templates(manifests):
        yield name, template["spec"]


def container_of(manifests: list[Manifest], kind: str, room: str) -> Manifest:
    (found,) = of(manifests, kind, room)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def env(container: Manifest) -> dict[str, str]:
    """What is told, and of what lies in a Secret, where."""
    return {
        one["name"]: one["value"] if "value" in one else one["valueFrom"]["secretKeyRef"]["key"]
        for one in container["env"]
    }
