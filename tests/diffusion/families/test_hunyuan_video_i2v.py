"""HunyuanVideo I2V gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.hunyuan_video import pipeline_hunyuan_video_image2video as stock_i2v
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.models.conditioning import encode_edit
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors
from tests.diffusion.single_files.originals import WRITERS
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import llama_text
from .language_files import llava_llama3
from .test_hunyuan_video import encoder_files, guided, parts, transformer
from .test_text_encoder_files import loaded
from .text_files import clip, named, write
from .text_files import clip_words as full_clip_words
from .words import llava_words

ModelOf = Callable[[Callable[[], Any]], Pair]

LONG = "a red cat " * 60
TEMPLATE: str = stock_i2v.DEFAULT_PROMPT_TEMPLATE["template"]


def eyes_config() -> Any:
    """Of 24 x 24 patches, as the published one."""
    return tf.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        # That of the published one, which no tensor shows.
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
    )


def llava(words: Any) -> Any:
    config = tf.LlavaConfig(
        vision_config=eyes_config(),
        text_config=llama_text(words, layers=4).config,
        image_token_index=words.convert_tokens_to_ids("<image>"),
        pad_token_id=words.pad_token_id,
    )
    return tf.LlavaForConditionalGeneration(config)


def i2v_pipeline(net: Any) -> Any:
    own = parts(net, TEMPLATE)
    look = tf.CLIPImageProcessor(
        size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
    )
    own |= {"text_encoder": llava(own["tokenizer"]), "image_processor": look}
    return d.HunyuanVideoImageToVideoPipeline(**own)


def hunyuan_video_i2v() -> Any:
    return i2v_pipeline(transformer(image_condition_type="token_replace"))


def hunyuan_video_i2v_v1() -> Any:
    return i2v_pipeline(transformer(33, guided=False, image_condition_type="latent_concat"))


def frames_of(count: int, width: int = 64) -> Tensor:
    drawn = as_tensor(picture(width, 64))
    return torch.cat([drawn.roll(place, 2) for place in range(count)])


def seen(model: Model, text: str, image: Tensor, frames: int) -> Conditioning:
    """A prompt with the image, in both ways in which the model gets it."""
    prompt = encode_edit(model.part("text_encoder"), text, [image])
    return with_tensors(prompt, encode_first_frame(model.part("vae"), prompt, image, frames))


def made(
    model: Model,
    width: int,
    frames: int,
    *,
    prompt: str = PROMPT,
    negative: str | None = None,
    scale: float | None = None,
    **options: Any,
) -> Made:
    def change(_: Conditioning) -> Conditioning:
        positive = seen(model, prompt, frames_of(1, width), frames)
        return positive if scale is None else guided(scale)(positive)

    away = None
    if negative is not None:
        away = encode_prompt(model.part("text_encoder"), negative)
        away = away if scale is None else guided(scale)(away)
    return model.make(width, 64, frames=frames, change=change, away=away, **options)


@pytest.mark.parametrize(
    ("build", "width", "frames", "prompt", "negative", "cfg", "scale"),
    [
        (hunyuan_video_i2v, 64, 5, PROMPT, None, 1.0, 6.0),
        pytest.param(
            *(hunyuan_video_i2v, 80, 9, PROMPT, NEGATIVE, 3.0, 1.0), marks=pytest.mark.slow
        ),
        pytest.param(hunyuan_video_i2v, 48, 5, LONG, None, 1.0, 7.3, marks=pytest.mark.slow),
        pytest.param(hunyuan_video_i2v_v1, 64, 5, PROMPT, None, 1.0, None),
        pytest.param(
            *(hunyuan_video_i2v_v1, 80, 9, LONG, NEGATIVE, 7.3, None), marks=pytest.mark.slow
        ),
    ],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf,
    build: Callable[[], Any],
    width: int,
    frames: int,
    prompt: str,
    negative: str | None,
    cfg: float,
    scale: float | None,
) -> None:
    """The pipeline leaves the first latent frame of a model of v1 out, or its first four frames."""
    pipeline, model = model_of(build)
    found = made(
        model, width, frames, prompt=prompt, negative=negative, scale=scale, cfg=cfg, steps=3
    )
    called = {"width": width, "height": 64, "num_frames": frames, "true_cfg_scale": cfg}
    called |= {"image": picture(width, 64), "prompt": prompt, "negative": negative, "steps": 3}
    expected = stock(pipeline, out="frames", guidance_scale=scale or 1.0, **called)
    if build is hunyuan_video_i2v_v1:
        assert found.pixels.shape[1] == expected.pixels.shape[1] + 4
        torch.testing.assert_close(found.pixels[:, 4:], expected.pixels, rtol=0, atol=0)
        found.latents = found.latents[:, :, 1:]
    assert_same(found, expected, pixels=False)


@pytest.mark.slow
@pytest.mark.parametrize("layers", [3, 23])
def test_a_vision_model_from_a_file_sees_the_same(tmp_path: Path, layers: int) -> None:
    """As in ComfyUI, whose text encoder is Llama alone. Of 24 layers, files may lack the last."""
    files = encoder_files(tmp_path, TEMPLATE)
    words = llava_words(TEMPLATE)
    config = eyes_config()
    config.num_hidden_layers = layers + (layers == 23)
    torch.manual_seed(5)
    whole = tf.LlavaForConditionalGeneration(
        tf.LlavaConfig(
            vision_config=config,
            text_config=llava_llama3().config,
            image_token_index=words.convert_tokens_to_ids("<image>"),
            pad_token_id=words.pad_token_id,
        )
    ).eval()
    whole.model.language_model = llava_llama3().model
    eyes = named(whole.model.vision_tower, "vision_model.")
    eyes |= named(whole.model.multi_modal_projector, "multi_modal_projector.")
    kept = {name: item for name, item in eyes.items() if ".layers.23." not in name}
    write(files / "llava_llama3_vision.safetensors", kept)
    names = ("clip_l", "llava_llama3", "llava_llama3_vision")
    model = loaded("hunyuan-video-i2v", *names, models=files)
    stock_model = d.HunyuanVideoImageToVideoPipeline(
        *(whole, words, None, None, None, clip(), full_clip_words()),
        image_processor=tf.CLIPImageProcessor(
            size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
        ),
    )
    with torch.no_grad():
        expected, pooled, mask = stock_model.encode_prompt(
            picture(80, 64), PROMPT, device="cpu", dtype=torch.float32, image_embed_interleave=1
        )
    (entry,) = encode_edit(model, PROMPT, [frames_of(1, 80)]).entries
    found = entry.tensors
    assert torch.equal(torch.cat([found["image_states"], found["embeddings"]], 1), expected)
    assert torch.equal(found["mask"], mask[:, 576:])
    assert torch.equal(found["pooled"], pooled)


@pytest.mark.slow
def test_a_text_encoder_without_vision_model_reads_prompts(tmp_path: Path) -> None:
    """As those for videos of prompts."""
    files = encoder_files(tmp_path, TEMPLATE)
    model, plain = (
        loaded(family, "clip_l", "llava_llama3", models=files)
        for family in ("hunyuan-video-i2v", "hunyuan-video")
    )
    (found,), (expected,) = (encode_prompt(each, PROMPT).entries for each in (model, plain))
    assert found.tensors.keys() == expected.tensors.keys()
    assert torch.equal(found.embeddings, expected.embeddings)
    with raises(InvalidValue, port="encoder"):
        encode_edit(model, PROMPT, [frames_of(1)])


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_video_i2v)
    _, first = model_of(hunyuan_video_i2v_v1)
    for each in (model, first):
        with raises(InvalidValue, port="positive"):
            each.make(64, 64, frames=5, cfg=1.0)
    encoder = model.part("text_encoder")
    with raises(InvalidValue, port="images"):
        encode_edit(encoder, PROMPT, [frames_of(2)])
    with raises(InvalidValue, port="text"):
        encode_edit(encoder, "an <image>", [frames_of(1)])


def test_images_of_another_version_are_named(model_of: ModelOf) -> None:
    """Both versions take prompts of the same text encoder, and images in other ways."""
    pairs = [model_of(build)[1] for build in (hunyuan_video_i2v, hunyuan_video_i2v_v1)]
    for model, other in (pairs, pairs[::-1]):
        prompt = seen(other, PROMPT, frames_of(1), 5)
        with raises(
            InvalidValue, port="positive", expected=f"a prompt of {model.part('model').family}"
        ):
            model.make(64, 64, frames=5, cfg=1.0, change=lambda _, prompt=prompt: prompt)


@pytest.mark.parametrize("build", [hunyuan_video_i2v, hunyuan_video_i2v_v1])
def test_images_beside_the_cells_are_refused_where_they_are_linked(
    model_of: ModelOf, build: Callable[[], Any]
) -> None:
    _, model = model_of(build)
    prompt = encode_prompt(model.part("text_encoder"), PROMPT)
    with raises(InvalidValue, port="image", given="65 x 64 pixels"):
        encode_first_frame(model.part("vae"), prompt, frames_of(1, 65), 5)


@pytest.mark.parametrize("build", [hunyuan_video_i2v, hunyuan_video_i2v_v1])
def test_the_folder_of_a_transformer_says_its_family(
    model_of: ModelOf, build: Callable[[], Any]
) -> None:
    """Its tensors may be those of HunyuanVideo."""
    folder = model_of(build)[1].folder
    found = open_denoiser(DenoiserRequest(str(folder / "transformer")), [])
    assert found.family == build.__name__.replace("_", "-")


def test_other_samplers(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_video_i2v)
    found = made(model, 64, 5, cfg=1.0, sampler="dpmpp_2m", schedule="normal", steps=3)
    assert torch.isfinite(found.latents).all()
    kept = encode_first_frame(
        model.part("vae"), encode_prompt(model.part("text_encoder"), ""), frames_of(1), 5
    )
    assert torch.equal(found.latents[:, :, :1], kept["first_frame"])


@pytest.mark.slow
def test_several_videos_are_those_of_their_seeds(model_of: ModelOf) -> None:
    """The pipeline fails with several videos of an image. Rows of a batch differ in last bits."""
    _, model = model_of(hunyuan_video_i2v)
    both = made(model, 64, 5, cfg=1.0, batch=2)
    one, two = (made(model, 64, 5, cfg=1.0, seed=SEED + item) for item in range(2))
    apart = torch.cat([one.latents, two.latents])
    torch.testing.assert_close(both.latents, apart, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("build", [hunyuan_video_i2v, hunyuan_video_i2v_v1])
def test_files_of_the_transformer_are_told_by_the_family(
    model_of: ModelOf, tmp_path: Path, build: Callable[[], Any]
) -> None:
    """No tensor shows whether a transformer of 16 channels replaces the first frame."""
    network = build().transformer.eval()
    tensors = WRITERS["hunyuan-video"](network.state_dict())
    file = write(tmp_path / "i2v.safetensors", {k: v.contiguous() for k, v in tensors.items()})
    family = "hunyuan-video-i2v" + ("-v1" if build is hunyuan_video_i2v_v1 else "")
    request = DenoiserRequest(str(file), family=family)
    loaded_network = load_component(open_denoiser(request, []), "cpu")
    assert loaded_network.family == family
    assert loaded_network.config["image_condition_type"] == network.config.image_condition_type
    found = loaded_network.module.state_dict()
    assert all(torch.equal(found[name], item) for name, item in network.state_dict().items())
