"""What a redactor takes out reaches neither the log, nor a disk, nor what the process tells."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.events import Correction, Event, Thumb
from feedback.log import open_log
from serving.wiring import redactor
from tests.serving.gateway import SECRET, Gateway, gateway_app, settings_for, split, until
from tests.serving.scripted import IDS, LOGPROBS, PROMPT_IDS, WORDS, ScriptedEngine
from tests.serving.servers import served

MAIL = "ann@example.com"
CALL = {"id": "call_1", "function": {"name": "mail", "arguments": f'{{"to": "{MAIL}"}}'}}
MESSAGES = [
    {"role": "system", "content": f"You write for {MAIL}"},
    {"role": "user", "content": [{"type": "text", "text": f"Write to {MAIL}"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sent"},
]
LOST = "thumbwheel_serving_completions_lost_total"
OWN = f"""
def picky(text):
    if "{MAIL}" in text:
        raise ValueError(text)
    return text

def nothing(text):
    return None

number = 7
"""


@pytest.fixture
def start(
    tmp_path: Path, stage: Any, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Gateway]]:
    """Starts a gateway with this redactor; it keeps all it has in `data`."""
    (tmp_path / "own_redactor.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "data").mkdir()
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context

        def started(name: str) -> Gateway:
            settings = settings_for(tmp_path / "data", stage.url, serving_redact=name)
            log = enter(closing(open_log(settings.log)))
            url = enter(served(gateway_app(settings, until_the_end)))
            http = enter(httpx.Client(base_url=url, timeout=10, verify=False))
            gateway = Gateway(url, engine, log, http)
            gateway.decide(split())
            return gateway

        yield started
    sys.modules.pop("own_redactor", None)


def say(gateway: Gateway, **said: str) -> httpx.Response:
    return gateway.http.post("/v1/feedback", json={"completion_id": "c", **said})


def verdicts(gateway: Gateway, count: int) -> list[Event]:
    until(lambda: len(gateway.verdicts()) >= count)
    return gateway.verdicts()


def everything_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("streams", [False, True])
def test_the_engine_and_the_user_get_all_and_the_disk_nothing(
    start: Callable[[str], Gateway],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    streams: bool,
) -> None:
    gateway = start("common")
    ask = gateway.stream if streams else gateway.ask
    ask(messages=MESSAGES, metadata={"to": MAIL}, user=MAIL)
    assert gateway.engine.asked[-1]["messages"] == MESSAGES
    say(gateway, thumb="up", comment=f"as {MAIL} said")
    say(gateway, correction=f"Ask {MAIL}")
    (kept,) = gateway.completions()
    assert kept.messages[0]["content"] == "You write for [email]"
    assert kept.messages[1]["content"] == [{"type": "text", "text": "Write to [email]"}]
    assert '{"to": "[email]"}' in str(kept.messages[2])
    assert kept.messages[3] == MESSAGES[3]
    assert kept.parameters == {"metadata": {"to": "[email]"}}
    assert kept.answer == "".join(WORDS)
    assert (kept.prompt_ids, kept.answer_ids, kept.logprobs) == ((), (), ())
    thumb, correction = verdicts(gateway, 2)
    assert isinstance(thumb, Thumb) and thumb.comment == "as [email] said"
    assert isinstance(correction, Correction) and correction.text == "Ask [email]"
    found = everything_under(tmp_path / "data")
    assert kept.id.encode() in found and MAIL.encode() not in found
    assert MAIL not in caplog.text


def test_what_holds_nothing_personal_is_kept_whole(start: Callable[[str], Gateway]) -> None:
    gateway = start("common")
    gateway.ask(temperature=0.5)
    (kept,) = gateway.completions()
    assert (kept.prompt_ids, kept.answer_ids, kept.logprobs) == (PROMPT_IDS, IDS, LOGPROBS)
    assert kept.parameters == {"temperature": 0.5}


@pytest.mark.parametrize("name", ["own_redactor:picky", "own_redactor:nothing"])
def test_where_redaction_fails_the_user_gets_the_answer_and_the_log_nothing(
    start: Callable[[str], Gateway],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    gateway = start(name)
    assert gateway.ask(messages=MESSAGES, n=2).status_code == 200
    response, parts = gateway.stream(messages=MESSAGES)
    assert response.status_code == 200 and len(parts) > len(WORDS)
    assert gateway.metric(LOST) == 3
    assert say(gateway, thumb="down", comment=f"as {MAIL} said").status_code == 202
    refused = say(gateway, correction=f"Ask {MAIL}")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "not_stored"
    assert "send it again later" in refused.json()["error"]["message"]
    (thumb,) = verdicts(gateway, 1)
    assert isinstance(thumb, Thumb) and (thumb.up, thumb.comment) == (False, None)
    assert gateway.completions(0) == []
    assert "cannot be redacted" in caplog.text
    assert MAIL not in caplog.text and MAIL.encode() not in everything_under(tmp_path / "data")


def test_one_answer_that_cannot_be_redacted_takes_no_other_along(
    start: Callable[[str], Gateway],
) -> None:
    gateway = start("own_redactor:picky")
    answers = [f"Ask {MAIL}", "Ask her"]
    choices = [{"index": i, "message": {"content": text}} for i, text in enumerate(answers)]
    gateway.engine.raw = json.dumps({"id": "c", "model": "model-v1", "choices": choices}).encode()
    said = gateway.ask(n=2).json()["choices"]
    assert [choice["message"]["content"] for choice in said] == answers
    assert [(kept.id, kept.answer) for kept in gateway.completions()] == [("c.1", "Ask her")]
    assert gateway.metric(LOST) == 1


def test_what_the_engine_says_of_a_canary_is_kept_redacted_and_not_told(
    start: Callable[[str], Gateway], caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start("common")
    gateway.decide(split(2, canary="model-v2", share_percent=100))
    gateway.engine.refuses["model-v2"] = 400
    gateway.ask()
    assert "model-v1 answers for canary model-v2: status 400" in caplog.text
    assert "could not be loaded" not in caplog.text
    failed, _ = gateway.completions(2)
    assert "could not be loaded" in str(failed.error)


def test_a_text_that_labels_make_too_long_is_cut(start: Callable[[str], Gateway]) -> None:
    gateway = start("common")
    mails = "a@b.co "  # shorter than its label
    assert say(gateway, thumb="up", comment=(mails * 600)[:4000]).status_code == 202
    assert say(gateway, correction=(mails * 30_000)[:200_000]).status_code == 202
    thumb, correction = verdicts(gateway, 2)
    assert isinstance(thumb, Thumb) and len(thumb.comment or "") == 4000
    assert isinstance(correction, Correction) and len(correction.text) == 200_000
    assert "a@b.co" not in f"{thumb.comment}{correction.text}"


def test_the_one_in_the_docs_works(start: Callable[[str], Gateway], tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/privacy.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "own_redactor.py").write_text(example)
    gateway = start("own_redactor:redact")
    gateway.ask(messages=[{"role": "user", "content": f"C-123456 is {MAIL}, not C-1"}])
    (kept,) = gateway.completions()
    assert kept.messages[0]["content"] == "[customer] is [email], not C-1"


WRONG = [
    ("comon", "expected common or package.module:function"),
    ("own_redactor", "expected common or package.module:function"),
    (":picky", "expected common or package.module:function"),
    ("no_such_module:picky", "a module that can be imported: No module named 'no_such_module'"),
    ("own_redactor:mild", "a function of own_redactor, which has no mild"),
    ("own_redactor:number", "a function, not a int"),
]


@pytest.mark.parametrize(("name", "said"), WRONG)
def test_a_wrong_name_is_told(start: object, name: str, said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        redactor(name)
    assert str(ended.value).startswith(f"serving_redact is {name!r}; expected ")
    assert str(ended.value).endswith(said)


@pytest.mark.integration
def test_a_gateway_with_a_wrong_redactor_ends_at_once_with_one_line(tmp_path: Path) -> None:
    settings = {
        "THUMBWHEEL_SECRET": SECRET,
        "THUMBWHEEL_SERVING_REDACT": "comon",
        "THUMBWHEEL_LOG": f"sqlite:///{tmp_path}/log.db",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "serving"],
        env=settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    expected = "serving_redact is 'comon'; expected common or package.module:function\n"
    assert ended.stderr == expected
    assert list(tmp_path.iterdir()) == []
