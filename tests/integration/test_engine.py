"""The gateway and the plug-in with real vLLM."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.events import Completion, decode, encode
from feedback.log import Log, open_log, read_all
from serving.split import SPLIT_KEY
from tests.integration.engine import RunningEngine
from tests.integration.tiny import make_adapter
from tests.serving.gateway import MESSAGES, gateway_app, settings_for, split, until
from tests.serving.servers import served
from trainer.adapters import claim_name, publish
from trainer.blank import blank_manifest

pytestmark = [pytest.mark.integration, pytest.mark.alone]
PATIENCE = httpx.Timeout(120)  # the first answer compiles


def ask(url: str, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": MESSAGES, "max_tokens": 12, "temperature": 0} | more
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE, trust_env=False)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log:
        yield log


@pytest.fixture
def gateway(vllm: RunningEngine, log: Log, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as until_the_end:
        app = gateway_app(settings_for(tmp_path, vllm.url), until_the_end)
        yield until_the_end.enter_context(served(app))


def test_a_published_adapter_answers_by_its_name_and_nobody_loaded_it(
    vllm: RunningEngine, adapter: str
) -> None:
    base, adapted = ask(vllm.url, "model"), ask(vllm.url, adapter)
    assert base.status_code == adapted.status_code == 200
    assert adapted.json()["model"] == adapter
    words = [answer.json()["choices"][0]["message"]["content"] for answer in (base, adapted)]
    assert words[0] != words[1]


def test_an_adapter_published_while_the_engine_runs_is_found(vllm: RunningEngine) -> None:
    assert ask(vllm.url, "model-v15").status_code == 404
    make_adapter(vllm.model, vllm.adapters, "model-v15")
    assert ask(vllm.url, "model-v15").status_code == 200


def test_an_adapter_that_was_changed_is_refused_and_the_engine_lives(
    vllm: RunningEngine, adapter: str
) -> None:
    folder = make_adapter(vllm.model, vllm.adapters, "model-v12")
    with (folder / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x00\x00\x80\x3f")
    refused = ask(vllm.url, "model-v12")
    assert refused.status_code == 422
    assert "model-v12 is refused" in refused.json()["error"]["message"]
    assert "its manifest says" in refused.json()["error"]["message"]
    assert ask(vllm.url, adapter).status_code == 200


def test_an_adapter_that_is_no_lora_is_refused_and_the_engine_lives(
    vllm: RunningEngine, adapter: str
) -> None:
    folder = claim_name(vllm.adapters, "model-v13")
    (folder / "adapter_config.json").write_text("{}")
    publish(folder, blank_manifest("model-v13", str(vllm.model)))
    assert ask(vllm.url, "model-v13").status_code == 400
    assert ask(vllm.url, adapter).status_code == 200


@pytest.mark.parametrize("name", ["model-v99", "../model-v1", "model-v1/", "gpt-4"])
def test_an_adapter_that_there_is_not_is_refused(vllm: RunningEngine, name: str) -> None:
    refused = ask(vllm.url, name)
    assert refused.status_code == 404
    assert name in refused.json()["error"]["message"]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("model", ["model", "base", "model-v1"])
def test_what_is_remembered_has_a_logprob_for_each_token(
    gateway: str, log: Log, adapter: str, model: str, streams: bool
) -> None:
    log.append("split", SPLIT_KEY, encode(split(1, adapter)))
    until(lambda: httpx.get(f"{gateway}/readyz").status_code == 200)
    answer = ask(gateway, model, stream=streams, n=2, temperature=1, seed=1)
    assert answer.status_code == 200
    assert answer.headers["x-thumbwheel-adapter"] == ("base" if model == "base" else adapter)
    assert "token_ids" not in answer.text
    until(lambda: len(list(read_all(log, "completions"))) == 2)
    found = [decode(record.value, (Completion,)) for record in read_all(log, "completions")]
    for completion in found:
        assert completion.adapter == answer.headers["x-thumbwheel-adapter"]
        assert len(completion.prompt_ids) > 10
        assert 0 < len(completion.answer_ids) == len(completion.logprobs) <= 12
        assert all(logprob <= 0 for logprob in completion.logprobs)
        assert completion.finish_reason in ("stop", "length")
    header = answer.headers["x-thumbwheel-completion"]
    assert [completion.id for completion in found] == [header, f"{header}.1"]


def test_users_of_a_broken_canary_get_stable(
    gateway: str, log: Log, vllm: RunningEngine, adapter: str
) -> None:
    broken = split(1, adapter, canary="model-v77", share_percent=100)
    log.append("split", SPLIT_KEY, encode(broken))
    until(lambda: httpx.get(f"{gateway}/readyz").status_code == 200)
    assert ask(gateway, "model").headers["x-thumbwheel-adapter"] == adapter


def test_a_refusal_of_the_engine_passes_in_its_own_words(gateway: str, adapter: str) -> None:
    refused = ask(gateway, adapter, max_tokens=-1)
    assert refused.status_code == 400
    assert "max_tokens" in refused.json()["error"]["message"]
