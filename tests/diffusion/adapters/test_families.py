"""Images with LoRAs are those of diffusers' pipelines, for families with several encoders."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion import open_model
from nodegraph.families.patches import unpack_latents
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.derived_components import derive
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import NEGATIVE, Model, assert_same, stock
from tests.diffusion.families.test_flux import flux
from tests.diffusion.families.test_stable_diffusion import sdxl

from . import files

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),
]
ModelOf = Callable[[Callable[[], Any]], Pair]


def _with(model: Model, path: Path) -> Model:
    """The model with a LoRA on it."""
    recipes, opened = open_model(str(model.folder), []), OpenedAdapter(path)
    changed = Model(model.folder)
    for part in ("model", "text_encoder"):
        recipe = opened.apply_to(getattr(recipes, part), 1.0).recipe
        changed.loaded[part] = derive(model.part(part), recipe)
    return changed


def _stock_with(pipeline: Any, path: Path) -> Any:
    changed = deepcopy(pipeline)
    changed.load_lora_weights(str(path))
    for part in changed.components.values():
        if isinstance(part, nn.Module):
            # For what asks for gradients torch takes other kernels, with other last bits.
            part.requires_grad_(False)
    return changed


def _encoder_pairs(encoder: Any) -> files.Pairs:
    return {
        f"text_model.{name.removeprefix('text_model.')}": pair
        for name, pair in files.own_pairs(encoder).items()
        if "layers" in name
    }


def _sdxl_file(pipeline: Any) -> dict[str, Tensor]:
    # Of these two layers diffusers loses the changes where they have kohya's names.
    unet = {
        name: pair
        for name, pair in files.own_pairs(pipeline.unet).items()
        if not name.startswith("add_embedding")
    }
    return {
        **files.flat_file(unet, "lora_unet_"),
        **files.flat_file(_encoder_pairs(pipeline.text_encoder), "lora_te1_"),
        **files.flat_file(_encoder_pairs(pipeline.text_encoder_2), "lora_te2_"),
    }


@pytest.mark.slow
def test_stable_diffusion_xl_by_kohya(model_of: ModelOf, tmp_path: Path) -> None:  # noqa: F811
    pipeline, model = model_of(sdxl)
    torch.manual_seed(1)
    path = files.saved(_sdxl_file(pipeline), tmp_path / "lora.safetensors")
    changed = _stock_with(pipeline, path)
    expected = stock(changed, negative=NEGATIVE, height=64, width=64, guidance_scale=5.0)
    found = _with(model, path).make(64, 64, negative=NEGATIVE, cfg=5.0)
    assert_same(found, expected)
    assert not torch.equal(found.latents, model.make(64, 64, negative=NEGATIVE, cfg=5.0).latents)


def test_flux_by_diffusers(model_of: ModelOf, tmp_path: Path) -> None:  # noqa: F811
    pipeline, model = model_of(flux)
    torch.manual_seed(1)
    pairs = files.own_pairs(pipeline.transformer)
    path = files.saved(files.peft_file(pairs, "transformer."), tmp_path / "lora.safetensors")
    changed = _stock_with(pipeline, path)
    expected = stock(changed, height=64, width=64, guidance_scale=3.5)
    found = _with(model, path).make(64, 64, cfg=1.0)
    assert_same(found, expected, lambda packed: unpack_latents(packed, 8, 8))
