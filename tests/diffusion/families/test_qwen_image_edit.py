"""Qwen-Image-Edit and Edit Plus give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from PIL import Image
from torch import Tensor
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import encode_image
from nodegraph.errors import InvalidValue
from nodegraph.families import qwen_image_edit
from nodegraph.families.patches import reference_latents, reference_tensors, unpack_latents
from nodegraph.models.conditioning import encode_edit, encode_prompt, with_references
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen_vl_text
from .qwen_parts import qwen_flow, qwen_net, qwen_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
SMALL, AREA = 64 * 64, 96 * 64


class PictureProcessor(Qwen2VLProcessor):
    """Without its part for videos, which needs torchvision."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer
        self.video_processor = self.chat_template = None
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)

    def save_pretrained(self, folder: Any, **_: Any) -> None:
        self.image_processor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def edit(kind: Any = d.QwenImageEditPipeline) -> Any:
    words = qwen_words()
    processor = PictureProcessor(tf.Qwen2VLImageProcessorPil(), words)
    parts = (qwen_flow(), qwen_vae(), qwen_vl_text(words), words)
    return kind(*parts, processor, qwen_net())


def edit_plus() -> Any:
    return edit(d.QwenImageEditPlusPipeline)


def edit_plus_still() -> Any:
    """As of November 2025: pictures are seen at timestep 0."""
    pipeline = edit_plus()
    pipeline.transformer = qwen_net(zero_cond_t=True)
    return pipeline


def edited(
    model: Model,
    looked_at: list[Image.Image],
    seen: list[Image.Image],
    negative: str,
    **options: Any,
) -> Made:
    """An image made of images, as the nodes do it.

    Args:
        looked_at: By the encoder.
        seen: By the transformer.
    """
    encoder, vae = model.part("text_encoder"), model.part("vae")
    images = [as_tensor(item) for item in looked_at]
    positive = encode_edit(encoder, PROMPT, images)
    for item in seen:
        positive = with_references(positive, encode_image(vae, as_tensor(item)))
    away = encode_edit(encoder, negative, images)
    called = {"cfg": 4.0, **options}
    return model.make(96, 64, change=lambda _: positive, away=away, **called)


def unpack(tokens: Tensor) -> Tensor:
    return unpack_latents(tokens, 8, 12)


def stock_edit(pipeline: Any, image: Any, **options: Any) -> Made:
    called = {"width": 96, "height": 64, "true_cfg_scale": 4.0, "negative": NEGATIVE}
    return stock(pipeline, image=image, **{**called, **options})


@pytest.fixture
def small_area(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides' own rules bring images to few pixels; to a megapixel else, which takes long."""
    for kind in (d.QwenImageEditPipeline, d.QwenImageEditPlusPipeline):
        home = sys.modules[kind.__module__]
        wanted = partial(home.calculate_dimensions, AREA)
        monkeypatch.setattr(home, "calculate_dimensions", lambda _, ratio, of=wanted: of(ratio))
    seen = partial(qwen_image_edit.seen_size, area=AREA)
    monkeypatch.setattr(qwen_image_edit, "seen_size", lambda width, height, _: seen(width, height))


@pytest.mark.usefixtures("small_area")
@pytest.mark.parametrize(
    ("size", "brought", "cfg"),
    [
        ((100, 80), (96, 64), 4.0),
        pytest.param((80, 150), (64, 96), 4.0, marks=pytest.mark.slow),
        pytest.param((100, 80), (96, 64), 7.3, marks=pytest.mark.slow),
        pytest.param((100, 80), (96, 64), 0.0, marks=pytest.mark.slow),
    ],
)
def test_an_edited_picture_is_diffusers(
    model_of: ModelOf, size: tuple[int, int], brought: tuple[int, int], cfg: float
) -> None:
    pipeline, model = model_of(edit)
    drawn = picture(*size)
    seen = drawn.resize(brought, resample=Image.Resampling.LANCZOS)
    found = edited(model, [drawn], [seen], NEGATIVE, cfg=cfg)
    assert_same(found, stock_edit(pipeline, drawn, true_cfg_scale=cfg), unpack, pixels=True)


@pytest.mark.parametrize(
    ("sizes", "batch", "build"),
    [
        pytest.param([(100, 80)], 1, edit_plus, id="one", marks=pytest.mark.slow),
        pytest.param([(128, 64), (64, 64)], 1, edit_plus, id="two"),
        pytest.param([(128, 64), (64, 64)], 2, edit_plus, id="batch", marks=pytest.mark.slow),
        pytest.param(
            [(128, 64), (64, 64), (50, 110)], 1, edit_plus, id="three", marks=pytest.mark.slow
        ),
        pytest.param([(128, 64), (64, 64)], 1, edit_plus_still, id="still"),
    ],
)
def test_a_picture_of_several_is_diffusers(
    model_of: ModelOf,
    monkeypatch: pytest.MonkeyPatch,
    sizes: list[tuple[int, int]],
    batch: int,
    build: Callable[[], Any],
) -> None:
    pipeline, model = model_of(build)
    home = sys.modules[type(pipeline).__module__]
    monkeypatch.setattr(home, "VAE_IMAGE_SIZE", SMALL)
    drawn = [picture(*size) for size in sizes]
    brought = [
        item.resize(
            home.calculate_dimensions(SMALL, item.width / item.height),
            resample=Image.Resampling.LANCZOS,
        )
        for item in drawn
    ]
    found = edited(model, drawn, brought, NEGATIVE, batch=batch)
    assert_same(found, stock_edit(pipeline, drawn, batch=batch), unpack)


@pytest.mark.slow
@pytest.mark.usefixtures("small_area")
@pytest.mark.parametrize("build", [edit, edit_plus])
def test_bfloat16_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    parts = d.QwenImagePipeline.from_pretrained(model.folder, dtype=torch.bfloat16).components
    loaded = type(pipeline)(**parts, processor=pipeline.processor)
    loaded.set_progress_bar_config(disable=True)
    found = edited(Model(model.folder, "bfloat16"), [picture(64, 64)], [picture(64, 64)], NEGATIVE)
    expected = stock_edit(loaded, picture(64, 64))
    assert torch.equal(found.latents, unpack(expected.latents).float())


def test_many_pictures_keep_their_order() -> None:
    twelve = [torch.full((1, 16, 2, 2), float(place)) for place in range(12)]
    assert reference_latents(reference_tensors(twelve, "positive")) == twelve


def test_pictures_are_seen_in_the_sizes_that_diffusers_brings_them_to() -> None:
    for kind, area in ((d.QwenImageEditPipeline, 1024**2), (d.QwenImageEditPlusPipeline, 384**2)):
        wanted = sys.modules[kind.__module__].calculate_dimensions
        for width, height in ((512, 512), (1920, 1080), (333, 1000), (50, 40)):
            found = qwen_image_edit.seen_size(width, height, area)
            assert found == wanted(area, width / height)[:2]


def test_a_prompt_that_says_nothing_of_pictures_is_encoded_too(model_of: ModelOf) -> None:
    _, model = model_of(edit_plus)
    (entry,) = encode_prompt(model.part("text_encoder"), PROMPT).entries
    made = model.make(64, 64, cfg=1.0)
    assert entry.embeddings.shape[-1] == 32
    assert torch.isfinite(made.pixels).all()


def test_one_that_can_look_at_one_picture_is_not_shown_two(model_of: ModelOf) -> None:
    _, model = model_of(edit)
    two = torch.zeros(2, 64, 64, 3)
    with raises(InvalidValue, port="images", given="2 images"):
        encode_edit(model.part("text_encoder"), PROMPT, [two])
    with raises(InvalidValue, port="images", given="300 x 2 pixels"):
        encode_edit(model.part("text_encoder"), PROMPT, [torch.zeros(1, 2, 300, 3)])
    with raises(InvalidValue, port="text", given="<|image_pad|>"):
        encode_edit(model.part("text_encoder"), "a <|image_pad|>", [])


def test_encoders_that_see_no_pictures_say_so(model_of: ModelOf) -> None:
    _, model = model_of(edit)
    blind = replace(model.part("text_encoder"), family="qwen-image")
    with raises(InvalidValue, port="encoder"):
        encode_edit(blind, PROMPT, [])


def test_references_with_odd_sides_are_filled_up_with_their_beginning() -> None:
    odd = torch.arange(15.0).reshape(1, 1, 3, 5)
    [found] = reference_latents(reference_tensors([odd], "positive"))
    assert torch.equal(found[..., :3, :5], odd)
    assert torch.equal(found[..., 3, :5], odd[..., 0, :])
    assert torch.equal(found[..., 5], found[..., 0])


def test_references_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    prompt = Conditioning((), "qwen-image-edit")
    with raises(InvalidValue, port="latent"):
        with_references(prompt, Latent(None, 64, 64))
    with raises(InvalidValue, port="latent", given="flux"):
        with_references(prompt, Latent(torch.zeros(1, 16, 8, 8), 64, 64, format="flux"))
    _, model = model_of(edit)
    flat = Latent(torch.zeros(1, 16, 1, 8, 8), 64, 64, format="qwen-image")
    with raises(InvalidValue, port="positive", given="a latent of shape (1, 16, 1, 8, 8)"):
        model.make(64, 64, cfg=1.0, change=lambda given: with_references(given, flat))
