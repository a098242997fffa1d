"""Helm and the split kept the same, on a real log; of Helm itself a few lines stand in."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from feedback.log import Log, LogAway
from ops import by_hand, history, marks
from ops.account import KubernetesError
from ops.act import first_split
from ops.declared import CannotTell, Declared
from ops.metrics import Metrics
from ops.releases import AGAIN_SECONDS, Releases
from ops.values_file import ValuesFile
from serving.split import Split
from tests.ops.made import Place
from tests.ops.moved import begin, promote


@dataclass
class Helm:
    """Its revisions: what each says, and why."""

    told: list[tuple[str, int, str]] = field(default_factory=list)
    rendered: list[int] = field(default_factory=lambda: [1])  # when what it says was first said
    broken: str = ""

    def declared(self) -> Declared | None:
        if not self.told:
            return None
        stable, split, _ = self.told[-1]
        return Declared(revision=self.rendered[-1], stable=stable, split=split)

    def tell(self, split: Split, why: str) -> None:
        if self.broken:
            raise CannotTell(self.broken)
        self.told.append((split.stable, split.revision, why))
        self.rendered.append(len(self.told))

    def roll_back(self, revision: int) -> None:
        self.told.append(self.told[revision - 1])
        self.rendered.append(revision)

    @property
    def says(self) -> list[str]:
        return [stable for stable, _, _ in self.told]


@dataclass
class Leaving:
    """A log that goes away, and comes back."""

    log: Log
    away: bool = False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise LogAway("no broker answers")
        return getattr(self.log, name)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def helm() -> Helm:
    return Helm()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def releases(place: Place, helm: Helm, registry: CollectorRegistry) -> Releases:
    first_split(place.log)
    return keeper(place, helm, registry)


def keeper(place: Place, helm: Helm, registry: CollectorRegistry) -> Releases:
    return Releases(
        log=place.log,
        adapters=place.adapters,
        declared=helm.declared,
        teller=helm,
        leads=lambda: True,
        metrics=Metrics(registry),
        clock=Clock(),
    )


def looks(releases: Releases, times: int = 3) -> None:
    for _ in range(times):
        releases.look()


def promoted(place: Place, releases: Releases, *names: str) -> None:
    for name in names:
        promote(place, name)
        looks(releases)


def test_a_promotion_becomes_a_revision_that_says_why(
    place: Place, helm: Helm, releases: Releases
) -> None:
    looks(releases)
    assert helm.says == ["base"]
    promoted(place, releases, "m-v1", "m-v2")
    assert helm.told == [
        ("base", 1, "base: nothing is better yet (split 1, by ops)"),
        ("m-v1", 3, "m-v1: promoted by hand (split 3, by ann)"),
        ("m-v2", 5, "m-v2: promoted by hand (split 5, by ann)"),
    ]


def test_helm_rollback_takes_the_split_back_once_and_pauses(
    place: Place, helm: Helm, releases: Releases
) -> None:
    looks(releases)
    promoted(place, releases, "m-v1", "m-v2")
    helm.roll_back(2)
    looks(releases)
    split = by_hand.current(place.log)
    assert (split.stable, split.canary, split.pinned, split.by) == ("m-v1", None, True, "helm")
    assert split.reason == "the release says m-v1, as of its revision 2"
    assert [path.name for path in place.adapters.glob("*.withdrawn.json")] == [
        "m-v2.withdrawn.json"
    ]
    assert helm.says == ["base", "m-v1", "m-v2", "m-v1"], "a roll-back is no promotion"
    by_hand.roll_back(place.log, place.adapters, "ann", to="m-v2")
    looks(releases)
    assert by_hand.current(place.log).stable == "m-v2", "a revision moves the split once"
    assert helm.says[4:] == ["m-v2"]


def test_what_is_taken_back_while_the_log_is_away_is_obeyed_when_it_is_back(
    place: Place, helm: Helm, releases: Releases
) -> None:
    log = Leaving(place.log)
    releases = replace(releases, log=cast(Log, log))
    looks(releases)
    promoted(place, releases, "m-v1", "m-v2")
    helm.roll_back(2)
    log.away = True
    with pytest.raises(LogAway):
        releases.look()  # `run` waits, and looks again
    assert by_hand.current(place.log).stable == "m-v2"
    log.away = False
    looks(releases)
    assert by_hand.current(place.log).stable == "m-v1"


def test_a_canary_goes_with_the_stable_it_was_beside(
    place: Place, helm: Helm, releases: Releases
) -> None:
    looks(releases)
    promoted(place, releases, "m-v1")
    begin(place, "m-v2")
    helm.roll_back(1)
    looks(releases)
    split = by_hand.current(place.log)
    assert (split.stable, split.canary, split.pinned) == ("base", None, True)
    assert marks.served(split) == set()


def test_a_roll_back_by_hand_becomes_a_revision_too(
    place: Place, helm: Helm, releases: Releases
) -> None:
    looks(releases)
    promoted(place, releases, "m-v1", "m-v2")
    by_hand.roll_back(place.log, place.adapters, "ann", reason="it swears")
    looks(releases)
    assert helm.told[-1] == ("m-v1", 6, "m-v1: it swears (split 6, by ann)")


def test_an_adapter_that_is_gone_is_refused_and_helm_is_told_what_serves(
    place: Place, helm: Helm, releases: Releases
) -> None:
    looks(releases)
    promoted(place, releases, "m-v1", "m-v2")
    (place.adapters / "m-v1/adapter_model.safetensors").unlink()
    helm.roll_back(2)
    looks(releases)
    split = by_hand.current(place.log)
    assert (split.stable, split.pinned) == ("m-v2", False)
    assert helm.says[3:] == ["m-v1", "m-v2"]
    assert helm.told[-1][2].startswith("m-v1 was refused: ")


def test_one_that_never_served_is_refused(place: Place, helm: Helm, releases: Releases) -> None:
    looks(releases)
    promoted(place, releases, "m-v1")
    helm.told.append(("m-v9", 3, "--set rollout.stable=m-v9"))
    looks(releases)
    assert by_hand.current(place.log).stable == "m-v1"
    refused = history.releases(place.log)[-2]
    assert refused.outcome == "refused"
    assert refused.reason == "m-v9 was never stable; expected one of base, m-v1"


def test_who_installs_says_what_serves_first(place: Place, helm: Helm, releases: Releases) -> None:
    place.publish("m-v1")
    begin(place, "m-v2")  # the controller was quicker
    place.publish("m-v7")
    helm.told = [("m-v7", 0, "a value, with GitOps")]
    looks(releases)
    split = by_hand.current(place.log)
    assert (split.stable, split.pinned) == ("m-v7", False)


def test_a_controller_that_died_after_it_told_is_not_taken_for_a_person(
    place: Place, helm: Helm, releases: Releases, registry: CollectorRegistry
) -> None:
    looks(releases)
    promote(place, "m-v1")
    releases.look()  # tells, and dies before it looks again
    by_hand.roll_back(place.log, place.adapters, "ann")
    looks(keeper(place, helm, CollectorRegistry()))
    assert by_hand.current(place.log).stable == "base"
    assert helm.says == ["base", "m-v1", "base"]


def test_what_cannot_be_told_is_tried_again_later_and_all_goes_on(
    place: Place, helm: Helm, releases: Releases, registry: CollectorRegistry
) -> None:
    looks(releases)
    helm.broken = "helm upgrade: secrets is forbidden"
    promoted(place, releases, "m-v1")
    told = registry.get_sample_value
    assert told("thumbwheel_ops_release_told") == 0
    assert told("thumbwheel_ops_release_failures_total") == 1, "not at every look"
    helm.broken = ""
    clock = releases.clock
    assert isinstance(clock, Clock)
    clock.now += AGAIN_SECONDS
    looks(releases)
    assert told("thumbwheel_ops_release_told") == 1
    assert helm.says == ["base", "m-v1"]


def test_what_happened_since_is_no_part_of_why_it_serves(
    place: Place, helm: Helm, releases: Releases
) -> None:
    looks(releases)
    helm.broken = "the API is away"
    promoted(place, releases, "m-v1")
    begin(place, "m-v2")
    by_hand.pause(place.log, "ann", "lunch")
    helm.broken = ""
    clock = releases.clock
    assert isinstance(clock, Clock)
    clock.now += AGAIN_SECONDS
    looks(releases)
    assert helm.told[-1] == ("m-v1", 3, "m-v1: promoted by hand (split 3, by ann)")


def test_who_takes_it_back_at_once_is_heard(place: Place, helm: Helm, releases: Releases) -> None:
    looks(releases)
    promote(place, "m-v1")
    releases.look()  # tells
    helm.roll_back(1)  # before the next look
    looks(releases)
    assert by_hand.current(place.log).stable == "base"


def test_a_release_that_cannot_be_read_is_told_and_nothing_moves(
    place: Place, releases: Releases, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    def forbidden() -> Declared | None:
        raise KubernetesError("configmaps is forbidden")

    releases.declared = forbidden
    looks(releases)
    assert registry.get_sample_value("thumbwheel_ops_release_failures_total") == 3
    assert "configmaps is forbidden" in caplog.text


def test_who_stands_by_does_nothing(place: Place, helm: Helm, releases: Releases) -> None:
    releases.leads = lambda: False
    looks(releases)
    assert (helm.told, history.releases(place.log)) == ([], [])


def test_a_roll_back_and_a_promotion_at_one_moment_end_where_the_person_wants(
    place: Place, helm: Helm, releases: Releases
) -> None:
    looks(releases)
    promoted(place, releases, "m-v1", "m-v2")
    begin(place, "m-v3")
    helm.roll_back(2)  # and, before it is seen:
    by_hand.promote(place.log, place.adapters, "ops", "m-v3")
    looks(releases)
    split = by_hand.current(place.log)
    assert (split.stable, split.pinned) == ("m-v1", True)
    assert helm.says[-1] == "m-v1"


def test_with_gitops_a_file_says_what_serves_and_a_commit_taken_back_is_a_roll_back(
    place: Place, helm: Helm, releases: Releases, tmp_path: Path
) -> None:
    path = tmp_path / "gitops/values.yaml"
    releases.teller, releases.each_look = ValuesFile(path), True
    releases.declared = lambda: Declared(revision=1, stable="base")
    looks(releases)
    promoted(place, releases, "m-v1")
    assert path.read_text() == (
        '# m-v1: promoted by hand (split 3, by ann)\nrollout:\n  stable: "m-v1"\n  split: 3\n'
    )
    releases.declared = lambda: Declared(revision=1, stable="m-v1", split=3)
    looks(releases)
    releases.declared = lambda: Declared(revision=1, stable="base")
    looks(releases)
    split = by_hand.current(place.log)
    assert split.stable == "base"
    assert path.read_text().splitlines()[2:] == ['  stable: "base"', f"  split: {split.revision}"]


def test_who_goes_from_helm_to_git_with_what_it_said_moves_nothing(
    place: Place, helm: Helm, releases: Releases, tmp_path: Path
) -> None:
    looks(releases)
    promoted(place, releases, "m-v1", "m-v2")
    said, before = helm.declared(), by_hand.current(place.log)
    assert said
    told = len(helm.told)
    path = tmp_path / "values.yaml"
    releases.teller, releases.each_look = ValuesFile(path), True
    releases.declared = lambda: Declared(revision=7, stable=said.stable, split=said.split)
    looks(releases)
    assert by_hand.current(place.log) == before
    promoted(place, releases, "m-v3")
    assert '  stable: "m-v3"' in path.read_text()
    assert len(helm.told) == told
    releases.declared = lambda: Declared(revision=8, stable="m-v3", split=7)  # it is committed
    looks(releases)
    releases.declared = lambda: Declared(revision=9, stable=said.stable, split=said.split)
    looks(releases)
    assert by_hand.current(place.log).stable == "m-v2", "a commit that is taken back is a roll-back"


def test_who_goes_to_git_without_what_it_said_has_base(
    place: Place, releases: Releases, tmp_path: Path
) -> None:
    looks(releases)
    promoted(place, releases, "m-v1")
    releases.teller, releases.each_look = ValuesFile(tmp_path / "values.yaml"), True
    releases.declared = lambda: Declared(revision=7, stable="base")
    looks(releases)
    assert by_hand.current(place.log).stable == "base"


def test_a_file_that_is_as_it_should_be_is_left_alone(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    split = promote(place, "m-v1")
    ValuesFile(path).tell(split, "why")
    before = path.stat().st_mtime_ns
    ValuesFile(path).tell(split, "why")
    assert path.stat().st_mtime_ns == before


def test_a_file_that_cannot_be_written_is_told_by_its_name(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotTell, match=r"file/values\.yaml cannot be written"):
        ValuesFile(tmp_path / "file/values.yaml").tell(promote(place, "m-v1"), "why")
