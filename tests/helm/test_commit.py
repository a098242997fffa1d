"""What commits promotions, with the real git; of the cluster a few lines stand in."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.values_file import ValuesFile
from serving.split import Split
from tests.helm.chart import ROOT

# Runs what it is asked to run in the pod, whose setting says where the file is.
KUBECTL = (
    '#!/bin/sh\n[ "$1 $2 $3 $4 $5" = "-n chat exec deploy/thumbwheel-ops --" ] && shift 5 && "$@"\n'
)


class Repository:
    """A clone, and where it is pushed to."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.told = folder / "clone", folder / "told.yaml"
        tools = folder / "tools"
        tools.mkdir(parents=True)
        (tools / "kubectl").write_text(KUBECTL)
        (tools / "kubectl").chmod(0o755)
        who = {"GIT_AUTHOR_NAME": "ops", "GIT_AUTHOR_EMAIL": "ops@example.org"}
        who |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in who.items()}
        nobody = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        path = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "THUMBWHEEL_OPS_RELEASE_FILE": str(self.told),
        }
        self.env = os.environ | who | nobody | path
        self.git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "remote")
        self.git(folder, "clone", "--quiet", "remote", "clone")
        self.git(self.clone, "commit", "--quiet", "--allow-empty", "--message=begun")
        self.git(self.clone, "push", "--quiet", "origin", "HEAD:main")

    def git(self, at: Path, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", at, *words], env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def commit(self) -> subprocess.CompletedProcess[str]:
        words: list[str | Path] = [ROOT / "helm" / "commit", self.clone, "model.yaml"]
        words += ["-n", "chat"]
        return subprocess.run(words, env=self.env, capture_output=True, text=True)

    def hook(self, does: str) -> None:
        """Whoever pushes has to get past it."""
        path = self.clone.parent / "remote" / "hooks" / "pre-receive"
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def tell(self, stable: str, revision: int) -> None:
        """As a controller does."""
        now = datetime.now(UTC)
        split = Split(at=now, revision=revision, stable=stable, reason="better", by="ops")
        ValuesFile(self.told).tell(split, f"{stable}: better (split {revision}, by ops)")

    @property
    def story(self) -> list[str]:
        """As it was pushed."""
        return self.git(self.clone, "log", "--format=%s", "origin/main").splitlines()

    @property
    def says(self) -> str:
        return self.git(self.clone, "show", "origin/main:model.yaml")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_each_promotion_is_one_commit_that_says_why(repository: Repository) -> None:
    for name, revision in (("m-v1", 3), ("m-v2", 12)):
        repository.tell(name, revision)
        assert repository.commit().stdout.startswith(f"committed: {name}: better")
        assert repository.commit().stdout == ""
    assert repository.story == [
        "m-v2: better (split 12, by ops)",
        "m-v1: better (split 3, by ops)",
        "begun",
    ]
    assert repository.says == repository.told.read_text()


def test_a_commit_that_is_taken_back_stays_so(repository: Repository) -> None:
    for name, revision in (("m-v1", 9), ("m-v2", 10)):
        repository.tell(name, revision)
        repository.commit()
    repository.git(repository.clone, "revert", "--no-edit", "HEAD")
    repository.git(repository.clone, "push", "--quiet")
    assert repository.commit().stdout == "", "the controllers have not heard of it yet"
    assert 'stable: "m-v1"' in repository.says
    repository.tell("m-v1", 11)  # now they have
    assert repository.commit().stdout.startswith("committed: m-v1")


def test_what_could_not_be_pushed_is_pushed_later(repository: Repository) -> None:
    repository.tell("m-v1", 3)
    repository.hook("exit 1")
    assert repository.commit().returncode != 0
    assert repository.story == ["begun"]
    repository.hook("exit 0")
    assert repository.commit().returncode == 0
    assert repository.story[0].startswith("m-v1: better")


def test_what_others_pushed_meanwhile_is_in_nobodys_way(repository: Repository) -> None:
    repository.tell("m-v1", 3)
    repository.hook("exit 1")
    assert repository.commit().returncode != 0
    repository.hook("exit 0")
    other = repository.clone.parent / "other"
    repository.git(other.parent, "clone", "--quiet", "remote", "other")
    repository.git(other, "commit", "--quiet", "--allow-empty", "--message=another's")
    repository.git(other, "push", "--quiet")
    assert repository.commit().returncode == 0
    assert repository.story == ["m-v1: better (split 3, by ops)", "another's", "begun"]


def test_what_the_controllers_have_not_said_yet_is_no_commit(repository: Repository) -> None:
    repository.told.write_text("")
    done = repository.commit()
    assert done.returncode == 1
    assert "expected rollout.stable and rollout.split" in done.stderr
    assert repository.story == ["begun"]


def test_who_says_too_little_is_told_how(repository: Repository) -> None:
    done = subprocess.run([ROOT / "helm" / "commit"], capture_output=True, text=True)
    assert (done.returncode, "helm/commit CLONE FILE" in done.stderr) == (2, True)
