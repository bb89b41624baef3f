"""HunyuanVideo 1.5 gives what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_video, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.families.image_conditioning import CONDITION_CLIP, IMAGE_EMBEDS
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import (
    embed_first_frame,
    embed_first_frame_alone,
    encode_first_frame,
)
from nodegraph.models.ip_adapters.image_prompt_files import open_image_encoder
from nodegraph.models.ip_adapters.image_prompts import embed_images
from nodegraph.sampling.inpainting import with_tensors
from tests.diffusion.single_files.originals import WRITERS
from tests.messages import raises

from .checks import assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen_vl_text
from .late_start import LateScheduler
from .parts import flow, t5_text
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]

SIGN = 'a sign "cat" and “dog”, then "cat" again'
LONG = "a red cat " * 200


def transformer(task: str = "t2v", *, meanflow: bool = False, layers: int = 2) -> Any:
    return d.HunyuanVideo15Transformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=layers,
        num_refiner_layers=1,
        text_embed_dim=32,
        text_embed_2_dim=32,
        image_embed_dim=16,
        rope_axes_dim=(2, 7 * 2 - 8, 8),
        target_size=64,
        task_type=task,
        use_meanflow=meanflow,
    )


def vae() -> Any:
    return d.AutoencoderKLHunyuanVideo15(
        block_out_channels=(16, 32, 32, 64, 64), layers_per_block=1
    )


def eye() -> Any:
    config = tf.SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        # That of the published one, which no tensor shows.
        num_attention_heads=16,
        image_size=28,
        patch_size=14,
    )
    return tf.SiglipVisionModel(config)


def parts(task: str = "t2v", **more: Any) -> dict[str, Any]:
    words, letters = qwen_words(), tf.ByT5Tokenizer()
    return {
        "text_encoder": qwen_vl_text(words, layers=4).model.language_model,
        "tokenizer": words,
        "transformer": transformer(task, **more),
        "vae": vae(),
        "scheduler": flow(shift=5.0),
        "text_encoder_2": t5_text(letters),
        "tokenizer_2": letters,
        "guider": d.ClassifierFreeGuidance(guidance_scale=6.0),
    }


def hunyuan_video_15() -> Any:
    return d.HunyuanVideo15Pipeline(**parts())


def hunyuan_video_15_i2v(task: str = "i2v", *, meanflow: bool = False) -> Any:
    look = tf.SiglipImageProcessor(size={"height": 28, "width": 28})
    sees = {"image_encoder": eye(), "feature_extractor": look}
    return d.HunyuanVideo15ImageToVideoPipeline(**parts(task, meanflow=meanflow), **sees)


def hunyuan_video_15_meanflow() -> Any:
    return hunyuan_video_15_i2v(meanflow=True)


def hunyuan_video_15_unified() -> Any:
    """One for prompts, images and videos, as Capybara is."""
    return hunyuan_video_15_i2v("")


def guided(pipeline: Any, cfg: float) -> Any:
    """The same pipeline with another scale."""
    other = copy(pipeline)
    other.guider = d.ClassifierFreeGuidance(guidance_scale=cfg)
    return other


@pytest.mark.parametrize(
    ("width", "frames", "batch", "prompt", "negative", "cfg"),
    [
        pytest.param(64, 5, 1, PROMPT, None, 6.0, id="words"),
        pytest.param(80, 9, 2, SIGN, NEGATIVE, 3.0, id="letters", marks=pytest.mark.slow),
        pytest.param(48, 1, 3, PROMPT, SIGN, 7.3, id="images", marks=pytest.mark.slow),
        pytest.param(48, 1, 1, LONG, "", 1.0, id="long"),
    ],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf,
    width: int,
    frames: int,
    batch: int,
    prompt: str,
    negative: str | None,
    cfg: float,
) -> None:
    """Several videos are several prompts of the pipeline, which fails with several of a prompt."""
    pipeline, model = model_of(hunyuan_video_15)
    options = {"batch": batch, "prompt": prompt, "negative": negative}
    found = model.make(width, 64, frames=frames, cfg=cfg, **options)
    called = {"width": width, "height": 64, "num_frames": frames, "num_videos_per_prompt": 1}
    called |= {"prompt": [prompt] * batch, "negative_prompt": negative and [negative] * batch}
    expected = stock(guided(pipeline, cfg), out="frames", batch=batch, **called)
    assert_same(found, expected, pixels=frames == 5)


def frames_of(count: int, width: int = 64) -> Tensor:
    drawn = as_tensor(picture(width, 64))
    return torch.cat([drawn.roll(place, 2) for place in range(count)])


def shown(model: Model, clip: Tensor, frames: int) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        tensors = encode_first_frame(model.part("vae"), prompt, clip, frames)
        seen = embed_first_frame(model.part("text_encoder"), clip[:1])
        return with_tensors(prompt, {**tensors, **seen})

    return change


@pytest.mark.parametrize(
    ("build", "width", "frames", "batch", "cfg"),
    [
        (hunyuan_video_15_i2v, 64, 5, 1, 6.0),
        pytest.param(hunyuan_video_15_i2v, 80, 9, 2, 3.0, marks=pytest.mark.slow),
        pytest.param(hunyuan_video_15_meanflow, 64, 5, 1, 1.0, marks=pytest.mark.slow),
    ],
)
def test_videos_of_a_first_image_are_those_of_diffusers(
    model_of: ModelOf,
    build: Callable[[], Any],
    width: int,
    frames: int,
    batch: int,
    cfg: float,
) -> None:
    """The pipeline chooses the size by the image: these are two of its sizes."""
    pipeline, model = model_of(build)
    height = 64 if width == 64 else 48
    image = frames_of(1, width)[:, :height]
    options = {"batch": batch, "negative": NEGATIVE, "steps": 3}
    change = shown(model, image, frames)
    found = model.make(width, height, frames=frames, cfg=cfg, change=change, **options)
    called = {**options, "image": to_pil(image), "num_frames": frames}
    assert_same(found, stock(guided(pipeline, cfg), out="frames", **called))


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_video_15)
    pipeline = d.HunyuanVideo15Pipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    found = Model(model.folder, "bfloat16").make(64, 64, frames=5, cfg=6.0)
    expected = stock(pipeline, out="frames", width=64, height=64, num_frames=5)
    assert torch.equal(found.latents, expected.latents.float())


def by_stock(pipeline: Any, latent: Tensor, steps: int, walked: int, **called: Any) -> Made:
    """The last steps by the pipeline, which has none for videos itself."""
    usual = pipeline.scheduler
    scheduler = LateScheduler(type(usual).from_config(usual.config), walked)
    pipeline.scheduler = scheduler
    try:
        stock(pipeline, out="frames", steps=steps, **called)
        level = scheduler.scheduler.sigmas[-walked - 1]
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED))
        start = (1 - level) * latent + level * noise
        return stock(pipeline, out="frames", steps=steps, latents=start, **called)
    finally:
        pipeline.scheduler = usual


@pytest.mark.parametrize(
    ("denoise", "steps", "walked"),
    [
        pytest.param(0.13, 8, 1, marks=pytest.mark.slow),
        (0.5, 2, 1),
        pytest.param(0.99, 4, 3, marks=pytest.mark.slow),
    ],
)
def test_the_last_steps_from_a_video_are_diffusers(
    model_of: ModelOf, denoise: float, steps: int, walked: int
) -> None:
    pipeline, model = model_of(hunyuan_video_15)
    latent = encode_video(model.part("vae"), frames_of(5))
    assert latent.samples is not None
    found = model.make(64, 64, latent=latent, cfg=6.0, steps=steps, denoise=denoise)
    called = {"width": 64, "height": 64, "num_frames": 5}
    assert_same(found, by_stock(pipeline, latent.samples, steps, walked, **called))


def test_what_is_encoded_is_the_most_likely(model_of: ModelOf) -> None:
    pipeline, model = model_of(hunyuan_video_15)
    pixels = (frames_of(5) * 2 - 1).movedim(-1, 0)[None].contiguous()
    with torch.no_grad():
        mode = pipeline.vae.encode(pixels).latent_dist.mode()
    found = encode_video(model.part("vae"), frames_of(5)).samples
    assert found is not None
    assert torch.equal(found, mode * pipeline.vae.config.scaling_factor)


def test_a_video_to_edit_lies_beside_the_noise(model_of: ModelOf) -> None:
    """No pipeline of diffusers does so: this is what its transformer gets. Frames beyond the end
    are left out."""
    _, model = model_of(hunyuan_video_15_i2v)
    seen: list[Tensor] = []
    module = model.part("model").module
    hook = module.register_forward_pre_hook(
        lambda _, args, more: seen.append(more["hidden_states"]), with_kwargs=True
    )
    try:
        model.make(64, 64, frames=5, cfg=1.0, steps=1, change=shown(model, frames_of(7), 5))
    finally:
        hook.remove()
    latent = encode_video(model.part("vae"), frames_of(5)).samples
    assert latent is not None
    assert torch.equal(seen[0][:, 32:64], latent)
    assert bool((seen[0][:, 64:] == 1).all())


def test_other_samplers(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_video_15)
    assert_samples_by(model, {"dpmpp_2m": "normal"})


def test_images_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, of_prompts = model_of(hunyuan_video_15)
    _, of_images = model_of(hunyuan_video_15_i2v)
    image = frames_of(1)
    change = shown(of_images, image, 5)
    with raises(InvalidValue, port="positive"):
        of_images.make(64, 64, frames=5, cfg=1.0)
    with raises(InvalidValue, port="positive"):
        of_prompts.make(64, 64, frames=5, cfg=1.0, change=change)
    with raises(InvalidValue, port="positive"):
        of_images.make(80, 64, frames=5, cfg=1.0, change=change)
    with raises(InvalidValue, port="positive", given="2 latent frames"):
        of_images.make(64, 64, frames=1, cfg=1.0, change=shown(of_images, frames_of(5), 5))
    wide = {IMAGE_EMBEDS: torch.zeros(1, 4, 7)}
    with raises(InvalidValue, port="positive", given="7 wide"):
        of_images.make(
            *(64, 64), frames=5, cfg=1.0, change=lambda each: with_tensors(change(each), wide)
        )
    prompt = of_images.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue, port="last_image"):
        encode_first_frame(of_images.part("vae"), prompt, image, 5, image)
    with raises(InvalidValue, port="encoder"):
        embed_first_frame(of_prompts.part("text_encoder"), image)


def test_a_first_image_needs_no_image_encoder(model_of: ModelOf) -> None:
    """As in ComfyUI, where the image encoder is optional; its tokens are masked then."""
    _, model = model_of(hunyuan_video_15_i2v)
    latent = encode_video(model.part("vae"), frames_of(1)).samples
    assert latent is not None
    found, expected = (
        model.make(
            *(64, 64), frames=5, cfg=1.0, change=lambda each, more=more: with_tensors(each, more)
        )
        for more in (
            {CONDITION_CLIP: latent},
            {CONDITION_CLIP: latent, IMAGE_EMBEDS: torch.zeros(1, 729, 16)},
        )
    )
    assert torch.equal(found.latents, expected.latents)


@pytest.mark.parametrize("single", [False, True])
def test_an_image_encoder_of_its_own_sees_the_same(
    model_of: ModelOf, tmp_path: Path, single: bool
) -> None:
    _, model = model_of(hunyuan_video_15_i2v)
    source = model.folder / "image_encoder"
    if single:
        tensors = load_file(source / "model.safetensors")
        names = {name: f"vision_model.{name.removeprefix('vision_model.')}" for name in tensors}
        source = tmp_path / "sigclip.safetensors"
        save_file({new: tensors[old] for old, new in names.items()}, source)
    alone = load_component(open_image_encoder(str(source), [], dtype="float32"), "cpu")
    image = frames_of(1)
    expected = embed_first_frame(model.part("text_encoder"), image)[IMAGE_EMBEDS]
    found = embed_first_frame_alone(alone, image)[IMAGE_EMBEDS]
    assert found.shape == (1, 4, 16)
    assert torch.equal(found, expected)
    # The one for IP-Adapters and other uses of whole images.
    whole, _ = embed_images(alone, image, reads_patches=False)
    assert whole.shape == (1, 1, 16)


@pytest.mark.parametrize("names", ["hunyuan-video-15", "hunyuan-video-15-comfyui"])
def test_a_file_of_other_names_is_loaded_whole(tmp_path: Path, names: str) -> None:
    network = transformer(meanflow=True).eval()
    tensors = WRITERS[names](network.state_dict())
    apart = "double_blocks.1.img_attn_q.bias"
    assert (apart in tensors) == (names == "hunyuan-video-15")
    file = tmp_path / "hunyuan.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of HunyuanVideo 1.5"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    for name, item in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], item), name


def test_models_of_super_resolution_are_named() -> None:
    tensors = WRITERS["hunyuan-video-15"](transformer().state_dict())
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    wider = (shapes["img_in.proj.weight"][0], 98, 1, 1, 1)
    found = identify_tensors({**shapes, "img_in.proj.weight": wider})
    assert found.family is None
    assert found.title == "a HunyuanVideo 1.5 of super resolution"
