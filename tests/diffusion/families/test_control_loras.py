"""LoRAs that make Flux.1 follow an image, as diffusers' pipeline loads them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion import load_component, open_model
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.image_conditioning import CONTROL_IMAGE
from nodegraph.families.patches import pack_latents
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.derived_components import derive
from nodegraph.sampling.inpainting import with_tensors
from tests.diffusion.adapters import files
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Made, Model, assert_same, picture, stock
from .test_flux import flux, unpack
from .test_following import flux_canny

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),
]
ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT = 96, 64


def _pairs(transformer: nn.Module, *, columns: int = 128) -> files.Pairs:
    """For all layers, of which the first takes so many inputs."""
    torch.manual_seed(1)
    pairs = files.own_pairs(transformer)
    rank = files.RANK
    pairs["x_embedder"] = torch.randn(rank, columns) * 0.1, pairs["x_embedder"][1]
    return pairs


def _control_file(transformer: nn.Module) -> dict[str, Tensor]:
    """With biases and norms, as the published ones have them."""
    pairs = _pairs(transformer)
    tensors = files.peft_file(pairs, "transformer.")
    for name, (_, up) in pairs.items():
        if transformer.get_submodule(name).bias is not None:
            tensors[f"transformer.{name}.lora_B.bias"] = torch.randn(len(up)) * 0.1
    for name, weight in transformer.state_dict().items():
        if ".norm_" in name and weight.dim() == 1:
            tensors[f"transformer.{name}"] = 1 + torch.randn(len(weight)) * 0.1
    return tensors


def _put_on(model: Model, *paths: Path, fused: bool = False, storage: str = "auto") -> Model:
    opened = open_model(str(model.folder), [], dtype="float32", storage=storage)
    recipe = opened.model
    for path in paths:
        recipe = OpenedAdapter(path, fused=fused).apply_to(recipe, 1.0).recipe
    return replace(model, loaded={**model.loaded, "model": derive(model.part("model"), recipe)})


def _seen(pipeline: Any) -> Tensor:
    """The latent of the image as the stock pipeline draws it."""
    pixels = pipeline.image_processor.preprocess(picture(WIDTH, HEIGHT), height=HEIGHT, width=WIDTH)
    with torch.no_grad():
        posterior = pipeline.vae.encode(pixels.contiguous()).latent_dist
    drawn = posterior.sample(torch.Generator().manual_seed(SEED))
    config = pipeline.vae.config
    seen: Tensor = (drawn - config.shift_factor) * config.scaling_factor
    return seen


def _made(model: Model, seen: Tensor) -> Made:
    change: Any = lambda prompts: with_tensors(prompts, {CONTROL_IMAGE: seen})  # noqa: E731
    return model.make(WIDTH, HEIGHT, change=change, cfg=1.0)


def _expected(pipeline: Any, *paths: Path) -> tuple[Made, Tensor]:
    parts = {name: deepcopy(part) for name, part in pipeline.components.items() if part is not None}
    changed = d.FluxControlPipeline(**parts)
    changed.set_progress_bar_config(disable=True)
    for place, path in enumerate(paths):
        changed.load_lora_weights(str(path), adapter_name=f"lora{place}")
    changed.set_adapters([f"lora{place}" for place in range(len(paths))])
    changed.transformer.requires_grad_(False)
    seen = _seen(changed)
    noise = torch.randn(1, 16, *seen.shape[2:], generator=torch.Generator().manual_seed(SEED))
    given = {"control_image": picture(WIDTH, HEIGHT), "latents": pack_latents(noise)}
    return stock(changed, guidance_scale=3.5, width=WIDTH, height=HEIGHT, **given), seen


def _published() -> Any:
    """Its configuration doesn't say how many channels are given: as many as are taken."""
    pipeline = flux()
    config = {**pipeline.transformer.config, "out_channels": None}
    pipeline.register_modules(transformer=d.FluxTransformer2DModel.from_config(config))
    return pipeline


@pytest.mark.parametrize("build", [pytest.param(flux, marks=pytest.mark.slow), _published])
def test_a_control_lora_is_put_on_as_in_diffusers(
    model_of: ModelOf, tmp_path: Path, build: Callable[[], Any]
) -> None:
    pipeline, model = model_of(build)
    path = files.saved(_control_file(pipeline.transformer), tmp_path / "depth.safetensors")
    expected, seen = _expected(pipeline, path)
    assert_same(_made(_put_on(model, path), seen), expected, unpack(WIDTH, HEIGHT))
    # the model that it is put on stays as it was
    with raises(InvalidValue, port="positive"):
        _made(model, seen)


def test_another_lora_goes_with_it(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(flux)
    control = files.saved(_control_file(pipeline.transformer), tmp_path / "depth.safetensors")
    style = files.peft_file(_pairs(pipeline.transformer, columns=64), "transformer.")
    paths = control, files.saved(style, tmp_path / "style.safetensors")
    expected, seen = _expected(pipeline, *paths)
    assert_same(_made(_put_on(model, *paths), seen), expected, unpack(WIDTH, HEIGHT))
    found = _made(_put_on(model, *paths, fused=True), seen)
    torch.testing.assert_close(found.latents, unpack(WIDTH, HEIGHT)(expected.latents))


def test_original_names_are_the_same(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(flux)
    pair = {"x_embedder": _pairs(pipeline.transformer)["x_embedder"]}
    norm = 1 + torch.randn(16)
    bias = torch.randn(32)
    ours = files.saved(
        {
            **files.peft_file(pair, "transformer."),
            "transformer.x_embedder.lora_B.bias": bias,
            "transformer.transformer_blocks.0.attn.norm_added_k.weight": norm,
        },
        tmp_path / "ours.safetensors",
    )
    theirs = files.saved(
        {
            **files.peft_file({"img_in": pair["x_embedder"]}, ""),
            "img_in.lora_B.bias": bias,
            "double_blocks.0.txt_attn.norm.key_norm.scale": norm,
        },
        tmp_path / "theirs.safetensors",
    )
    seen = _seen(pipeline)
    found, expected = (_made(_put_on(model, path), seen) for path in (theirs, ours))
    assert torch.equal(found.latents, expected.latents)


def test_weights_in_few_bits_take_one(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(flux)
    path = files.saved(_control_file(pipeline.transformer), tmp_path / "depth.safetensors")
    seen = _seen(pipeline)
    opened = open_model(str(model.folder), [], dtype="float32", storage="float8").model
    narrow = replace(model, loaded={**model.loaded, "model": load_component(opened, "cpu")})
    found = _made(_put_on(narrow, path, storage="float8"), seen).latents
    expected = _made(_put_on(model, path), seen).latents
    assert (found - expected).abs().max() < 0.1 * expected.std()


@pytest.mark.slow
def test_a_lora_of_no_picture_goes_on_a_model_that_follows_one(
    model_of: ModelOf, tmp_path: Path
) -> None:
    pipeline, model = model_of(flux_canny)
    pairs = _pairs(pipeline.transformer, columns=64)
    path = files.saved(files.peft_file(pairs, "transformer."), tmp_path / "style.safetensors")
    down, up = pairs["x_embedder"]
    pairs["x_embedder"] = torch.nn.functional.pad(down, (0, 64)), up
    wide = files.saved(files.peft_file(pairs, "transformer."), tmp_path / "wide.safetensors")
    seen = _seen(pipeline)
    found, expected = (_made(_put_on(model, each), seen) for each in (path, wide))
    torch.testing.assert_close(found.latents, expected.latents)


def test_what_is_wider_by_anything_else_is_refused(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(flux)
    pair = {"x_embedder": _pairs(pipeline.transformer, columns=96)["x_embedder"]}
    path = files.saved(files.peft_file(pair, "transformer."), tmp_path / "odd.safetensors")
    opened = OpenedAdapter(path)
    found = opened.apply_to(open_model(str(model.folder), []).model, 1.0)
    with raises(InvalidFile, port="lora"):
        opened.check_applies([found.matched])


def test_norms_alone_are_no_adapter(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, _ = model_of(flux)
    path = files.saved(pipeline.transformer.state_dict(), tmp_path / "whole.safetensors")
    with raises(InvalidFile, given="tensors such as context_embedder.bias"):
        OpenedAdapter(path)
