"""Images are words to Flux.1 as by diffusers' pipelines, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
from safetensors.torch import save_file

from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidFile
from nodegraph.media.images.images import to_pil
from nodegraph.models.ip_adapters.image_prompt_files import open_redux
from nodegraph.models.ip_adapters.image_prompts import redux_tokens, with_tokens
from tests.messages import raises

from .conftest import Pair
from .equality import PROMPT, assert_same, stock
from .test_flux import flux, unpack

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT = 96, 64


def eyes(heads: int = 4) -> Any:
    config = tf.SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=heads,
        image_size=28,
        patch_size=14,
    )
    return tf.SiglipVisionModel(config)


def folder(pipeline: Any, path: Path) -> tuple[Any, Path]:
    """Redux of random weights for a pipeline, and its folder."""
    torch.manual_seed(4)
    processor = tf.SiglipImageProcessor(size={"height": 28, "width": 28})
    names = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    prior = d.FluxPriorReduxPipeline(
        image_encoder=eyes().eval().requires_grad_(False),
        feature_extractor=processor,
        image_embedder=ReduxImageEncoder(32, 32).eval().requires_grad_(False),
        **{name: pipeline.components[name] for name in names},
    )
    prior.image_encoder.save_pretrained(path / "image_encoder")
    prior.image_embedder.save_pretrained(path / "image_embedder")
    return prior, path


def test_a_picture_is_as_many_words_as_in_diffusers(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(flux)
    prior, path = folder(pipeline, tmp_path)
    image = torch.rand(1, 40, 56, 3, generator=torch.Generator().manual_seed(1))
    redux = load_component(open_redux(str(path), []), "cpu")
    words = redux_tokens(redux, image)
    found = model.make(WIDTH, HEIGHT, cfg=1.0, change=lambda given: with_tokens(given, words, 1.0))
    with torch.no_grad():
        told = prior(to_pil(image), prompt=PROMPT)
    expected = stock(
        pipeline,
        prompt=None,  # type: ignore[arg-type]
        prompt_embeds=told.prompt_embeds,
        pooled_prompt_embeds=told.pooled_prompt_embeds,
        width=WIDTH,
        height=HEIGHT,
        guidance_scale=3.5,
    )
    assert_same(found, expected, unpack(WIDTH, HEIGHT))


def test_single_files_are_those_of_the_folder(tmp_path: Path) -> None:
    """As published ones, whose heads are sixteen."""
    torch.manual_seed(5)
    sees, says = eyes(16).eval(), ReduxImageEncoder(32, 24).eval()
    named = {f"vision_model.{name}": item for name, item in sees.state_dict().items()}
    save_file(named, tmp_path / "eyes.safetensors")
    save_file(says.state_dict(), tmp_path / "redux.safetensors")
    with raises(InvalidFile):
        open_redux("redux", [tmp_path])
    with raises(InvalidFile):
        open_redux("redux", [tmp_path], encoder="redux")
    live = load_component(open_redux("redux", [tmp_path], encoder="eyes"), "cpu")
    pixels = torch.rand(1, 3, 28, 28)
    with torch.no_grad():
        given = says(sees(pixels).last_hidden_state).image_embeds
        seen = live.modules["image_encoder"](pixels).last_hidden_state
        assert torch.equal(live.modules["image_embedder"](seen).image_embeds, given)
