"""`NAME-v0`: an adapter that changes nothing, to warm an engine with before there is a real one.

Made from the names and shapes in the base model's files alone. Never loads torch: it must take
no time. It has no gates, so it never gets traffic.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from trainer.adapters import (
    AdapterError,
    Manifest,
    NameTaken,
    UnknownAdapter,
    claim_name,
    load,
    publish,
)
from trainer.base_model import base_files
from trainer.lora_files import weight_names, write_config, write_weights

RANK = 8
_TARGET = re.compile(r"^(.+\.layers\.\d+\.self_attn\.q_proj)\.weight$")


def publish_blank(store: Path, series: str, base: str) -> Manifest:
    """Publish `SERIES-v0`; an adapter that is there already stays as it is."""
    name = f"{series}-v0"
    try:
        return load(store, name)
    except UnknownAdapter:
        folder = _folder(store, name)
    write_weights(folder, save(_weights(base_files(base))))
    write_config(folder, rank=RANK, alpha=float(RANK), targets=["q_proj"], base=base)
    return publish(folder, blank_manifest(name, base))


def _folder(store: Path, name: str) -> Path:
    try:
        return claim_name(store, name)
    except NameTaken:
        # A crash left it without a manifest. Its weights are the same at every try.
        return store / name


def _weights(files: Path) -> dict[str, np.ndarray]:
    random, weights = np.random.default_rng(0), {}
    for module, (wide, tall) in sorted(_targets(files)):
        a, b = weight_names(module)
        # B alone makes it change nothing. A is not zero, or no gradient would ever reach either.
        weights[a] = (random.standard_normal((RANK, tall)) / tall**0.5).astype(np.float32)
        weights[b] = np.zeros((wide, RANK), dtype=np.float32)
    if not weights:
        raise AdapterError(f"{files} holds no layers.N.self_attn.q_proj; expected Llama's names")
    return weights


def _targets(files: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for path in files.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118  it is a file, not a dict
                if found := _TARGET.match(name):
                    wide, tall = tensors.get_slice(name).get_shape()
                    yield found[1], (wide, tall)


def blank_manifest(name: str, base: str) -> Manifest:
    """Of an adapter that learned from nobody."""
    return Manifest(
        name=name,
        parent="base",
        base=base,
        created_at=datetime.now(UTC),
        plan={},
        watermark={},
        dataset_digest="",
        counts={},
        gates=(),
        kl={},
        curves={},
        scores={},
        libraries={},
        seconds=0.0,
    )
