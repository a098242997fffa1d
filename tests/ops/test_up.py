import asyncio
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from typer.testing import CliRunner

import feedback.settings
import ops.settings
import serving.settings
import trainer.settings
from ops.cli import app
from ops.programs import Ports, Up, programs, settings
from ops.running.program import Program
from ops.up import kept_secret, up, welcome
from tests.free import free_port
from tests.ops.running.children import until

ROOMS: tuple[type[BaseSettings], ...] = (
    feedback.settings.Settings,
    trainer.settings.Settings,
    serving.settings.Settings,
    serving.settings.PluginSettings,
    ops.settings.UpSettings,
)


@pytest.fixture
def options(tmp_path: Path) -> Up:
    model = tmp_path / "base"
    model.mkdir()
    (model / "config.json").write_text("{}")
    ports = Ports(free_port(), free_port(), free_port(), free_port(), free_port())
    return Up(model=str(model), name="demo", home=tmp_path / "home", ports=ports)


def _started(options: Up, *, gpu: bool = False) -> dict[str, Program]:
    inherited = {"PATH": "/bin", "THUMBWHEEL_SECRET": "the user's own"}
    inherited["THUMBWHEEL_TRAINER_JUDGE_KEY"] = "the judge's"
    inherited["THUMBWHEEL_OPS_KEY"] = "the operators'"
    made = programs(options, inherited, secret="s3cret-s3cret", gpu=gpu)
    return {program.name: program for program in made}


def test_the_blank_adapter_is_there_before_the_engine_and_the_engine_before_who_asks_it(
    options: Up,
) -> None:
    started = ["blank", "feedback", "engine", "ops", "serving", "trainer", "score"]
    assert list(_started(options)) == started


def test_every_setting_that_is_handed_down_is_one_that_a_room_reads(options: Up) -> None:
    read = {f"THUMBWHEEL_{name}".upper() for room in ROOMS for name in room.model_fields}
    told = {name for name in settings(options) if name.startswith("THUMBWHEEL_")}
    assert told - read == set()


def test_all_rooms_agree_on_where_things_lie(options: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _started(options)["serving"].env.items():
        monkeypatch.setenv(name, value)
    feedback_, trainer_, serving_ = (
        feedback.settings.Settings(),
        trainer.settings.Settings(),
        serving.settings.Settings(),
    )
    ops_ = ops.settings.Settings()
    assert feedback_.log == trainer_.log == serving_.log == ops_.log_url
    assert feedback_.examples == trainer_.examples == ops_.examples_folder
    assert trainer_.adapters == ops_.adapters_folder == serving.settings.PluginSettings().adapters
    assert serving_.serving_port == options.ports.serving


def test_only_the_trainer_is_told_the_judges_key(options: Up) -> None:
    key = "THUMBWHEEL_TRAINER_JUDGE_KEY"
    assert [p.name for p in _started(options).values() if key in p.env] == ["trainer"]


def test_only_the_controller_is_told_the_key_of_its_api(options: Up) -> None:
    key = "THUMBWHEEL_OPS_KEY"
    assert [p.name for p in _started(options).values() if key in p.env] == ["ops"]


def test_the_engine_is_started_as_one_that_may_draw_for_rounds(options: Up) -> None:
    argv = _started(options)["engine"].argv
    assert {"--enable-scale-out", "--enable-server-load-tracking"} <= {*argv}
    assert argv[argv.index("--scheduling-policy") + 1] == "priority"


def test_only_serving_is_told_the_secret(options: Up) -> None:
    told = [p.name for p in _started(options).values() if "THUMBWHEEL_SECRET" in p.env]
    assert told == ["serving"]


def test_what_the_options_set_apart_is_handed_down(options: Up) -> None:
    apart = Up(model=options.model, env={"THUMBWHEEL_LOG": "sqlite:////elsewhere/log.db"})
    assert {p.env["THUMBWHEEL_LOG"] for p in _started(apart).values()} == {
        "sqlite:////elsewhere/log.db"
    }


def test_users_come_before_training_and_training_before_scores(options: Up) -> None:
    nice = {p.name: p.nice for p in _started(options).values() if p.nice}
    assert nice == {"trainer": 10, "score": 19}


@pytest.mark.anyio
async def test_nothing_waits_for_scores(options: Up) -> None:
    ready = _started(options)["score"].ready
    assert ready is not None
    await ready()  # though no such process runs


def test_without_a_gpu_the_engine_computes_in_float32_and_takes_one_gb(options: Up) -> None:
    engine = _started(options)["engine"]
    assert "--enforce-eager" in engine.argv and "float32" in engine.argv
    assert engine.env["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_with_a_gpu_the_engine_leaves_room_for_the_trainer(options: Up) -> None:
    engine = _started(options, gpu=True)["engine"]
    assert "--enforce-eager" not in engine.argv and "VLLM_CPU_KVCACHE_SPACE" not in engine.env
    at = engine.argv.index("--gpu-memory-utilization")
    assert engine.argv[at + 1] == "0.6"


def test_a_model_in_a_folder_asks_no_hub(options: Up) -> None:
    assert _started(options)["engine"].env["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in _started(Up(model="Qwen/Qwen3-8B"))["engine"].env


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first = kept_secret(tmp_path)
    assert len(first) >= 32 and kept_secret(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_half_made_secret_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "secret.tmp").write_text("half")
    assert len(kept_secret(tmp_path)) >= 32


def test_who_waits_is_told_where_to_ask_and_where_things_lie(options: Up) -> None:
    told = welcome(options)
    assert f"http://127.0.0.1:{options.ports.serving}/v1" in told
    assert '"model": "demo"' in told and str(options.home) in told


@pytest.mark.anyio
async def test_a_busy_port_is_refused_before_anything_starts(
    options: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", options.ports.engine)):
        assert await up(options) == 1
    said = capsys.readouterr().out
    assert f"port {options.ports.engine} (engine) is in use" in said
    assert "set THUMBWHEEL_ENGINE_PORT" in said and "started" not in said


@pytest.mark.anyio
async def test_a_folder_without_a_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await up(Up(model=str(tmp_path), home=tmp_path / "home")) == 1
    assert f"model is '{tmp_path}'; expected a folder with a config.json" in capsys.readouterr().out


@pytest.mark.anyio
async def test_files_that_are_no_folders_are_refused(
    options: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "README.md"
    file.touch()
    assert await up(replace(options, model=str(file))) == 1
    assert f"model is '{file}'; expected a folder" in capsys.readouterr().out
    assert await up(replace(options, home=file)) == 1
    assert f"home is '{file}'; expected a folder: " in capsys.readouterr().out


@pytest.mark.anyio
@pytest.mark.parametrize("text", [None, "", '{"rank": 8', "\x80"])
async def test_a_plan_that_is_no_json_is_refused_before_anything_starts(
    options: Up, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    plan = tmp_path / "plan.json"
    if text is not None:
        plan.write_text(text, encoding="latin-1")
    assert await up(replace(options, plan=plan)) == 1
    assert f"thumbwheel: plan is '{plan}'; expected a JSON file: " in capsys.readouterr().out
    assert not options.home.exists()


def test_a_mistyped_plan_is_refused_on_the_command_line(
    options: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")  # or the complaint is broken into lines
    words = ["up", "--model", options.model, "--home", str(options.home)]
    for wrong, why in (("pln.json", "does not exist"), (".", "is a directory")):
        result = CliRunner().invoke(app, [*words, "--plan", str(tmp_path / wrong)])
        assert (result.exit_code, why in result.output) == (2, True)
    assert not options.home.exists()


@pytest.mark.anyio
async def test_one_home_has_one_loop(options: Up, capsys: pytest.CaptureFixture[str]) -> None:
    """The first is still starting (its weights do not exist) when the second is refused."""
    first = asyncio.create_task(up(options))
    await until((options.home / "logs/blank.log").exists)
    assert await up(options) == 1
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert "where another `thumbwheel up` runs" in capsys.readouterr().out
    assert os.listdir(options.home / "logs") == ["blank.log"]
