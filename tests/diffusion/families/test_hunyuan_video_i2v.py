"""HunyuanVideo I2V gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.hunyuan_video import pipeline_hunyuan_video_image2video as stock_i2v
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_prompt
from nodegraph.errors import InvalidValue
from nodegraph.models.conditioning import encode_edit
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .checks import assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import llama_text
from .test_hunyuan_video import guided, parts, transformer

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
