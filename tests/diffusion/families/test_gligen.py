"""Phrases in boxes, by diffusers' GLIGEN pipeline and from GLIGEN files, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nodegraph.core.values import Area, Conditioning
from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.conditionings import combine, with_area
from nodegraph.models.derived_components import derive
from nodegraph.models.gligen import (
    GLIGENChoice,
    attach_gligen,
    encode_phrase,
    open_gligen,
    read_gligen,
    with_text_box,
)
from nodegraph.sampling.prompt_adapters import adapted_recipes
from nodegraph.weights.single_files.unet import unet_to_original
from tests.messages import raises

from .equality import NEGATIVE, Made, Model, assert_same, random_pipeline, stock
from .gligen_files import fill, is_gligen, original_names
from .parts import clip_text, ddim, unet, vae
from .test_stable_diffusion import clip_words

Box = tuple[str, tuple[float, float, float, float]]
BOXES: list[Box] = [
    ("a red cat", (0.0, 0.25, 0.5, 1.0)),
    ("dog", (0.5, 0.125, 1.0, 0.875)),
    ("a red dog", (0.25, 0.0, 0.625, 0.5)),
]
WIDTH, HEIGHT = 96, 64


@dataclass
class Tiny:
    """diffusers' pipeline, the model without its gated layers, and files of these.

    Attributes:
        file: In the names of the original code, the gated layers alone.
        folder: In the layout of diffusers, the whole pipeline.
    """

    pipeline: Any
    model: Model
    file: Path
    folder: Path


def gated(**more: Any) -> Any:
    return unet(32, 4, layers_per_block=2, attention_type="gated", **more)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("gligen")
    words = clip_words()
    parts = (vae(), clip_text(words), words)

    def build() -> Any:
        more = (ddim(), None, None)
        return d.StableDiffusionGLIGENPipeline(
            *parts, gated(), *more, requires_safety_checker=False
        )

    pipeline = random_pipeline(build)
    fill(pipeline.unet)
    plain = unet(32, 4, layers_per_block=2).eval().requires_grad_(False)
    own = pipeline.unet.state_dict()
    plain.load_state_dict({name: item for name, item in own.items() if not is_gligen(name)})
    base = d.StableDiffusionPipeline(
        *parts, plain, ddim(), None, None, requires_safety_checker=False
    )
    base.save_pretrained(folder / "base")
    pipeline.save_pretrained(folder / "whole")
    save_file(original_names(pipeline.unet), folder / "textbox_pruned.safetensors")
    return Tiny(
        pipeline, Model(folder / "base"), folder / "textbox_pruned.safetensors", folder / "whole"
    )


class OneByOne(nn.Module):
    """A text encoder that encodes phrases one by one, without padding, as nodes do."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder, self.dtype = encoder, encoder.dtype
        self.config, self.device = encoder.config, encoder.device

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> Any:
        if attention_mask is None:
            return self.encoder(input_ids, **more)
        pooled = [
            self.encoder(ids[None, : mask.sum()], attention_mask=mask[None, : mask.sum()])
            for ids, mask in zip(input_ids, attention_mask, strict=True)
        ]
        return SimpleNamespace(pooler_output=torch.cat([item.pooler_output for item in pooled]))


def stock_boxes(tiny: Tiny, boxes: list[Box], *, beta: float = 1.0, **options: Any) -> Made:
    pipeline = tiny.pipeline
    encoder = pipeline.text_encoder
    pipeline.text_encoder = OneByOne(encoder)
    try:
        return stock(
            pipeline,
            gligen_phrases=[phrase for phrase, _ in boxes],
            gligen_boxes=[list(corners) for _, corners in boxes],
            gligen_scheduled_sampling_beta=beta,
            width=WIDTH,
            height=HEIGHT,
            **options,
        )
    finally:
        pipeline.text_encoder = encoder


def boxed(tiny: Tiny, prompt: Conditioning, boxes: list[Box], choice: GLIGENChoice) -> Conditioning:
    for phrase, (left, top, right, bottom) in boxes:
        area = Area(
            left * WIDTH,
            top * HEIGHT,
            (right - left) * WIDTH,
            (bottom - top) * HEIGHT,
            "pixels",
        )
        embedding = encode_phrase(tiny.model.part("text_encoder"), phrase)
        prompt = with_text_box(prompt, choice, area, embedding)
    return prompt


def made(
    tiny: Tiny,
    change: Any,
    *,
    negative: str | None = None,
    away: Any = None,
    steps: int = 2,
    **options: Any,
) -> Made:
    model = tiny.model
    positive, against = model.encode("a red cat"), model.encode(negative)
    if away is not None:
        against = away(against)
    assert positive is not None
    recipe = open_model(str(model.folder), []).model
    spans = [(step / steps, (step + 1) / steps) for step in range(steps)]
    recipes = adapted_recipes(recipe, [change(positive), against], spans)
    own = model.part("model")
    adapted = {adapters: derive(own, each) for adapters, each in recipes.items()}
    model.loaded["model"] = replace(own, adapted=adapted)
    try:
        return model.make(
            WIDTH, HEIGHT, change=change, away=against, steps=steps, sampler="ddim", **options
        )
    finally:
        model.loaded["model"] = own


def choice_of(path: Path, end: float = 1.0) -> GLIGENChoice:
    return open_gligen(str(path), [], end=end)


@pytest.mark.slow
@pytest.mark.parametrize("cfg", [1.0, 7.3])
def test_boxes_are_diffusers(tiny: Tiny, cfg: float) -> None:
    choice = choice_of(tiny.file)
    options: Mapping[str, Any] = {"negative": NEGATIVE, "batch": 3}
    found = made(tiny, lambda prompt: boxed(tiny, prompt, BOXES, choice), cfg=cfg, **options)
    expected = stock_boxes(tiny, BOXES, guidance_scale=cfg, **options)
    assert_same(found, expected)
    without = made(tiny, lambda prompt: prompt, cfg=cfg, **options)
    assert (found.latents - without.latents).abs().max() > 0.01


def test_one_phrase_is_diffusers_own(tiny: Tiny) -> None:
    """Several are padded to one length there, which gives other last bits."""
    [(phrase, corners)] = BOXES[:1]
    choice = choice_of(tiny.file)
    found = made(tiny, lambda prompt: boxed(tiny, prompt, BOXES[:1], choice), cfg=7.3)
    expected = stock(
        tiny.pipeline,
        gligen_phrases=[phrase],
        gligen_boxes=[list(corners)],
        gligen_scheduled_sampling_beta=1.0,
        guidance_scale=7.3,
        width=WIDTH,
        height=HEIGHT,
    )
    assert_same(found, expected, pixels=True)


@pytest.mark.parametrize(("share", "steps"), [(0.3, 4), (0.5, 2)])
def test_boxes_end_as_scheduled(tiny: Tiny, share: float, steps: int) -> None:
    choice = choice_of(tiny.file, share)
    options: Mapping[str, Any] = {"steps": steps}
    found = made(tiny, lambda prompt: boxed(tiny, prompt, BOXES, choice), cfg=7.3, **options)
    expected = stock_boxes(tiny, BOXES, beta=share, guidance_scale=7.3, **options)
    assert_same(found, expected)


def test_negative_prompts_have_boxes_as_they_are_told(tiny: Tiny) -> None:
    """The same boxes on both sides: guidance is as if each prompt had its own."""
    choice, embedding = choice_of(tiny.file), encode_phrase(tiny.model.part("text_encoder"), "dog")
    area = Area(0.0, 0.0, 0.5, 0.5)

    def boxes(prompt: Conditioning, *, spreads: bool = False) -> Conditioning:
        return with_text_box(prompt, choice, area, embedding, guides_negative=spreads)

    def sampled(away: Any, *, spreads: bool) -> Tensor:
        change = partial(boxes, spreads=spreads)
        return made(tiny, change, negative=NEGATIVE, cfg=5.0, away=away).latents

    spread, empty = sampled(None, spreads=True), sampled(None, spreads=False)
    assert torch.equal(spread, sampled(boxes, spreads=False))
    assert not torch.allclose(spread, empty, atol=1e-3)


def test_a_file_in_original_names_holds_every_tensor(tiny: Tiny) -> None:
    layers = choice_of(tiny.file).layers.adapter
    network = attach_gligen(tiny.model.part("model").module, layers)
    expected = tiny.pipeline.unet.state_dict()
    assert network.state_dict().keys() == expected.keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    file = read_gligen(str(tiny.file), [])
    assert set(file.names) == load_file(tiny.file).keys()


def test_a_folder_and_whole_files_are_as_the_layers_alone(tiny: Tiny, tmp_path: Path) -> None:
    named = unet_to_original(
        {k: v for k, v in tiny.pipeline.unet.state_dict().items() if not is_gligen(k)},
        tiny.pipeline.unet.config,
    )
    whole = {**named, **original_names(tiny.pipeline.unet)}
    save_file(
        {f"model.diffusion_model.{name}": item.contiguous() for name, item in whole.items()},
        tmp_path / "whole.safetensors",
    )
    module = tiny.model.part("model").module
    expected = attach_gligen(module, choice_of(tiny.file).layers.adapter).state_dict()
    for path in (tiny.folder, tiny.folder / "unet", tmp_path / "whole.safetensors"):
        found = attach_gligen(module, choice_of(path).layers.adapter).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected), path


def test_areas_sample_the_whole_image_with_boxes(tiny: Tiny) -> None:
    choice = choice_of(tiny.file)

    def everywhere(prompt: Conditioning) -> Conditioning:
        return boxed(tiny, prompt, BOXES, choice)

    def halved(prompt: Conditioning) -> Conditioning:
        half = Area(0.0, 0.0, 0.5, 1.0, sampled="area")
        other = Area(0.5, 0.0, 0.5, 1.0, sampled="area")
        return combine([with_area(everywhere(prompt), half), with_area(prompt, other)])

    found, whole = made(tiny, halved, cfg=1.0, steps=1), made(tiny, everywhere, cfg=1.0, steps=1)
    middle = whole.latents.shape[-1] // 2
    torch.testing.assert_close(
        found.latents[..., : middle - 1], whole.latents[..., : middle - 1], rtol=1e-4, atol=1e-4
    )
    assert not torch.allclose(found.latents[..., middle:], whole.latents[..., middle:], atol=1e-3)


@pytest.mark.parametrize(
    "area", [Area(96, 0, 8, 8, "pixels"), Area(0, 64, 8, 8, "pixels"), Area(4, 4, 0, 8, "pixels")]
)
def test_boxes_outside_the_image_are_refused(tiny: Tiny, area: Area) -> None:
    embedding = encode_phrase(tiny.model.part("text_encoder"), "dog")

    def change(prompt: Conditioning) -> Conditioning:
        return with_text_box(prompt, choice_of(tiny.file), area, embedding)

    with raises(InvalidValue, port="positive"):
        made(tiny, change, cfg=1.0)


def test_boxes_that_do_not_go_together_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    prompt = tiny.model.encode("a red cat")
    assert prompt is not None
    once = boxed(tiny, prompt, BOXES, choice_of(tiny.file))
    with raises(InvalidValue, port="gligen"):
        boxed(tiny, once, BOXES[:1], choice_of(tiny.file, 0.5))
    with raises(InvalidValue, port="conditioning", given="31"):
        boxed(tiny, once, BOXES[:1] * 28, choice_of(tiny.file))
    with raises(InvalidValue, port="text", given="80 tokens"):
        encode_phrase(tiny.model.part("text_encoder"), "dog " * 80)
    wide = {
        name: torch.zeros(2 * item.shape[0], *item.shape[1:]) if item.ndim else item
        for name, item in load_file(tiny.file).items()
    }
    save_file(wide, tmp_path / "wide.safetensors")
    with raises(InvalidValue, port="gligen"):
        boxed(tiny, prompt, BOXES, choice_of(tmp_path / "wide.safetensors"))


def test_files_of_other_kinds_are_refused_by_name(tiny: Tiny, tmp_path: Path) -> None:
    tensors = load_file(tiny.file)

    def saved(name: str, changed: Mapping[str, Tensor]) -> str:
        save_file(dict(changed), tmp_path / name)
        return str(tmp_path / name)

    images = {
        name.replace("positive", "text").replace("linears", "linears_text"): item
        for name, item in tensors.items()
    }
    inpainting = {**tensors, "input_blocks.0.0.weight": torch.zeros(32, 9, 3, 3)}
    unknown = {name: item for name, item in tensors.items() if "null_positive" not in name}
    inversion = {"emb_params": torch.zeros(2, 768)}
    for changed in (images, inpainting, unknown, inversion, {"a": torch.zeros(1)}):
        with raises(InvalidFile):
            read_gligen(saved("other.safetensors", changed), [])
    with raises(InvalidFile):
        read_gligen(str(tiny.model.folder / "model_index.json"), [])


def test_layers_of_another_unet_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    fewer = {
        name: item for name, item in load_file(tiny.file).items() if "middle_block" not in name
    }
    save_file(fewer, tmp_path / "fewer.safetensors")
    choice = choice_of(tmp_path / "fewer.safetensors")
    with raises(InvalidFile, port="positive"):
        made(tiny, lambda prompt: boxed(tiny, prompt, BOXES, choice), cfg=1.0)
