"""CogView 4 gives what diffusers' pipelines give, to the last bit.

Text to image, odd sizes, batches, guidance of 0, 1 and 7.3, negative and long prompts, sizes as
conditioning, bfloat16, image to image at any strength, and control images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.base import CROP, ORIGINAL_SIZE, TARGET_SIZE
from nodegraph.families.cogview4 import _FILE, COGVIEW4_LATENTS
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import FlowNoise
from nodegraph.families.identification import identify_folder, identify_tensors
from nodegraph.families.image_conditioning import CONTROL_IMAGE
from nodegraph.families.model_step import Moment
from nodegraph.families.registry import get_family
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.vae_files import open_vae
from nodegraph.sampling.flow_schedules import flow_levels
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import glm_text
from .late_start import late_start
from .parts import dynamic_flow, flux_vae, vae
from .words import glm_words

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 60
"""Of more than 1024 tokens."""


def transformer(channels: int = 16) -> Any:
    return d.CogView4Transformer2DModel(
        in_channels=channels,
        num_layers=2,
        num_attention_heads=2,
        text_embed_dim=32,
        time_embed_dim=16,
        condition_dim=8,
    )


def _pipeline(kind: Any, channels: int, **schedule: Any) -> Any:
    words = glm_words()
    published = {"shift": 1.0, "base_shift": 0.25, "max_shift": 0.75, "time_shift_type": "linear"}
    scheduler = dynamic_flow(**{**published, **schedule})
    # The pipeline uses no shift of latents, whatever the file says.
    autoencoder = vae(16, 0.9, 0.3, quant=False)
    return kind(words, glm_text(words), autoencoder, transformer(channels), scheduler)


def cogview4() -> Any:
    return _pipeline(d.CogView4Pipeline, 16)


def cogview4_exponential() -> Any:
    """As diffusers' scheduler shifts by default."""
    return _pipeline(d.CogView4Pipeline, 16, time_shift_type="exponential")


def cogview4_control() -> Any:
    return _pipeline(d.CogView4ControlPipeline, 32)


def test_cogview4_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(cogview4))


def test_pictures_are_shown_without_a_shift_of_latents(model_of: ModelOf) -> None:
    """Encoded as the control pipeline encodes: scaled alone."""
    pipeline, model = model_of(cogview4)
    pixels = as_tensor(picture(64, 64))
    latent = encode_image(model.part("vae"), pixels)
    scaled = pipeline.image_processor.preprocess(picture(64, 64)).contiguous()
    with torch.no_grad():
        expected = pipeline.vae.encode(scaled).latent_dist.mode() * 0.9
    assert latent.samples is not None
    assert torch.equal(latent.samples, expected)


def test_guidance_batches_and_long_prompts_are_diffusers(model_of: ModelOf) -> None:
    """At 0 and 1 the pipeline reads the positive prompt alone; here that is 1."""
    pipeline, model = model_of(cogview4)
    for guidance, cfg, prompt, negative, batch in (
        (0.0, 1.0, PROMPT, NEGATIVE, 1),
        (1.0, 1.0, PROMPT, NEGATIVE, 1),
        (7.3, 7.3, LONG, NEGATIVE, 3),
        (7.3, 7.3, PROMPT, LONG, 1),
        (2.0, 2.0, "", "", 1),
    ):
        both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch}
        found = model.make(80, 112, cfg=cfg, **both)
        called: dict[str, Any] = {"width": 80, "height": 112, "guidance_scale": guidance}
        assert_same(found, stock(pipeline, **both, **called))


@pytest.mark.parametrize("steps", [1, 7, pytest.param(50, marks=pytest.mark.slow)])
def test_the_schedule_is_diffusers(model_of: ModelOf, steps: int) -> None:
    """Each of many timesteps is found again from its shifted noise level."""
    pipeline, model = model_of(cogview4)
    found = model.make(160, 96, cfg=1.0, steps=steps)
    called: dict[str, Any] = {"width": 160, "height": 96, "guidance_scale": 1.0, "steps": steps}
    assert_same(found, stock(pipeline, **called))


def test_an_exponential_shift_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(cogview4_exponential)
    found = model.make(160, 96, cfg=1.0, steps=5)
    called: dict[str, Any] = {"width": 160, "height": 96, "guidance_scale": 1.0, "steps": 5}
    assert_same(found, stock(pipeline, **called))


class Recorder(torch.nn.Module):
    """Keeps the timesteps that it is evaluated at."""

    timestep: torch.Tensor

    def forward(
        self, hidden_states: torch.Tensor, timestep: torch.Tensor, **_: Any
    ) -> tuple[torch.Tensor]:
        self.timestep = timestep
        return (hidden_states,)


@pytest.mark.parametrize("side", [64, 512, 1024, 2048, 4096])
def test_timesteps_are_those_of_the_pipeline_at_every_size(side: int) -> None:
    """Of a hundred steps: whole ones, found again from the shifted noise levels."""
    family, config = get_family("cogview4"), _FILE.scheduler({})
    noise = FlowNoise.from_config(config, spread=family.spread, mu=family.mu)
    _, timesteps = flow_levels("normal", noise, 100, (side // 16) ** 2, "trained")
    model = Denoiser({"transformer": Recorder()}, "cogview4", config)
    # It reads the shape alone.
    x = torch.empty(1, 16, side // 8, side // 8, device="meta")
    batch: dict[str, torch.Tensor] = defaultdict(lambda: torch.zeros(1))
    found = []
    for timestep in torch.from_numpy(timesteps):
        family.predict(model, x, Moment(timestep, timestep, 1000, 0.0), batch)
        found.append(int(model.module.timestep))
        assert model.module.timestep == found[-1]
    assert found == [int(timestep) for timestep in np.linspace(1000, 1, 100)]


@pytest.mark.parametrize(
    ("denoise", "walked"),
    [
        (0.5, 4),
        pytest.param(0.13, 1, marks=pytest.mark.slow),
        pytest.param(0.99, 7, marks=pytest.mark.slow),
    ],
)
def test_pictures_of_pictures_are_diffusers(model_of: ModelOf, denoise: float, walked: int) -> None:
    """diffusers has no such pipeline: its own one walks the last levels."""
    pipeline, model = model_of(cogview4)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    both: dict[str, Any] = {"negative": NEGATIVE, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, **both)
    called: dict[str, Any] = {"width": 96, "height": 64, "guidance_scale": 4.0, **both}
    assert latent.samples is not None
    with late_start(pipeline, walked=walked) as noised:
        stock(pipeline, **called)
        expected = stock(pipeline, latents=noised(latent.samples), **called)
    assert_same(found, expected)


def test_sizes_as_conditioning_are_diffusers(model_of: ModelOf) -> None:
    """The pipeline always names the size of the image as its target."""
    pipeline, model = model_of(cogview4)
    sizes = {
        ORIGINAL_SIZE: torch.tensor([[48.0, 32.0]]),
        CROP: torch.tensor([[3.0, 5.0]]),
        TARGET_SIZE: torch.zeros(1, 2),
    }
    found = model.make(
        64, 96, cfg=3.0, negative="", change=lambda prompt: with_tensors(prompt, sizes)
    )
    expected = stock(
        pipeline,
        width=64,
        height=96,
        guidance_scale=3.0,
        original_size=(48, 32),
        crops_coords_top_left=(3, 5),
    )
    assert_same(found, expected)


def with_tensors(prompt: Conditioning, tensors: dict[str, torch.Tensor]) -> Conditioning:
    (entry,) = prompt.entries
    return replace(prompt, entries=(replace(entry, tensors={**entry.tensors, **tensors}),))


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    """The pipeline's latents are bfloat16 after its first step, and here before it, too."""
    noise = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(SEED))
    found, expected = in_bfloat16(model_of(cogview4), latents=noise.bfloat16())
    assert torch.equal(found.latents, expected.latents.float())


def test_control_images_are_diffusers(model_of: ModelOf) -> None:
    """The stock pipeline draws the image's latent, so it is handed on from there."""
    pipeline, model = model_of(cogview4_control)
    shown = picture(96, 64)
    pixels = pipeline.image_processor.preprocess(shown, height=64, width=96).contiguous()
    with torch.no_grad():
        posterior = pipeline.vae.encode(pixels).latent_dist
    torch.manual_seed(SEED)
    seen = posterior.sample() * pipeline.vae.config.scaling_factor
    both: dict[str, Any] = {"negative": NEGATIVE}
    found = model.make(
        96,
        64,
        cfg=4.0,
        change=lambda prompt: with_tensors(prompt, {CONTROL_IMAGE: seen}),
        **both,
    )
    torch.manual_seed(SEED)
    noise = torch.randn(1, 16, 8, 12, generator=torch.Generator().manual_seed(SEED))
    called: dict[str, Any] = {
        "width": 96,
        "height": 64,
        "guidance_scale": 4.0,
        "latents": noise,
        **both,
    }
    assert_same(found, stock(pipeline, control_image=shown, **called))


def test_control_models_without_a_picture_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(cogview4_control)
    with raises(InvalidValue, port="positive"):
        model.make(96, 64, cfg=1.0)


def test_a_transformer_of_other_channels_is_refused() -> None:
    config = {"in_channels": 33, "out_channels": 16}
    found = identify_folder("CogView4Pipeline", {"transformer": config})
    assert found.family is None
    assert "takes 33 channels instead of 16" in found.refusal


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    pipeline, model = model_of(cogview4)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, LONG, warn=warnings.append).entries
    with torch.no_grad():
        expected = pipeline.encode_prompt(LONG, do_classifier_free_guidance=False)[0]
    assert torch.equal(entry.embeddings, expected)
    assert entry.embeddings.shape == (1, 1024, 32)
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(cogview4)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta", "uni_pc": "karras"})
    assert_refuses(model, near="64 x 64")


def test_a_published_file_has_the_published_sizes() -> None:
    """Those that diffusers' class has by default, of six billion parameters."""
    with torch.device("meta"):
        published = d.CogView4Transformer2DModel()
    shapes = {name: tuple(item.shape) for name, item in published.state_dict().items()}
    found = _FILE.config(shapes)
    assert found == {name: published.config[name] for name in found}


def as_list(value: Any) -> Any:
    """As a configuration's file has it."""
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("build", [cogview4, cogview4_control])
def test_a_file_of_its_transformer_is_the_folders(
    model_of: ModelOf, tmp_path: Path, build: Callable[[], Any]
) -> None:
    """In diffusers' names: no other layout is published."""
    _, model = model_of(build)
    own = model.part("model").module
    tensors = {f"model.diffusion_model.{name}": item for name, item in own.state_dict().items()}
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of CogView 4"
    file = tmp_path / "cogview4.safetensors"
    save_file(tensors, file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    found = loaded.module.state_dict()
    assert found.keys() == own.state_dict().keys()
    assert all(torch.equal(item, found[name]) for name, item in own.state_dict().items())
    figures = {name: value for name, value in own.config.items() if not name.startswith("_")}
    assert {name: as_list(loaded.config[name]) for name in figures} == figures
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    control = {CONTROL_IMAGE: torch.zeros(1, 16, 8, 8)} if build is cogview4_control else {}
    shown = with_tensors(model.encode(PROMPT), control)  # type: ignore[arg-type]
    options: dict[str, Any] = {"cfg": 1.0, "change": lambda _: shown}
    first, second = (each.make(64, 64, **options).latents for each in (model, other))
    assert torch.equal(first, second)


def test_a_file_of_its_vae_is_opened_by_the_name_of_its_format(tmp_path: Path) -> None:
    """Its resolutions have the proportions of the published one. Its names are those of others."""
    own = d.AutoencoderKL(
        block_out_channels=(32, 128, 256, 256),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=3,
        latent_channels=16,
        scaling_factor=1.0,
        shift_factor=0.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()
    save_file(own.state_dict(), tmp_path / "vae.safetensors")
    opened = load_component(open_vae("vae", [tmp_path], latents="cogview4"), "cpu")
    latents = torch.randn(1, 16, 2, 3)
    with torch.no_grad():
        expected = own.decode(latents).sample
        found = COGVIEW4_LATENTS.decode(opened.module, latents)
    assert torch.equal(found, expected)


def test_a_vae_of_flux_has_other_latents(tmp_path: Path) -> None:
    save_file(flux_vae().state_dict(), tmp_path / "vae.safetensors")
    with raises(InvalidValue, port="latents", given="cogview4"):
        open_vae("vae", [tmp_path], latents="cogview4")
