"""The image of gateway, worker and controller, as its Dockerfile makes it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.node import made
from tests.helm.chart import ROOT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        "KUBECONFIG" in os.environ, reason="the cluster is yours, none is made here"
    ),
]

APP = "localhost/thumbwheel:tried"
MOST_BYTES = 300_000_000  # above its base


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images.have_base(made() / "base.tar")
    into = tmp_path_factory.mktemp("images") / "app.tar"
    dockerfile = ROOT / "helm/images/Dockerfile"
    return images.built(dockerfile, "app", ROOT, APP, {"BASE": images.BASE}, into)


@pytest.fixture(scope="module")
def container(archive: Path) -> Iterator[str]:
    name = buildah("from", APP).strip()
    yield name
    buildah("rm", name)


def buildah(*words: str) -> str:
    done = subprocess.run(["buildah", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(container: str, *words: str) -> str:
    return buildah("run", "--isolation", "chroot", container, "--", *words)


def test_it_is_slim(archive: Path) -> None:
    more = archive.stat().st_size - (made() / "base.tar").stat().st_size
    print(f"\n{more / 1e6:.0f} MB above its base")
    assert more < MOST_BYTES


def test_built_again_it_is_the_same(archive: Path, tmp_path: Path) -> None:
    def steps(name: str) -> list[str]:
        """With a digest of what each copied."""
        told = json.loads(buildah("inspect", "--type", "image", name))["OCIv1"]
        return [one["created_by"] for one in told["history"]]

    again, base = "localhost/thumbwheel:again", {"BASE": images.BASE}
    dockerfile = ROOT / "helm/images/Dockerfile"
    images.built(dockerfile, "app", ROOT, again, base, tmp_path / "again.tar", anew=True)
    assert "COPY dir:" in str(steps(APP))
    assert steps(again) == steps(APP)


def test_it_is_nobody_s_root_and_says_no_secret(container: str) -> None:
    told = json.loads(buildah("inspect", "--type", "image", APP))["OCIv1"]["config"]
    assert told["User"] == "10001:10001"
    assert not [one for one in told["Env"] if "SECRET" in one or "KEY" in one]
    assert run(container, "id", "-u").strip() == "10001"


@pytest.mark.parametrize("room", ["serving", "feedback", "ops", "trainer"])
def test_each_room_s_program_is_there_without_torch(container: str, room: str) -> None:
    ask = f"import sys, {room}.__main__; print('torch' in sys.modules)"
    assert run(container, "python", "-c", ask).strip() == "False"


def test_helm_and_the_command_are_there(container: str) -> None:
    assert run(container, "helm", "version", "--short").startswith("v4.")
    assert "rollback" in run(container, "thumbwheel", "--help")


def test_its_packages_are_those_of_the_constraints(container: str) -> None:
    pins = {
        line.split("==")[0].lower().replace("_", "-"): line.split("==")[1].split()[0]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    }
    ask = (
        "from importlib.metadata import distributions as d;"
        "print(*(f'{x.name.lower()}=={x.version}' for x in d()))"
    )
    found = dict(
        one.replace("_", "-").split("==") for one in run(container, "python", "-c", ask).split()
    )
    found.pop("thumbwheel")
    assert found and {name: pins.get(name) for name in found} == found
