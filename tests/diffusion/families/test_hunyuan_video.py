"""HunyuanVideo and SkyReels V1 give what diffusers' pipelines give, to the last bit.

The pipeline of SkyReels draws a random latent of its image, and gets the most likely one here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.pipelines.hunyuan_video import (
    pipeline_hunyuan_skyreels_image2video as skyreels,
)
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_prompt, encode_video, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.models.conditioning import encode_prompts_per_encoder
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors
from tests.diffusion.single_files.originals import WRITERS
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import llama_text
from .language_files import llava_llama3, text_file
from .late_start import late_start
from .parts import clip_text, flow
from .test_text_encoder_files import loaded
from .text_files import clip, clip_file, write
from .text_files import clip_words as full_clip_words
from .words import clip_words, llava_words

ModelOf = Callable[[Callable[[], Any]], Pair]

LONG = "a red cat " * 60


def transformer(channels: int = 16, *, guided: bool = True, **more: Any) -> Any:
    options = {"num_layers": 2, "num_single_layers": 2, "num_refiner_layers": 1, **more}
    return d.HunyuanVideoTransformer3DModel(
        in_channels=channels,
        num_attention_heads=2,
        attention_head_dim=16,
        text_embed_dim=32,
        pooled_projection_dim=32,
        rope_axes_dim=(2, 6, 8),
        guidance_embeds=guided,
        **options,
    )


def vae() -> Any:
    return d.AutoencoderKLHunyuanVideo(
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4
    )


def parts(net: Any, template: str = DEFAULT_PROMPT_TEMPLATE["template"]) -> dict[str, Any]:
    words, clip = llava_words(template), clip_words()
    return {
        "text_encoder": llama_text(words, layers=4).model,
        "tokenizer": words,
        "transformer": net,
        "vae": vae(),
        "scheduler": flow(shift=7.0),
        "text_encoder_2": clip_text(clip),
        "tokenizer_2": clip,
    }


def hunyuan_video() -> Any:
    return d.HunyuanVideoPipeline(**parts(transformer()))


def hunyuan_video_undistilled() -> Any:
    """A model that takes no guidance scale."""
    return d.HunyuanVideoPipeline(**parts(transformer(guided=False)))


def skyreels_i2v() -> Any:
    return d.HunyuanSkyreelsImageToVideoPipeline(**parts(transformer(32)))


def guided(scale: float) -> Callable[[Conditioning], Conditioning]:
    return lambda prompt: with_tensors(prompt, {"guidance": torch.tensor([scale])})


@pytest.mark.parametrize(
    ("width", "frames", "batch", "prompt", "negative", "cfg", "scale"),
    [
        pytest.param(64, 5, 1, PROMPT, None, 1.0, 6.0, id="words"),
        pytest.param(80, 9, 2, PROMPT, NEGATIVE, 3.0, 1.0, id="both", marks=pytest.mark.slow),
        pytest.param(48, 1, 3, PROMPT, "", 7.3, 0.0, id="images", marks=pytest.mark.slow),
        pytest.param(48, 1, 1, LONG, None, 1.0, 7.3, id="long", marks=pytest.mark.slow),
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
    scale: float,
) -> None:
    """The pipeline has one embedded scale for both prompts, which each have their own here."""
    pipeline, model = model_of(hunyuan_video)
    both = {"batch": batch, "prompt": prompt}
    against = model.encode(negative)
    away = against and guided(scale)(against)
    found = model.make(width, 64, frames=frames, cfg=cfg, change=guided(scale), away=away, **both)
    called = {"width": width, "height": 64, "num_frames": frames, "guidance_scale": scale}
    expected = stock(
        pipeline, out="frames", true_cfg_scale=cfg, negative=negative, **both, **called
    )
    assert_same(found, expected, pixels=frames == 5)


@pytest.mark.slow
@pytest.mark.parametrize("cfg", [1.0, 7.3])
def test_models_without_a_scale_are_those_of_diffusers(model_of: ModelOf, cfg: float) -> None:
    pipeline, model = model_of(hunyuan_video_undistilled)
    found = model.make(64, 48, frames=5, cfg=cfg, negative=NEGATIVE)
    called = {"width": 64, "height": 48, "num_frames": 5, "true_cfg_scale": cfg}
    assert_same(found, stock(pipeline, out="frames", negative=NEGATIVE, **called))


def test_the_default_scale_is_the_pipelines(model_of: ModelOf) -> None:
    pipeline, model = model_of(hunyuan_video)
    found = model.make(64, 48, cfg=1.0)
    assert_same(found, stock(pipeline, out="frames", width=64, height=48, num_frames=1))


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    """The pipeline keeps the first noise in float32, and later latents in bfloat16: it gets noise
    here that bfloat16 holds."""
    _, model = model_of(hunyuan_video)
    pipeline = d.HunyuanVideoPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    found = Model(model.folder, "bfloat16").make(64, 64, frames=5, cfg=1.0)
    noise = torch.randn(1, 16, 2, 8, 8, generator=torch.Generator().manual_seed(SEED))
    called = {"width": 64, "height": 64, "num_frames": 5, "latents": noise.bfloat16()}
    expected = stock(pipeline, out="frames", **called)
    assert torch.equal(found.latents, expected.latents.float())


def frames_of(count: int, width: int = 64) -> Tensor:
    drawn = as_tensor(picture(width, 64))
    return torch.cat([drawn.roll(place, 2) for place in range(count)])


def shown(model: Model, image: Tensor, frames: int) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        return with_tensors(prompt, encode_first_frame(model.part("vae"), prompt, image, frames))

    return change


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
    pipeline, model = model_of(hunyuan_video)
    latent = encode_video(model.part("vae"), frames_of(5))
    assert latent.samples is not None
    found = model.make(64, 64, latent=latent, cfg=1.0, steps=steps, denoise=denoise)
    called = {"width": 64, "height": 64, "num_frames": 5, "steps": steps}
    assert_same(found, from_video(pipeline, latent.samples, walked, **called))


def from_video(pipeline: Any, latent: Tensor, walked: int, **called: Any) -> Made:
    """The last steps by the pipeline, which has none for videos itself."""
    with late_start(pipeline, walked) as noised:
        stock(pipeline, out="frames", **called)
        return stock(pipeline, out="frames", latents=noised(latent), **called)


@pytest.fixture
def most_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most likely latents of images, which need no generator."""
    usual = skyreels.retrieve_latents
    monkeypatch.setattr(
        skyreels, "retrieve_latents", lambda output, generator: usual(output, None, "argmax")
    )


@pytest.mark.usefixtures("most_likely")
@pytest.mark.parametrize(
    ("width", "frames", "cfg", "negative"),
    [
        (64, 5, 1.0, None),
        pytest.param(80, 9, 6.0, NEGATIVE, marks=pytest.mark.slow),
    ],
)
def test_videos_of_a_first_image_are_those_of_diffusers(
    model_of: ModelOf, width: int, frames: int, cfg: float, negative: str | None
) -> None:
    pipeline, model = model_of(skyreels_i2v)
    image = frames_of(1, width)
    change = shown(model, image, frames)
    found = model.make(width, 64, frames=frames, cfg=cfg, negative=negative, change=change)
    called = {"width": width, "height": 64, "num_frames": frames, "true_cfg_scale": cfg}
    expected = stock(pipeline, out="frames", negative=negative, image=picture(width, 64), **called)
    assert_same(found, expected)


def test_other_samplers(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_video)
    assert_samples_by(model, {"dpmpp_2m": "normal"})


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, of_prompts = model_of(hunyuan_video)
    _, of_images = model_of(skyreels_i2v)
    assert_refuses(of_prompts, near="64 x 64")
    change = shown(of_images, frames_of(1), 5)
    with raises(InvalidValue, port="positive"):
        of_images.make(64, 64, frames=5, cfg=1.0)
    with raises(InvalidValue, port="positive"):
        of_prompts.make(64, 64, frames=5, cfg=1.0, change=change)
    with raises(InvalidValue, port="positive"):
        of_images.make(80, 64, frames=5, cfg=1.0, change=change)


@pytest.mark.parametrize("names", ["hunyuan-video", "hunyuan-video-comfyui"])
@pytest.mark.parametrize("channels", [16, 32])
def test_a_file_of_other_names_is_loaded_whole(tmp_path: Path, names: str, channels: int) -> None:
    network = transformer(channels).eval()
    tensors = WRITERS[names](network.state_dict())
    assert ("double_blocks.0.img_attn_qkv.weight" in tensors) == (names == "hunyuan-video")
    file = tmp_path / "hunyuan.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title.startswith("the transformer of HunyuanVideo")
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    for name, item in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], item), name


def encoder_files(folder: Path, *templates: str) -> Path:
    """Text encoders as ComfyUI's, and the tokenizer that no file holds."""
    write(folder / "clip_l.safetensors", clip_file(clip()))
    write(folder / "llava_llama3.safetensors", text_file(llava_llama3()))
    llava_words(*templates).save_pretrained(folder / "tokenizers" / "llava-llama3")
    return folder


@pytest.mark.slow
def test_text_encoders_from_files_are_diffusers(tmp_path: Path) -> None:
    template = DEFAULT_PROMPT_TEMPLATE["template"]
    files = encoder_files(tmp_path, template)
    model = loaded("hunyuan-video", "clip_l", "llava_llama3", models=files)
    encoder, words = llava_llama3(), llava_words(template)
    own = {"text_encoder": encoder.model, "tokenizer": words, "text_encoder_2": clip()}
    pipeline = d.HunyuanVideoPipeline(
        **own, tokenizer_2=full_clip_words(), vae=None, transformer=None, scheduler=None
    )
    embeddings, pooled, mask = pipeline.encode_prompt(PROMPT, device="cpu", dtype=torch.float32)
    (entry,) = encode_prompt(model, PROMPT).entries
    assert torch.equal(entry.embeddings, embeddings)
    assert torch.equal(entry.tensors["pooled"], pooled)
    assert torch.equal(entry.tensors["mask"], mask)


def test_a_video_starts_with_one_image(model_of: ModelOf) -> None:
    """Of several, those after the first one were left out."""
    _, model = model_of(skyreels_i2v)
    prompt = encode_prompt(model.part("text_encoder"), PROMPT)
    with raises(InvalidValue, port="image", given="5 images"):
        encode_first_frame(model.part("vae"), prompt, frames_of(5), 5)


def test_a_prompt_for_each_encoder(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_video)
    encoder = model.part("text_encoder")
    (apart,) = encode_prompts_per_encoder(encoder, ["a red cat", "a dog"]).entries
    (one,), (two,) = (encode_prompt(encoder, text).entries for text in ("a red cat", "a dog"))
    assert torch.equal(apart.embeddings, one.embeddings)
    assert torch.equal(apart.tensors["pooled"], two.tensors["pooled"])
