"""Images that stand for the pooled prompt of Stable Diffusion XL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.models.conditioning import with_pooled_image
from nodegraph.models.ip_adapters.image_prompt_files import open_image_encoder
from nodegraph.models.ip_adapters.image_prompts import embed_images
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, assert_same, stock
from .test_stable_diffusion import sdxl

ModelOf = Callable[[Callable[[], Any]], Pair]


def test_pictures_lead_as_a_pooled_prompt_does_in_diffusers(
    model_of: ModelOf, tmp_path: Path
) -> None:
    pipeline, model = model_of(sdxl)
    width = pipeline.text_encoder_2.config.projection_dim
    torch.manual_seed(5)
    sized = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "image_size": 32}
    config = tf.CLIPVisionConfig(**sized, num_attention_heads=4, patch_size=8, projection_dim=width)
    stock_eyes = tf.CLIPVisionModelWithProjection(config).eval()
    stock_eyes.save_pretrained(tmp_path / "eyes")
    eyes = load_component(open_image_encoder("eyes", [tmp_path]), "cpu")
    images = torch.rand(2, 40, 40, 3, generator=torch.Generator().manual_seed(1))
    seen, _ = embed_images(eyes, images, reads_patches=False)

    prompts = pipeline.encode_prompt(prompt="a red cat", negative_prompt=NEGATIVE, device="cpu")
    pooled = 0.5 * seen[0].sum(0, keepdim=True)
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds")
    given = dict(zip((*names, "negative_pooled_prompt_embeds"), prompts, strict=True))
    given["pooled_prompt_embeds"] = pooled
    expected = stock(pipeline, prompt=None, **given, width=64, height=64, guidance_scale=4.0)  # type: ignore[arg-type]
    found = model.make(
        64, 64, cfg=4.0, negative=NEGATIVE, change=lambda it: with_pooled_image(it, seen[0], 0.5)
    )
    assert_same(found, expected)


def prompt(family: str = "sdxl") -> Conditioning:
    entry = ConditioningEntry({"embeddings": torch.ones(1, 3, 8), "pooled": torch.ones(1, 4)})
    return Conditioning((entry,), family)


def test_pictures_may_be_added_and_drowned_in_noise() -> None:
    seen = torch.tensor([[1.0, 2.0, 3.0, 4.0]])

    def pooled(**how: Any) -> torch.Tensor:
        return with_pooled_image(prompt(), seen, 2.0, **how).entries[0].tensors["pooled"]

    assert pooled().tolist() == [[2, 4, 6, 8]]
    assert pooled(adds=True).tolist() == [[3, 5, 7, 9]]
    little, much = (pooled(noise=share, seed=3) for share in (0.05, 1.0))
    assert torch.equal(little, pooled(noise=0.05, seed=3))
    assert (little - pooled()).norm() < (much - pooled()).norm()
    drawn = torch.randn(1, 4, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(much, 2 * drawn, atol=0.1, rtol=0.1)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with raises(InvalidValue, port="image_encoder", given="5 numbers"):
        with_pooled_image(prompt(), torch.ones(1, 5), 1.0)
    with raises(InvalidValue, port="conditioning", given="Flux.1"):
        with_pooled_image(prompt("flux"), torch.ones(1, 4), 1.0)
    (tmp_path / "none").mkdir()
    with raises(InvalidFile):
        open_image_encoder("none", [tmp_path])
