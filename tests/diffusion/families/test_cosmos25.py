"""Cosmos Predict2.5 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_prompt, encode_video, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.cosmos25 import PREDICT25_FILE
from nodegraph.families.identification import identify_tensors
from nodegraph.families.image_conditioning import FIRST_FRAME
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, SEED, Model, assert_same, picture, stock
from .image_to_image import MostLikely, as_tensor
from .language import qwen_vl_text
from .late_start import LateScheduler
from .test_cosmos import SafetyChecker, original
from .video_models import wan_vae
from .words import qwen_words

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]
_LAYERS, _WIDTH = 3, 32
"""Of the text encoder."""


def network(**more: Any) -> Any:
    usual = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "num_layers": 2,
        "adaln_lora_dim": 4,
        "mlp_ratio": 2.0,
        "text_embed_dim": 24,
        "max_size": (8, 24, 24),
        "crossattn_proj_in_channels": _LAYERS * _WIDTH,
        "encoder_hidden_states_channels": 24,
    }
    return d.CosmosTransformer3DModel(
        in_channels=17,
        rope_scale=(1.0, 3.0, 3.0),
        extra_pos_embed_type=None,
        use_crossattn_projection=True,
        **{**usual, **more},
    )


def scheduler() -> Any:
    return d.UniPCMultistepScheduler(
        use_karras_sigmas=True,
        use_flow_sigmas=True,
        prediction_type="flow_prediction",
        sigma_max=200.0,
        sigma_min=0.01,
    )


def cosmos_predict25() -> Any:
    words = qwen_words()
    encoder = qwen_vl_text(words, _WIDTH, _LAYERS)
    parts = encoder, words, network(), wan_vae(), scheduler(), SafetyChecker()
    return d.Cosmos2_5_PredictBasePipeline(*parts)


def assert_like_diffusers(
    pair: Pair,
    width: int = 64,
    frames: int = 1,
    scale: float = 4.0,
    *,
    batch: int = 1,
    negative: str | None = NEGATIVE,
    pixels: bool = False,
    steps: int = 4,
) -> None:
    """A world from a prompt. Without guidance, the pipeline's scale is 0 and cfg is 1."""
    pipeline, model = pair
    both = {"batch": batch, "negative": negative, "steps": steps}
    found = model.make(width, 64, frames=frames, cfg=scale + 1, sampler="uni_pc", **both)
    called = {"width": width, "height": 64, "num_frames": frames, "guidance_scale": scale}
    expected = stock(pipeline, out="frames", **both, **called)
    assert_same(found, expected, pixels=pixels)


def test_images_are_those_of_diffusers(model_of: ModelOf) -> None:
    assert_like_diffusers(model_of(cosmos_predict25), scale=7.3, pixels=True)


def test_videos_are_those_of_diffusers(model_of: ModelOf) -> None:
    assert_like_diffusers(model_of(cosmos_predict25), 96, 9, 6.3, steps=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "frames", "scale", "batch", "steps"),
    [(64, 1, 0.0, 1, 4), (80, 5, 4.0, 3, 3), (64, 13, 7.3, 1, 2), (64, 1, 4.0, 1, 11)],
)
def test_all_sizes_batches_and_steps_are_those_of_diffusers(
    model_of: ModelOf, width: int, frames: int, scale: float, batch: int, steps: int
) -> None:
    pair = model_of(cosmos_predict25)
    assert_like_diffusers(pair, width, frames, scale, batch=batch, steps=steps)


@pytest.mark.parametrize("prompt", ["", "a cat" * 400, "a {red} cat <|im_end|> é"])
def test_prompts_are_read_as_diffusers_reads_them(model_of: ModelOf, prompt: str) -> None:
    pipeline, model = model_of(cosmos_predict25)
    with torch.no_grad():
        expected, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    (entry,) = encode_prompt(model.part("text_encoder"), prompt).entries
    assert expected.shape == (1, 512, _LAYERS * _WIDTH)
    assert torch.equal(entry.embeddings, expected)


def test_without_a_negative_prompt_it_is_the_pipelines(model_of: ModelOf) -> None:
    assert_like_diffusers(model_of(cosmos_predict25), negative=None, steps=2)


def conditioned_on(
    model: Model, film: Tensor, frames: int
) -> Callable[[Conditioning], Conditioning]:
    """Prompts with the first frames of a video."""
    return lambda given: with_tensors(
        given, encode_first_frame(model.part("vae"), given, film, frames)
    )


def assert_same_world(
    pair: Pair, film: Tensor, frames: int, scale: float = 4.0, steps: int = 3
) -> None:
    """A world from the first frames of a video: all others are equal to the last bit.

    The first frames are the conditioning itself here. The pipeline begins with pure noise, but at
    the level 200 / 201, so that 1 / 201 of that noise is left in them.
    """
    pipeline, model = pair
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae = MostLikely(pipeline.vae)
    kept = 1 + (len(film) - 1) // 4
    size = {"width": film.shape[2], "height": film.shape[1]}
    both = {"negative": NEGATIVE, "steps": steps}
    expected = stock(
        other,
        out="frames",
        video=[to_pil(frame[None]) for frame in film],
        num_latent_conditional_frames=kept,
        num_frames=frames,
        guidance_scale=scale,
        **size,
        **both,
    )
    change = conditioned_on(model, film, frames)
    called = {"frames": frames, "cfg": scale + 1, "change": change, "sampler": "uni_pc"}
    found = model.make(**size, **called, **both)
    assert found.latents.std() > 1e-4
    assert torch.equal(found.latents[:, :, kept:], expected.latents[:, :, kept:])
    prompt = model.encode("a cat")
    assert prompt is not None
    first = change(prompt).entries[0].tensors[FIRST_FRAME]
    torch.testing.assert_close(found.latents[:, :, :kept], first, rtol=0, atol=1e-5)
    noise = torch.randn(found.latents.shape, generator=torch.Generator().manual_seed(SEED))
    left = first + (noise[:, :, :kept] - first) / 201
    torch.testing.assert_close(expected.latents[:, :, :kept], left, rtol=0, atol=1e-5)


def film(frames: int, width: int = 64) -> Tensor:
    drawn = as_tensor(picture(width, 64))
    return torch.cat([drawn.roll(place, 2) for place in range(frames)])


def test_worlds_of_a_picture_are_those_of_diffusers(model_of: ModelOf) -> None:
    assert_same_world(model_of(cosmos_predict25), film(1, 96), 9)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "frames", "scale"), [(5, 13, 4.0), (1, 5, 0.0), (5, 9, 7.3)])
def test_worlds_that_continue_a_video_are_those_of_diffusers(
    model_of: ModelOf, first: int, frames: int, scale: float
) -> None:
    assert_same_world(model_of(cosmos_predict25), film(first), frames, scale, 5)


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(cosmos_predict25)
    networks = {
        role: type(part).from_pretrained(model.folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    assert_like_diffusers((loaded, Model(model.folder, "bfloat16")), 64, 5, 4.0)


class LateLevels(LateScheduler):
    """Counts levels from the one that is begun at, as the pipeline looks them up by its steps."""

    @property
    def sigmas(self) -> Tensor:
        found: Tensor = self.scheduler.sigmas[-self.walked - 1 :]
        return found


@pytest.mark.slow
@pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.5, 4), (0.99, 7)])
def test_the_last_steps_from_a_video_are_diffusers(
    model_of: ModelOf, denoise: float, walked: int
) -> None:
    pipeline, model = model_of(cosmos_predict25)
    latent = encode_video(model.part("vae"), film(5))
    assert latent.samples is not None
    both = {"steps": 8, "negative": NEGATIVE}
    options = {"cfg": 5.0, "denoise": denoise, "sampler": "uni_pc"}
    found = model.make(64, 64, latent=latent, **options, **both)
    late = LateLevels(scheduler(), walked)
    late.set_timesteps(8)
    level = late.sigmas[0]
    noise = torch.randn(latent.samples.shape, generator=torch.Generator().manual_seed(SEED))
    start = (1 - level) * latent.samples + level * noise
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.scheduler = late
    called = {"width": 64, "height": 64, "num_frames": 5, "guidance_scale": 4.0}
    assert_same(found, stock(other, out="frames", latents=start, **called, **both))


def test_what_does_not_fit_the_model_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(cosmos_predict25)
    assert_refuses(model, near="64 x 64")
    first = {FIRST_FRAME: torch.zeros(1, 16, 1, 4, 8)}
    with raises(InvalidValue, port="positive"):
        model.make(64, 64, frames=9, cfg=1.0, change=lambda given: with_tensors(given, first))
    prompt = model.encode("a cat")
    assert prompt is not None
    with raises(InvalidValue, port="image"):
        encode_first_frame(model.part("vae"), prompt, film(9), 9)


@pytest.mark.slow
def test_other_samplers_work(model_of: ModelOf) -> None:
    _, model = model_of(cosmos_predict25)
    samplers = {"euler": "normal", "dpmpp_2m": "karras", "heun": "beta", "lcm": "simple"}
    assert_samples_by(model, samplers)


def test_a_file_of_the_original_names_is_read_whole(tmp_path: Path) -> None:
    net = network(num_attention_heads=1, attention_head_dim=128)
    state = net.state_dict()
    projection = {name: item for name, item in state.items() if name.startswith("crossattn_proj")}
    others = {name: item for name, item in state.items() if name not in projection}
    tensors = original(others, "cosmos-predict2")
    tensors |= {f"net.{name}": item for name, item in projection.items()}
    file = tmp_path / "predict25.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Cosmos Predict2.5"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.family == "cosmos-predict25"
    assert loaded.scheduler_config["sigma_max"] == 200.0
    assert loaded.module.state_dict().keys() == state.keys()
    for name, item in loaded.module.state_dict().items():
        assert torch.equal(item, state[name]), name


def test_a_file_of_a_relative_is_named() -> None:
    with torch.device("meta"):
        state = network(num_attention_heads=1, attention_head_dim=128).state_dict()
    shapes = {name: tuple(item.shape) for name, item in state.items()}
    assert identify_tensors(shapes).title == "the transformer of Cosmos Predict2.5"
    found = identify_tensors(shapes | {"control_embedder.proj.1.weight": (8, 8)})
    assert found.title == "a model on the network of Cosmos Predict2.5"
    assert found.family is None


@pytest.mark.parametrize(("heads", "layers"), [(16, 28), (40, 36)])
def test_what_no_tensor_shows_is_as_published(heads: int, layers: int) -> None:
    """2B and 14B, by the configurations of diffusers' ``convert_cosmos_to_diffusers.py``."""
    published = {
        "num_attention_heads": heads,
        "attention_head_dim": 128,
        "num_layers": layers,
        "mlp_ratio": 4.0,
        "text_embed_dim": 1024,
        "adaln_lora_dim": 256,
        "max_size": (128, 240, 240),
        "crossattn_proj_in_channels": 100352,
        "encoder_hidden_states_channels": 1024,
    }
    with torch.device("meta"):
        net = network(**published)
    shapes = {name: tuple(item.shape) for name, item in net.state_dict().items()}
    config = PREDICT25_FILE.config(shapes)
    assert {name: net.config[name] for name in config} == config
    assert config["rope_scale"] == (1.0, 3.0, 3.0)
