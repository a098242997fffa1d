import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from trainer.adapters import MANIFEST, AdapterError, verify
from trainer.base_model import base_files
from trainer.blank import publish_blank


def test_a_blank_adapter_changes_nothing(base: Path, tmp_path: Path) -> None:
    publish_blank(tmp_path, "tiny", str(base))
    ids = torch.tensor([[5, 6, 7, 8]])
    plain = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        expected = plain(ids).logits
        worn = PeftModel.from_pretrained(plain, tmp_path / "tiny-v0")
        assert any("q_proj.lora_B" in name for name, _ in worn.named_parameters())
        assert torch.equal(worn(ids).logits, expected)


def test_a_blank_adapter_has_no_gates_and_so_gets_no_traffic(base: Path, tmp_path: Path) -> None:
    manifest = publish_blank(tmp_path, "tiny", str(base))
    assert not manifest.passed
    assert (manifest.version, manifest.watermark) == (0, {})
    assert verify(tmp_path, "tiny-v0") == manifest


def test_one_that_is_there_stays_as_it_is(base: Path, tmp_path: Path) -> None:
    assert publish_blank(tmp_path, "tiny", str(base)) == publish_blank(tmp_path, "tiny", str(base))


def test_one_left_half_made_by_a_crash_is_made_again(base: Path, tmp_path: Path) -> None:
    first = publish_blank(tmp_path, "tiny", str(base))
    (tmp_path / "tiny-v0" / MANIFEST).unlink()
    assert publish_blank(tmp_path, "tiny", str(base)).files == first.files


def test_a_model_of_other_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="expected Llama's names"):
        publish_blank(tmp_path / "store", "tiny", str(tmp_path))


def test_a_folder_is_its_own_answer(base: Path) -> None:
    assert base_files(str(base)) == base


@pytest.mark.integration
def test_no_torch_is_loaded_to_make_or_to_wait() -> None:
    program = "import sys, trainer.blank, trainer.__main__; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_model_that_is_not_to_be_had_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(AdapterError, match="model is 'nope': no folder, and not to be had"):
        publish_blank(tmp_path, "demo", "nope")
