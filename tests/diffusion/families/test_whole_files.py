"""Whole models of SD 3 and Flux.1 in one file: LoadModel gives what the parts alone give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.diffusion import (
    estimate_bytes,
    load_component,
    locate_model,
    model_facts,
    open_model,
)
from nodegraph.errors import InvalidFile
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.facts import weight_bytes
from nodegraph.models.model_files import model_stamp
from nodegraph.models.model_recipes import ModelRecipes
from nodegraph.models.model_sources import list_models
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae_files import open_vae, vae_bytes
from tests.diffusion import ldm_export
from tests.diffusion.single_files import double_stream
from tests.messages import raises

from .equality import Model
from .text_files import clip, clip_file, drawn, named, t5

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Whole:
    """A model in one file, and each of its parts in one of its own.

    Attributes:
        encoders: Files of the text encoders.
    """

    family: str
    file: Path
    denoiser: Path
    encoders: tuple[Path, ...]
    vae: Path

    def alone(self) -> ModelRecipes:
        """Of the parts."""
        names = {f"file_{at}": str(path) for at, path in enumerate(self.encoders)}
        return ModelRecipes(
            open_denoiser(DenoiserRequest(str(self.denoiser)), []),
            open_text_encoder(self.family, names, []),
            open_vae(str(self.vae), [], latents=self.family),
        )


def vae_of(scale: float, shift: float) -> nn.Module:
    torch.manual_seed(1)
    return drawn(
        d.AutoencoderKL(
            block_out_channels=(32,) * 4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=16,
            layers_per_block=1,
            scaling_factor=scale,
            shift_factor=shift,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    )


def flux() -> dict[str, Tensors]:
    torch.manual_seed(0)
    net = d.FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=1,
        num_attention_heads=1,
        joint_attention_dim=128,
        pooled_projection_dim=64,
        guidance_embeds=True,
    )
    return {
        "model.diffusion_model.": double_stream.flux(drawn(net).state_dict()),
        "text_encoders.clip_l.transformer.": clip_file(clip()),
        "text_encoders.t5xxl.transformer.": named(t5()),
        "vae.": ldm_export._vae_tensors(vae_of(0.3611, 0.1159)),  # type: ignore[arg-type]
    }


def sd3() -> dict[str, Tensors]:
    torch.manual_seed(0)
    net = d.SD3Transformer2DModel(
        num_layers=2,
        num_attention_heads=1,
        joint_attention_dim=128,
        caption_projection_dim=64,
        pooled_projection_dim=128,
        pos_embed_max_size=16,
    )
    return {
        "model.diffusion_model.": double_stream.sd3(drawn(net).state_dict()),
        "text_encoders.clip_l.transformer.": clip_file(clip(projects=True)),
        "text_encoders.clip_g.transformer.": clip_file(clip(17, projects=True)),
        "text_encoders.t5xxl.transformer.": named(t5()),
        "first_stage_model.": ldm_export._vae_tensors(vae_of(1.5305, 0.0609)),  # type: ignore[arg-type]
    }


BUILDS = {"flux": flux, "sd3": sd3}


def written(folder: Path, parts: Mapping[str, Tensors], name: str) -> Path:
    tensors = {
        f"{prefix}{key}": item.detach().clone().contiguous()
        for prefix, part in parts.items()
        for key, item in part.items()
    }
    tensors["text_encoders.clip_l.logit_scale"] = torch.ones(())
    save_file(tensors, folder / f"{name}.safetensors")
    return folder / f"{name}.safetensors"


WholeOf = Callable[[str], Whole]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> WholeOf:
    known: dict[str, Whole] = {}

    def made(family: str) -> Whole:
        if family not in known:
            folder, parts = tmp_path_factory.mktemp(family), BUILDS[family]()
            first, *encoders, last = (
                written(folder, {prefix: part}, f"part_{at}")
                for at, (prefix, part) in enumerate(parts.items())
            )
            file = written(folder, parts, family)
            known[family] = Whole(family, file, first, tuple(encoders), last)
        return known[family]

    return made


@pytest.mark.slow
@pytest.mark.parametrize("family", BUILDS)
def test_a_picture_is_the_one_of_the_parts(whole: WholeOf, family: str) -> None:
    made = whole(family)
    found = []
    for recipes in (open_model(str(made.file), []), made.alone()):
        loaded = {
            name: load_component(recipe, "cpu")
            for name, recipe in zip(recipes._fields, recipes, strict=True)
        }
        found.append(Model(made.file, loaded=loaded).make(64, 64, cfg=2.0))
    assert torch.equal(found[0].latents, found[1].latents)
    assert torch.equal(found[0].pixels, found[1].pixels)
    assert found[0].pixels.std() > 1e-4


@pytest.mark.parametrize("family", BUILDS)
def test_what_is_known_without_loading(whole: WholeOf, family: str) -> None:
    made = whole(family)
    source = locate_model(str(made.file), [])
    assert source.family == family
    facts, recipes = model_facts(source), open_model(str(made.file), [])
    assert (facts["format"], facts["latent_channels"], facts["noise"]) == (family, 16, "flow")
    assert recipes.model.options == made.alone().model.options
    assert weight_bytes(source) == {
        name: estimate_bytes(recipe) for name, recipe in zip(recipes._fields, recipes, strict=True)
    }
    assert model_stamp(str(made.file), []) == model_stamp(str(made.file), [])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_a_vae_takes_is_known_without_loading(whole: WholeOf, dtype: str) -> None:
    made = whole("flux")
    for path in (made.file, made.vae):
        options: dict[str, Any] = {"latents": "auto" if path == made.file else "flux"}
        recipe = open_vae(str(path), [], dtype=dtype, **options)
        assert vae_bytes(str(path), [], dtype=dtype, **options) == estimate_bytes(recipe)


def test_its_parts_are_taken_out_of_it_by_the_nodes_of_parts(whole: WholeOf) -> None:
    made = whole("flux")
    recipes = open_model(str(made.file), [])
    assert open_denoiser(DenoiserRequest(str(made.file)), []) == recipes.model
    assert open_vae(str(made.file), []) == recipes.vae


def test_sd3_may_come_without_its_largest_encoder(tmp_path: Path) -> None:
    parts = {name: part for name, part in sd3().items() if "t5xxl" not in name}
    recipes = open_model(str(written(tmp_path, parts, "small")), [])
    assert recipes.model.family == "sd3"
    roles = {file.role for file in recipes.text_encoder.files}
    assert roles == {"text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"}
    load_component(recipes.text_encoder, "cpu")


def test_a_file_without_encoders_is_no_whole_model(tmp_path: Path) -> None:
    parts = {name: part for name, part in sd3().items() if "text_encoders" not in name}
    path = written(tmp_path, parts, "half")
    with raises(InvalidFile):
        open_model(str(path), [])
    (listed,) = (model for model in list_models([tmp_path]) if model.name == path.name)
    assert listed.node == "LoadDiffusionModel"
    assert open_denoiser(DenoiserRequest(str(path)), []).family == "sd3"
    assert open_vae(str(path), [], latents="sd3").family == "sd3"
