"""Qwen-Image-Layered gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import (
    decode_latent,
    encode_image,
    encode_prompt,
    load_component,
    open_model,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.families.patches import unpack_latents
from nodegraph.families.qwen_image_layered import CAPTION_QUESTIONS, CAPTION_SYSTEM
from nodegraph.models.conditioning import with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.language.text_generation import Question, generate_answer
from nodegraph.sampling.latents.transforms import cut_frames, frames_as_batch
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model
from .image_to_image import as_tensor
from .language import qwen_vl_text
from .qwen_parts import qwen_flow, qwen_net, qwen_vae
from .test_qwen_image_edit import PictureProcessor
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
AREA = 96 * 64


def qwen_image_layered() -> Any:
    words = qwen_words()
    return d.QwenImageLayeredPipeline(
        qwen_flow(),
        qwen_vae(input_channels=4),
        qwen_vl_text(words),
        words,
        PictureProcessor(tf.Qwen2VLImageProcessorPil(), words),
        qwen_net(32, (4, 14, 14), use_additional_t_cond=True, use_layer3d_rope=True),
    )


def see_through(width: int, height: int) -> Image.Image:
    """An image of random dots, each of which covers something else."""
    dots = np.random.default_rng(5).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(dots, "RGBA")


@pytest.fixture
def small_area(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline scales images to few pixels, not to 640 x 640."""
    home = sys.modules[d.QwenImageLayeredPipeline.__module__]
    wanted = partial(home.calculate_dimensions, AREA)
    monkeypatch.setattr(home, "calculate_dimensions", lambda _, ratio: wanted(ratio))


def layered(
    model: Model,
    drawn: Image.Image,
    *,
    layers: int = 2,
    batch: int = 1,
    prompt: str = PROMPT,
    negative: str | None = NEGATIVE,
    cfg: float = 4.0,
    **options: Any,
) -> Made:
    """The layers of an image, as the nodes make them."""
    encoder = model.part("text_encoder")
    latent = encode_image(model.part("vae"), as_tensor(drawn))
    away = None if negative is None else with_references(encode_prompt(encoder, negative), latent)
    start = Latent(None, *drawn.size, batch, frames=layers + 1)
    return model.make(
        *drawn.size,
        latent=start,
        change=lambda given: with_references(given, latent),
        prompt=prompt,
        away=away,
        cfg=cfg,
        **options,
    )


def run_stock(
    pipeline: Any,
    drawn: Image.Image,
    *,
    layers: int = 2,
    batch: int = 1,
    steps: int = 2,
    prompt: str = PROMPT,
    negative: str | None = NEGATIVE,
    cfg: float = 4.0,
) -> tuple[Tensor, Tensor]:
    """The packed latents of the stock pipeline, and the images of the first item's layers.

    The pipeline fails where it is asked for latents alone, so a callback takes the last ones.
    """
    taken: list[Tensor] = []

    def take(_: Any, step: int, timestep: Any, values: dict[str, Tensor]) -> dict[str, Tensor]:
        taken.append(values["latents"])
        return {}

    with torch.no_grad():
        images = pipeline(
            drawn,
            prompt,
            negative,
            cfg,
            layers,
            steps,
            num_images_per_prompt=batch,
            generator=[torch.Generator().manual_seed(SEED + item) for item in range(batch)],
            callback_on_step_end=take,
            output_type="pt",
        ).images
    return taken[-1], images[0]


def stock_layers(pipeline: Any, drawn: Image.Image, *, layers: int = 2, **options: Any) -> Tensor:
    """The latents of the stock pipeline, unpacked."""
    tokens, _ = run_stock(pipeline, drawn, layers=layers, **options)
    side = (drawn.height // 8, drawn.width // 8)
    return torch.stack([unpack_latents(item, *side) for item in tokens.chunk(layers + 1, 1)], 2)


def assert_equal(found: Made, expected: Tensor) -> None:
    assert expected.std() > 1e-4
    assert torch.equal(found.latents, expected.float()), (found.latents - expected).abs().max()


@pytest.mark.usefixtures("small_area")
@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((96, 64), {}),
        pytest.param((64, 96), {"layers": 1}, marks=pytest.mark.slow),
        pytest.param((160, 32), {"layers": 4}, marks=pytest.mark.slow),
        pytest.param((96, 64), {"batch": 3}, marks=pytest.mark.slow),
        pytest.param((96, 64), {"steps": 5}, marks=pytest.mark.slow),
        pytest.param((96, 64), {"prompt": "cat " * 1200}, marks=pytest.mark.slow),
        pytest.param((96, 64), {"negative": "dog " * 700}, marks=pytest.mark.slow),
    ],
)
def test_layers_are_diffusers(
    model_of: ModelOf, size: tuple[int, int], options: dict[str, Any]
) -> None:
    pipeline, model = model_of(qwen_image_layered)
    drawn = see_through(*size)
    assert_equal(layered(model, drawn, **options), stock_layers(pipeline, drawn, **options))


@pytest.mark.slow
@pytest.mark.usefixtures("small_area")
@pytest.mark.parametrize("cfg", [0.0, 1.0, 7.3])
@pytest.mark.parametrize("negative", [None, NEGATIVE])
def test_guidance_is_diffusers(model_of: ModelOf, cfg: float, negative: str | None) -> None:
    """The pipeline guides above 1 alone, as nodegraph does with 1."""
    pipeline, model = model_of(qwen_image_layered)
    drawn = see_through(96, 64)
    found = layered(model, drawn, cfg=max(cfg, 1.0), negative=negative)
    assert_equal(found, stock_layers(pipeline, drawn, cfg=cfg, negative=negative))


@pytest.mark.usefixtures("small_area")
def test_decoded_layers_are_diffusers(model_of: ModelOf) -> None:
    """The pipeline drops the whole image, and decodes the layers one by one if it slices."""
    pipeline, model = model_of(qwen_image_layered)
    drawn = see_through(96, 64)
    made = layered(model, drawn)
    stacked = Latent(made.latents, 96, 64, 1, frames=3, format="qwen-image-layered")
    apart = frames_as_batch(cut_frames(stacked, 1, 0))
    found = decode_latent(model.part("vae"), apart)
    pipeline.vae.enable_slicing()
    try:
        _, expected = run_stock(pipeline, drawn)
    finally:
        pipeline.vae.disable_slicing()
    assert found.shape == (2, 64, 96, 4)
    assert torch.equal(found.movedim(-1, 1), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("small_area")
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(qwen_image_layered)
    networks = {
        role: type(part).from_pretrained(model.folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    drawn = see_through(96, 64)
    found = layered(Model(model.folder, "bfloat16"), drawn)
    assert_equal(found, stock_layers(loaded, drawn))


@pytest.mark.slow
@pytest.mark.parametrize("denoise", [0.13, 0.5, 0.99])
def test_changed_layers_are_a_loop_of_diffusers_parts(model_of: ModelOf, denoise: float) -> None:
    """The pipeline has no start but noise: this is its loop from a later step."""
    pipeline, model = model_of(qwen_image_layered)
    drawn, steps = see_through(96, 64), 8
    clean = torch.randn(1, 16, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    start = Latent(clean, 96, 64, 1, frames=3, format="qwen-image-layered")
    latent = encode_image(model.part("vae"), as_tensor(drawn))
    found = model.make(
        96,
        64,
        latent=start,
        change=lambda given: with_references(given, latent),
        cfg=1.0,
        steps=steps,
        denoise=denoise,
    )
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 0, steps + 1)[:-1], mu=(24 / 256) ** 0.5)
    begin = max(steps - max(int(steps * denoise), 1), 0)
    noise = torch.randn(1, 3, 16, 8, 12, generator=torch.Generator().manual_seed(SEED))
    x = pack(clean.transpose(1, 2))
    shown = pack(torch.as_tensor(latent.samples).transpose(1, 2))
    timesteps = scheduler.timesteps[begin:]
    scheduler.set_begin_index(begin)
    x = scheduler.scale_noise(x, timesteps[:1], pack(noise))
    with torch.no_grad():
        prompt, _ = pipeline.encode_prompt(PROMPT, max_sequence_length=512)
        for timestep in timesteps:
            output = pipeline.transformer(
                hidden_states=torch.cat([x, shown], 1),
                timestep=timestep.expand(1) / 1000,
                encoder_hidden_states=prompt,
                img_shapes=[[(1, 4, 6)] * 4],
                additional_t_cond=torch.tensor([0]),
                return_dict=False,
            )[0][:, : x.shape[1]]
            x = scheduler.step(output, timestep, x, return_dict=False)[0]
    scheduler.set_begin_index(0)
    assert_equal(found, torch.stack([unpack_latents(item, 8, 12) for item in x.chunk(3, 1)], 2))


def pack(stacked: Tensor) -> Tensor:
    """Latents (1, layers, channels, height, width) as the pipeline packs them."""
    return d.QwenImageLayeredPipeline._pack_latents(
        stacked.contiguous(), 1, 16, *stacked.shape[3:], stacked.shape[1]
    )


def test_layers_of_a_prompt_alone_do_not_see_a_reference(model_of: ModelOf) -> None:
    """As ComfyUI samples without a reference: the last layer keeps its own number."""
    pipeline, model = model_of(qwen_image_layered)
    start = Latent(None, 128, 128, 1, frames=3)
    found = model.make(128, 128, latent=start, cfg=1.0)
    scheduler, rope = pipeline.scheduler, pipeline.transformer.pos_embed
    scheduler.set_timesteps(sigmas=np.array([1.0, 0.5]), mu=(64 / 256) ** 0.5)
    x = pack(torch.randn(1, 3, 16, 16, 16, generator=torch.Generator().manual_seed(SEED)))

    def of_last(frames: int, height: int, width: int, device: Any) -> Tensor:
        positions: Tensor = rope._compute_video_freqs(frames, height, width, 2, device)
        return positions

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rope, "_compute_condition_freqs", of_last)
        prompt, _ = pipeline.encode_prompt(PROMPT, max_sequence_length=512)
        for timestep in scheduler.timesteps:
            output = pipeline.transformer(
                hidden_states=x,
                timestep=timestep.expand(1) / 1000,
                encoder_hidden_states=prompt,
                img_shapes=[[(1, 8, 8)] * 3],
                additional_t_cond=torch.tensor([0]),
                return_dict=False,
            )[0]
            x = scheduler.step(output, timestep, x, return_dict=False)[0]
    expected = torch.stack([unpack_latents(item, 16, 16) for item in x.chunk(3, 1)], 2)
    assert_equal(found, expected)


def test_two_references_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(qwen_image_layered)
    latent = encode_image(model.part("vae"), torch.zeros(2, 64, 64, 4))
    start = Latent(None, 64, 64, 1, frames=3)
    with raises(InvalidValue, port="positive", given="2 images"):
        model.make(
            64, 64, latent=start, change=lambda given: with_references(given, latent), cfg=1.0
        )


def test_a_file_of_its_transformer_is_the_folders(model_of: ModelOf, tmp_path: Path) -> None:
    _, model = model_of(qwen_image_layered)
    own = model.part("model").module.state_dict()
    file = tmp_path / "layered.safetensors"
    named = {f"model.diffusion_model.{name}": item for name, item in own.items()}
    save_file(named, file)
    shapes = {name: tuple(item.shape) for name, item in named.items()}
    assert identify_tensors(shapes).title == "the transformer of Qwen-Image-Layered"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.family == "qwen-image-layered"
    found = loaded.module.state_dict()
    assert found.keys() == own.keys()
    assert all(torch.equal(item, own[name]) for name, item in found.items())
    for name in ("use_additional_t_cond", "use_layer3d_rope", "in_channels", "out_channels"):
        assert loaded.module.config[name] == model.part("model").module.config[name]
    assert [*loaded.module.config["axes_dims_rope"]] == [4, 14, 14]


@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.slow)])
def test_captions_are_diffusers(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    """The pipeline writes 512 words; six are enough here, and a random model ends at none."""
    pipeline, model = model_of(qwen_image_layered)
    drawn = see_through(320, 224)
    own = pipeline.text_encoder.generate
    few = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    monkeypatch.setattr(pipeline.text_encoder, "generate", lambda **told: own(**{**told, **few}))
    expected = pipeline.get_image_caption(drawn, use_en_prompt=language == "en", device="cpu")
    assert len(expected) > 1
    recipe = open_model(str(model.folder), [], dtype="float32").text_encoder
    question = Question(
        CAPTION_QUESTIONS[language],
        CAPTION_SYSTEM,
        [as_tensor(drawn)[0, ..., :3]],
        is_text_first=True,
    )
    found = generate_answer(
        model.part("text_encoder"),
        recipe,
        question,
        max_new_tokens=6,
        sampling=None,
        on_token=lambda done: None,
    )
    assert found == expected
