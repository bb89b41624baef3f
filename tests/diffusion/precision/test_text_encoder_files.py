"""Text encoders in files of 8 bits, and kept in few: what they give is that of their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.core.values import TextEncoder
from nodegraph.diffusion import encode_prompt, load_component
from nodegraph.models.loading import estimate_bytes
from nodegraph.models.text_encoder_files import (
    open_text_encoder,
)
from nodegraph.weights.precision.quantized_weights import quantized_shape
from tests.diffusion.families.language_files import qwen25_vl, text_file
from tests.diffusion.families.text_files import clip, clip_file, named, t5, write

from .conftest import scaled, widened_by_hand

Files = dict[str, dict[str, Tensor]]


def written(folder: Path, files: Files) -> Path:
    folder.mkdir()
    for name, tensors in files.items():
        write(folder / f"{name}.safetensors", tensors)
    return folder


def opened(family: str, folder: Path, **options: Any) -> TextEncoder:
    return open_text_encoder(family, names_in(folder), [], **options)


def names_in(folder: Path) -> dict[str, str]:
    return {path.stem: str(path) for path in sorted(folder.iterdir())}


def embeddings(recipe: TextEncoder) -> Tensor:
    model: Any = load_component(recipe, "cpu")
    return encode_prompt(model, "a red apple").entries[0].embeddings


def held_bytes(model: Any) -> int:
    return sum(item.nbytes for part in model.modules.values() for item in part.parameters())


@pytest.mark.slow
def test_language_models_say_what_they_compute_in(tmp_path: Path) -> None:
    files = {"qwen": scaled(text_file(qwen25_vl()))}
    recipe = opened("qwen-image", written(tmp_path / "files", files))

    model: Any = load_component(recipe, "cpu")

    module = model.modules["text_encoder"]
    expected = widened_by_hand(files["qwen"])
    layer = module.get_submodule("language_model.layers.0.mlp.up_proj")
    assert quantized_shape(layer)
    assert torch.equal(layer.weight, expected["model.layers.0.mlp.up_proj.weight"])
    # Images are brought to what its eyes say.
    assert module.dtype == module.visual.dtype == torch.float32
    assert held_bytes(model) == pytest.approx(estimate_bytes(recipe), rel=0.03)


def test_any_may_be_kept_in_few_bits(tmp_path: Path) -> None:
    files = {"clip_l": clip_file(clip()), "t5xxl": named(t5())}
    folder = written(tmp_path / "files", files)
    expected = embeddings(opened("flux", folder))

    found = embeddings(opened("flux", folder, storage="int8"))

    assert 0 < (found - expected).norm() < 0.02 * expected.norm()
