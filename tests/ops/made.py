"""A loop in a folder, made for tests: a log, examples by the real worker, adapters."""

from datetime import UTC, datetime
from pathlib import Path

from feedback.events import BASE, Completion, Thumb, encode
from feedback.log import Log, open_log
from feedback.window import Window
from tests.feedback.made import worker
from trainer.adapters import GateResult, Lesson, Manifest, claim_name, publish, write_lineage

PASSED = (GateResult(name="kl", passed=True, reason="0.1 of 3.0"),)
FAILED = (GateResult(name="kl", passed=False, reason="4.1 of 3.0"),)


class Place:
    """What `thumbwheel up` keeps in its home, without the processes."""

    def __init__(self, home: Path, log_url: str | None = None) -> None:
        self.home, self.adapters, self.examples = home, home / "adapters", home / "examples"
        self.log_url = log_url or f"sqlite:///{home}/log.db"
        self.log: Log = open_log(self.log_url)
        self._served = 0

    def publish(
        self, name: str, *, parent: str = BASE, gates: tuple[GateResult, ...] = PASSED
    ) -> Manifest:
        folder = claim_name(self.adapters, name)
        (folder / "adapter_model.safetensors").write_bytes(name.encode())
        write_lineage(folder, [Lesson("c1", "ann", "train")])
        manifest = Manifest(
            name=name,
            parent=parent,
            base="model",
            created_at=datetime.now(UTC),
            plan={},
            watermark={},
            dataset_digest="",
            counts={},
            gates=gates,
            kl={},
            curves={},
            scores={},
            libraries={},
            seconds=1.0,
        )
        return publish(folder, manifest)

    def serve(
        self,
        adapter: str,
        revision: int | None,
        *,
        up: int = 0,
        down: int = 0,
        silent: int = 0,
        error: str | None = None,
    ) -> None:
        """Completions under a split, rated as told, and joined by the real worker."""
        self.log.append_all(self.served(adapter, revision, up, down, silent, error))
        self.join()

    def serve_both(self, revision: int, rated: dict[str, tuple[int, int]]) -> None:
        """Ups and downs of both arms, all at once: nobody ever sees those of one alone."""
        both = [self.served(name, revision, up, down) for name, (up, down) in rated.items()]
        self.log.append_all([item for items in both for item in items])
        self.join()

    def served(
        self,
        adapter: str,
        revision: int | None,
        up: int,
        down: int,
        silent: int = 0,
        error: str | None = None,
    ) -> list[tuple[str, str, bytes]]:
        items = []
        for rated in [True] * up + [False] * down + [None] * silent:
            self._served += 1
            completion = _completion(f"c{self._served}", adapter, revision, error)
            items.append(("completions", completion.id, encode(completion)))
            if rated is not None:
                items.append(("verdicts", completion.id, encode(_thumb(completion, rated))))
        return items

    def join(self) -> None:
        window = Window(self.home / "window.db")
        works = worker(self.log, window, self.examples)
        while works.step():
            pass
        window.close()


def _completion(name: str, adapter: str, revision: int | None, error: str | None) -> Completion:
    return Completion(
        at=datetime.now(UTC),
        id=name,
        user=f"user of {name}",
        adapter=adapter,
        split_revision=revision,
        messages=({"role": "user", "content": "Hello"},),
        answer="Hello!",
        prompt_ids=(1,),
        answer_ids=(2,),
        logprobs=(-0.5,),
        parameters={},
        finish_reason="stop",
        total_seconds=0.1,
        error=error,
    )


def _thumb(completion: Completion, up: bool) -> Thumb:
    return Thumb(at=datetime.now(UTC), key=f"k{completion.id}", completion_id=completion.id, up=up)
