"""Stable Cascade in files: as published, its configuration and every tensor come back equal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_stable_cascade_unet_single_file_to_diffusers,
)
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import load_component, open_model
from nodegraph.families.identification import identify_tensors
from nodegraph.families.stable_cascade_files import PAELLA_FILE, STAGE_B_FILE, STAGE_C_FILE
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.derived_components import derive

from .conftest import Pair
from .test_stable_cascade import (
    _BLOCKS,
    stable_cascade,
    stable_cascade_decoder,
    stage_b_network,
    stage_c_network,
)

ModelOf = Callable[[Callable[[], Any]], Pair]


def original(tensors: Mapping[str, Tensor], *, is_stage_b: bool) -> dict[str, Tensor]:
    """The names of the authors: queries, keys and values are joined."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := re.fullmatch(r"(.*attention)\.to_q\.(weight|bias)", name):
            parts = [tensors[f"{match[1]}.to_{part}.{match[2]}"] for part in "qkv"]
            renamed[f"{match[1]}.attn.in_proj_{match[2]}"] = torch.cat(parts)
        elif not re.search(r"attention\.to_[kv]\.", name):
            new = name.replace("attention.to_out.0.", "attention.attn.out_proj.")
            if is_stage_b:
                new = new.replace("clip_txt_pooled_mapper.", "clip_mapper.")
            renamed[new] = tensor
    return renamed


STAGE_C = {
    "full": {"conditioning_dim": 2048, "block_out_channels": (2048, 2048), "heads": (32, 32)},
    "lite": {"conditioning_dim": 1536, "block_out_channels": (1536, 1536), "heads": (24, 24)},
}
LAYERS = {"full": ((8, 24), (24, 8)), "lite": ((4, 12), (12, 4))}


def published_c(size: str) -> Any:
    """Stage C of the published sizes, without weights."""
    options = dict(STAGE_C[size])
    down, up = LAYERS[size]
    with torch.device("meta"):
        return stage_c_network(
            **{name: item for name, item in options.items() if name != "heads"},
            num_attention_heads=options["heads"],
            down_num_layers_per_block=down,
            up_num_layers_per_block=up,
            clip_text_in_channels=1280,
            clip_text_pooled_in_channels=1280,
            clip_image_in_channels=768,
            timestep_ratio_embedding_dim=64,
        )


STAGE_B: dict[str, dict[str, Any]] = {
    "full": {
        "block_out_channels": (320, 640, 1280, 1280),
        "num_attention_heads": (-1, -1, 20, 20),
        "down_num_layers_per_block": (2, 6, 28, 6),
        "up_num_layers_per_block": (6, 28, 6, 2),
        "up_blocks_repeat_mappers": (3, 3, 2, 2),
    },
    "lite": {
        "block_out_channels": (320, 576, 1152, 1152),
        "num_attention_heads": (-1, 9, 18, 18),
        "down_num_layers_per_block": (2, 4, 14, 4),
        "up_num_layers_per_block": (4, 14, 4, 2),
        "up_blocks_repeat_mappers": (2, 2, 2, 2),
        "block_types_per_layer": (_BLOCKS[:2], _BLOCKS, _BLOCKS, _BLOCKS),
    },
}


def published_b(size: str) -> Any:
    with torch.device("meta"):
        return stage_b_network(
            conditioning_dim=1280,
            clip_text_pooled_in_channels=1280,
            timestep_ratio_embedding_dim=64,
            **STAGE_B[size],
        )


def as_lists(value: Any) -> Any:
    """As a configuration's file has it."""
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("size", ["full", "lite"])
@pytest.mark.parametrize("stage", ["c", "b"])
def test_published_files_have_the_published_configuration(stage: str, size: str) -> None:
    network = published_c(size) if stage == "c" else published_b(size)
    layout = STAGE_C_FILE if stage == "c" else STAGE_B_FILE
    own = network.state_dict()
    for tensors in (own, original(own, is_stage_b=stage == "b")):
        shapes = {name: tuple(item.shape) for name, item in tensors.items()}
        found = layout.config(shapes)
        with torch.device("meta"):
            built = d.StableCascadeUNet.from_config(found)
        assert {name: item.shape for name, item in built.state_dict().items()} == {
            name: item.shape for name, item in own.items()
        }
        assert {name: as_lists(network.config[name]) for name in found} == as_lists_of(found)
        assert identify_tensors(shapes).title == layout.title


def as_lists_of(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_lists(item) for name, item in config.items()}


@pytest.mark.parametrize("build", [stage_c_network, stage_b_network])
def test_every_tensor_of_a_file_comes_back(build: Callable[[], Any], tmp_path: Path) -> None:
    """As by diffusers' own converter."""
    torch.manual_seed(0)
    network, is_stage_b = build().eval(), build is stage_b_network
    own = network.state_dict()
    tensors = original(own, is_stage_b=is_stage_b)
    assert tensors.keys() != own.keys()
    file = tmp_path / "stage.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.family == ("stable-cascade-decoder" if is_stage_b else "stable-cascade")
    assert loaded.scheduler_config["_class_name"] == "DDPMWuerstchenScheduler"
    by_diffusers = convert_stable_cascade_unet_single_file_to_diffusers(dict(tensors))
    for expected in (own, by_diffusers):
        found = loaded.module.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(item, found[name]) for name, item in expected.items())


def test_the_autoencoder_of_a_file_is_the_folders(model_of: ModelOf) -> None:
    pipeline, _ = model_of(stable_cascade_decoder)
    own = pipeline.vqgan.state_dict()
    tensors = {
        name.replace("vquantizer.embedding", "vquantizer.codebook"): item
        for name, item in own.items()
    }
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert PAELLA_FILE.matches(shapes)
    found = PAELLA_FILE.config(shapes)
    assert {name: pipeline.vqgan.config[name] for name in found} == found
    converted = PAELLA_FILE.convert(tensors, found)
    PaellaVQModel(**found).load_state_dict(converted)
    assert all(torch.equal(item, converted[name]) for name, item in own.items())


def whole(pipeline: Any, network: Any) -> dict[str, Tensor]:
    """A file of ComfyUI with a stage, its text encoder, and stage A."""
    is_stage_b = "effnet_mapper.0.weight" in network.state_dict()
    tensors = {
        f"model.diffusion_model.{name}": item
        for name, item in original(network.state_dict(), is_stage_b=is_stage_b).items()
    }
    text = dict(pipeline.text_encoder.state_dict())
    tensors["text_encoder.clip_g.text_projection"] = text.pop("text_projection.weight").T
    tensors["text_encoder.clip_g.logit_scale"] = torch.tensor(4.6)
    for name, item in text.items():
        tensors[
            f"text_encoder.clip_g.transformer.text_model.{name.removeprefix('text_model.')}"
        ] = item
    if is_stage_b:
        for name, item in pipeline.vqgan.state_dict().items():
            tensors[f"vae.{name.replace('embedding', 'codebook')}"] = item
    else:
        tensors["vae.encoder.backbone.0.weight"] = torch.zeros(2)
    return {name: item.clone().contiguous() for name, item in tensors.items()}


@pytest.mark.slow
@pytest.mark.parametrize("build", [stable_cascade, stable_cascade_decoder])
def test_a_file_with_a_whole_stage_is_the_folders(
    model_of: ModelOf, build: Callable[[], Any], tmp_path: Path
) -> None:
    pipeline, model = model_of(build)
    network = pipeline.prior if build is stable_cascade else pipeline.decoder
    file = tmp_path / "stage.safetensors"
    save_file(whole(pipeline, network), file)
    words = tmp_path / "tokenizers" / "clip-l"
    words.mkdir(parents=True)
    core = json.loads((model.folder / "tokenizer" / "tokenizer.json").read_text("utf-8"))["model"]
    (words / "vocab.json").write_text(json.dumps(core["vocab"]), "utf-8")
    merges = "\n".join(" ".join(pair) for pair in core["merges"])
    (words / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", "utf-8")
    recipes = open_model(str(file), [tmp_path])
    assert recipes.model.family == build.__name__.replace("_", "-")
    found = load_component(recipes.model, "cpu").module.state_dict()
    assert all(torch.equal(item, found[name]) for name, item in network.state_dict().items())
    encoder = load_component(recipes.text_encoder, "cpu").module.state_dict()
    expected = pipeline.text_encoder.state_dict()
    assert all(torch.equal(item, encoder[name]) for name, item in expected.items())
    if build is stable_cascade_decoder:
        vae = load_component(recipes.vae, "cpu").module.state_dict()
        assert all(
            torch.equal(item, vae[name]) for name, item in pipeline.vqgan.state_dict().items()
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "names"),
    [
        ("prior.down_blocks.0.2.attention.to_q", ("lora_A", "lora_B")),
        ("lora_prior_unet_down_blocks_0_2_attention_attn_to_q", ("lora_down", "lora_up")),
        ("diffusion_model.down_blocks.0.2.attention.attn.to_q", ("lora_A", "lora_B")),
    ],
)
def test_loras_change_what_they_name(
    model_of: ModelOf, stem: str, names: tuple[str, str], tmp_path: Path
) -> None:
    """In the names of diffusers, of kohya's scripts, and of ComfyUI."""
    pipeline, model = model_of(stable_cascade)
    down, up = torch.randn(2, 64), torch.randn(64, 2)
    file = tmp_path / "cascade.safetensors"
    save_file({f"{stem}.{names[0]}.weight": down, f"{stem}.{names[1]}.weight": up}, file)
    recipe = OpenedAdapter(file).apply_to(open_model(str(model.folder), []).model, 0.5).recipe
    assert recipe is not None
    derived = derive(model.part("model"), recipe)
    x, layer = torch.randn(3, 64), "down_blocks.0.2.attention.to_q"
    found, own = (each.get_submodule(layer)(x) for each in (derived.module, pipeline.prior))
    torch.testing.assert_close(found, own + 0.5 * x @ down.T @ up.T, rtol=1e-4, atol=1e-4)
