"""Bria FIBO 2 gives what diffusers' pipeline gives, to the last bit.

The pipeline draws noise in cells, nodegraph in patches of 2 x 2 of them, so it is handed
nodegraph's. Negative captions are compared where they have an empty description, as published ones
do: the pipeline cleans captions of the positive side alone, nodegraph all that have a description.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families import fibo2 as fibo2_family
from nodegraph.families.fibo2_captions import NULL_CAPTION
from nodegraph.families.flux2 import patchify, unpatchify
from nodegraph.families.identification import identify_tensors
from nodegraph.models.conditioning import encode_edit, with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_vl_text
from .late_start import late_start
from .parts import dynamic_flow
from .test_flux2 import normed_vae
from .test_qwen_image_21 import PictureProcessor
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
SIDE = 64
"""Of an image of the area that the tests edit at."""
LONG = "a red cat on a mat, " * 30
CAPTION = json.dumps(
    {
        "short_description": "a sign",
        "objects": [{"description": "a cat", "texture": ""}, {}],
        "lighting": {"preference_score": 3},
        "aesthetics": {"mood": None, "aesthetic_score": 0.5, "style": "calm"},
        "aesthetic_score": 1,
        "noise": float("nan"),
        "text_render": [{"text": "OPEN", "color": "red"}, {"text": ""}],
    },
    indent=1,
)
PLAIN_CAPTION = json.dumps({"short_description": "a cat", "text_render": []})
NEGATIVE_CAPTION = '{"short_description": "", "objects": [{"texture": "waxy", "x": ""}]}'


def transformer() -> Any:
    return d.BriaFibo2Transformer2DModel(
        in_channels=32,
        dim=64,
        n_layers=6,
        n_refiner_layers=1,
        n_heads=2,
        cap_feat_dim=3 * 32,
        injection_layer_ids=(0, 1, 3, 4, 5),
        perceiver_num_layers=1,
        min_num_gist_tokens=8,
        max_num_gist_tokens=16,
        gist_step=2,
        axes_dims=(8, 12, 12),
    )


def fibo2() -> Any:
    words = qwen_words()
    pictures = tf.Qwen2VLImageProcessorPil(
        patch_size=16,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        size=fibo2_family._SHOWN_PIXELS,
    )
    return d.BriaFibo2Pipeline(
        transformer(),
        dynamic_flow(),
        normed_vae(),
        qwen3_vl_text(words, layers=36),
        PictureProcessor(pictures, words),
    )


def noise(width: int, height: int, batch: int = 1) -> Tensor:
    """The noise of nodegraph's samplings, in cells."""
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    shape = (1, 128, height // 16, width // 16)
    return unpatchify(torch.cat([torch.randn(shape, generator=each) for each in generators]))


def by_stock(
    pipeline: Any,
    width: int,
    height: int,
    cfg: float,
    *,
    batch: int = 1,
    latents: Tensor | None = None,
    **options: Any,
) -> Made:
    made = stock(
        pipeline,
        batch=batch,
        width=width,
        height=height,
        guidance_scale=cfg,
        latents=noise(width, height, batch) if latents is None else latents,
        **options,
    )
    return Made(patchify(made.latents), made.decode)


Case = tuple[int, int, float, str, str | None, int]


@pytest.mark.parametrize(
    ("width", "height", "cfg", "prompt", "negative", "batch"),
    [
        (64, 64, 7.3, PROMPT, None, 1),
        (64, 80, 5.0, CAPTION, NEGATIVE_CAPTION, 1),
        pytest.param(80, 112, 3.0, LONG, NEGATIVE, 3, marks=pytest.mark.slow),
        pytest.param(64, 96, 1.0, PLAIN_CAPTION, None, 1, marks=pytest.mark.slow),
        pytest.param(64, 64, 0.0, "", None, 1, marks=pytest.mark.slow),
        pytest.param(64, 64, 4.0, "[1, 2]", "", 1, marks=pytest.mark.slow),
        pytest.param(64, 64, 4.0, CAPTION, LONG, 3, marks=pytest.mark.slow),
    ],
)
def test_fibo2_is_diffusers(
    model_of: ModelOf,
    width: int,
    height: int,
    cfg: float,
    prompt: str,
    negative: str | None,
    batch: int,
) -> None:
    """A guidance of 0 is the negative prompt alone here, and the positive one there."""
    pipeline, model = model_of(fibo2)
    both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch, "steps": 3}
    found = model.make(width, height, cfg=cfg or 1.0, **both)
    expected = by_stock(pipeline, width, height, cfg, **both)
    assert_same(found, expected, pixels=cfg == 7.3)


@pytest.mark.parametrize(
    ("denoise", "walked"),
    [
        (0.5, 4),
        pytest.param(0.13, 1, marks=pytest.mark.slow),
        pytest.param(0.99, 7, marks=pytest.mark.slow),
    ],
)
def test_pictures_of_pictures_are_diffusers(model_of: ModelOf, denoise: float, walked: int) -> None:
    """diffusers has no such pipeline: its own one walks the last levels."""
    pipeline, model = model_of(fibo2)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    assert latent.samples is not None
    both: dict[str, Any] = {"prompt": CAPTION, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, **both)
    with late_start(pipeline, walked) as noised:
        by_stock(pipeline, 96, 64, 4.0, **both)
        start = unpatchify(noised(latent.samples))
        expected = by_stock(pipeline, 96, 64, 4.0, latents=start, **both)
    assert_same(found, expected)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(fibo2)
    loaded = in_bfloat16(pipeline, model.folder)
    found = Model(model.folder, "bfloat16").make(64, 64, cfg=4.5, prompt=CAPTION)
    assert_same(found, by_stock(loaded, 64, 64, 4.5, prompt=CAPTION))


def in_bfloat16(pipeline: Any, folder: Path) -> Any:
    """The stock pipeline with the networks of a folder."""
    networks = {
        role: type(part).from_pretrained(folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    return loaded


@contextmanager
def small_area(pipeline: Any) -> Iterator[None]:
    """Both sides' rules bring images to few pixels; to a megapixel else, which takes long."""
    usual = pipeline.default_sample_size, fibo2_family._AREA
    pipeline.default_sample_size = SIDE // 8
    fibo2_family._AREA = SIDE * SIDE
    try:
        yield
    finally:
        pipeline.default_sample_size, fibo2_family._AREA = usual


EDIT_CAPTION = json.dumps({**json.loads(CAPTION), "edit_instruction": "make it blue"})
NESTED = json.dumps({"structured_caption": "a blue cat", "edit_instruction": "make it blue"})


@pytest.mark.parametrize(
    ("sizes", "prompt", "negative", "batch"),
    [
        (((100, 80),), PROMPT, None, 1),
        pytest.param(((64, 64),), EDIT_CAPTION, NEGATIVE, 1, marks=pytest.mark.slow),
        pytest.param(((96, 64), (50, 90)), EDIT_CAPTION, None, 2, marks=pytest.mark.slow),
        pytest.param(((80, 150), (64, 64)), NESTED, NEGATIVE, 1, marks=pytest.mark.slow),
    ],
)
def test_edited_pictures_are_diffusers(
    model_of: ModelOf,
    sizes: tuple[tuple[int, int], ...],
    prompt: str,
    negative: str | None,
    batch: int,
) -> None:
    pipeline, model = model_of(fibo2)
    drawn = [picture(*size) for size in sizes]
    with small_area(pipeline):
        found, (width, height) = edited(model, drawn, prompt, negative, batch=batch)
        both: dict[str, Any] = {"prompt": prompt, "negative": negative}
        expected = by_stock(pipeline, width, height, 4.0, image=drawn, batch=batch, **both)
    assert_same(found, expected)


def edited(
    model: Model, drawn: list[Image.Image], prompt: str, negative: str | None, **options: Any
) -> tuple[Made, tuple[int, int]]:
    """An image made of images, as the nodes do it, and its size: the trained one of the first."""
    encoder, vae = model.part("text_encoder"), model.part("vae")
    side = encode_edit(encoder, prompt, [as_tensor(item) for item in drawn])
    for item in drawn:
        cropped = fibo2_family.crop_to_trained(item)
        side = with_references(side, encode_image(vae, as_tensor(cropped)))
    size = fibo2_family.trained_size(*drawn[0].size)
    made = model.make(*size, change=lambda _: side, negative=negative, cfg=4.0, **options)
    return made, size


@pytest.mark.slow
def test_an_edit_in_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(fibo2)
    loaded = in_bfloat16(pipeline, model.folder)
    drawn = [picture(96, 64)]
    with small_area(loaded):
        found, size = edited(Model(model.folder, "bfloat16"), drawn, PROMPT, None)
        expected = by_stock(loaded, *size, 4.0, image=drawn)
    assert_same(found, expected)


def test_pictures_have_the_sizes_of_the_training(model_of: ModelOf) -> None:
    processor = model_of(fibo2)[0].image_processor
    for width, height in ((512, 512), (1920, 1080), (333, 1000), (50, 40)):
        found = fibo2_family.trained_size(width, height)
        assert found == processor.get_image_size(width / height)


def test_texts_of_a_caption_are_shown_below_a_noise_level(model_of: ModelOf) -> None:
    _, model = model_of(fibo2)
    (entry,) = encode_prompt(model.part("text_encoder"), CAPTION).entries
    with_texts, without = entry.embeddings, entry.tensors["embeddings_without_drawn_texts"]
    assert with_texts.shape[1] > without.shape[1]
    (plain,) = encode_prompt(model.part("text_encoder"), PLAIN_CAPTION).entries
    assert [*plain.tensors] == ["embeddings"]


def test_the_missing_negative_prompt_is_the_null_caption(model_of: ModelOf) -> None:
    _, model = model_of(fibo2)
    made = model.make(64, 64, cfg=4.0)
    assert torch.equal(model.make(64, 64, cfg=4.0, negative=NULL_CAPTION).latents, made.latents)
    assert not torch.equal(model.make(64, 64, cfg=4.0, negative="").latents, made.latents)


@pytest.mark.parametrize(
    ("prompt", "given"),
    [
        ('{"short_description": "a cat"}', "the keys short_description"),
        ('{"structured_caption": {}, "edit_instruction": "a", "x": 1}', "structured_caption"),
        ('{"structured_caption": 3, "edit_instruction": "a"}', "structured_caption"),
        ("a <|image_pad|>", "<|image_pad|>"),
    ],
)
def test_prompts_of_edits_say_what_to_change(model_of: ModelOf, prompt: str, given: str) -> None:
    encoder = model_of(fibo2)[1].part("text_encoder")
    with pytest.raises(InvalidValue, match="input `text`") as caught:
        encode_edit(encoder, prompt, [torch.zeros(1, 64, 64, 3)])
    assert given in str(caught.value)


def test_edits_take_up_to_five_pictures(model_of: ModelOf) -> None:
    encoder = model_of(fibo2)[1].part("text_encoder")
    with raises(InvalidValue, port="images", given="6 images"):
        encode_edit(encoder, PROMPT, [torch.zeros(6, 64, 64, 3)])


def test_long_prompts_are_cut_and_reported(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, model = model_of(fibo2)
    monkeypatch.setattr(fibo2_family, "_TOKENS", 40)
    monkeypatch.setattr(pipeline, "tokenizer_max_length", 40)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, LONG, warn=warnings.append).entries
    with torch.no_grad():
        expected = pipeline.encode_prompt(LONG)[0]
    assert torch.equal(entry.embeddings, expected.transpose(1, 2).flatten(2))
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(fibo2)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors as Bria's own code names them."""
    renames = {
        **{f"cross_attention.{name}.": f"cross_{name}." for name in ("norm_q", "norm_k")},
        **{f"self_attention.{name}.": f"self_{name}." for name in ("norm_q", "norm_k")},
        **{
            f"{kind}_attention.to_{x}.": f"{kind}_{x}." for kind in ("cross", "self") for x in "qkv"
        },
        "cross_attention.to_out.0.": "cross_out.",
        "self_attention.to_out.0.": "self_out.",
    }
    written = {}
    for name, item in tensors.items():
        for here, there in renames.items():
            name = name.replace(here, there)
        if name.startswith(("x_embedder.", "final_layer.")):
            part, _, end = name.partition(".")
            name = f"all_{part}.2-1.{end}"
        written[name] = item
    return written


def joined(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors with the self-attention of Z-Image's files."""
    written = {}
    for name, item in tensors.items():
        if ".attention.to_q." in name:
            parts = [tensors[name.replace("to_q", part)] for part in ("to_q", "to_k", "to_v")]
            written[name.replace("to_q", "qkv")] = torch.cat(parts)
        elif ".attention.to_k." not in name and ".attention.to_v." not in name:
            if ".attention." in name:
                name = name.replace("to_out.0", "out").replace("norm_q", "q_norm")
                name = name.replace("norm_k", "k_norm")
            written[name] = item
    return written


@pytest.mark.parametrize("writes", [dict, original, joined])
def test_a_file_of_its_transformer_is_the_folders(
    model_of: ModelOf,
    tmp_path: Path,
    writes: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    _, model = model_of(fibo2)
    own = model.part("model").module.state_dict()
    tensors = writes(own)
    file = tmp_path / "fibo2.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Bria FIBO 2"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    found = loaded.module.state_dict()
    assert found.keys() == own.keys()
    assert all(torch.equal(item, own[name]) for name, item in found.items())
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    assert torch.equal(other.make(64, 64, cfg=1.0).latents, model.make(64, 64, cfg=1.0).latents)


@pytest.mark.parametrize("writes", [dict, original])
def test_a_published_file_has_the_published_sizes(
    writes: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    with torch.device("meta"):
        published = d.BriaFibo2Transformer2DModel()
    tensors = writes(published.state_dict())
    config = fibo2_family._FILE.config({name: tuple(item.shape) for name, item in tensors.items()})
    for name, value in config.items():
        assert value == published.config[name], name
