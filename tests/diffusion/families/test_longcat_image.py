"""LongCat-Image and its editing model give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.longcat_image.pipeline_longcat_image import split_quotation
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families import longcat_image as longcat_family
from nodegraph.families.identification import identify_tensors
from nodegraph.families.patches import unpack_latents
from nodegraph.models.conditioning import encode_edit, with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, picture, stock
from .image_to_image import MostLikely, as_tensor
from .language import qwen_vl_text
from .parts import dynamic_flow, flux_vae
from .test_qwen_image_edit import PictureProcessor
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
AREA = 96 * 64
PLAIN: dict[str, Any] = {"enable_prompt_rewrite": False}


def transformer(head: int = 32) -> Any:
    return d.LongCatImageTransformer2DModel(
        in_channels=64,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=head,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(head // 8, 7 * head // 16, 7 * head // 16),
    )


def longcat_image(kind: Any = d.LongCatImagePipeline) -> Any:
    words = qwen_words()
    processor = PictureProcessor(tf.Qwen2VLImageProcessorPil(), words)
    encoder = qwen_vl_text(words)
    return kind(dynamic_flow(), flux_vae(), encoder, words, processor, transformer())


def longcat_image_edit() -> Any:
    return longcat_image(d.LongCatImageEditPipeline)


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: unpack_latents(tokens, height // 8, width // 8)


def test_longcat_image_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(longcat_image), unpack=unpack, **PLAIN)


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(longcat_image)
    loaded = in_bfloat16(pipeline, model.folder)
    found = Model(model.folder, "bfloat16").make(64, 64, cfg=4.5, negative=NEGATIVE)
    called = {"width": 64, "height": 64, "guidance_scale": 4.5, "negative": NEGATIVE, **PLAIN}
    assert torch.equal(found.latents, unpack(64, 64)(stock(loaded, **called).latents).float())


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


@pytest.mark.parametrize(
    "prompt",
    [
        "a sign 'cat' and \"dog\"",
        "it's “red” and ‘big’, isn",
        "don't write 'dog'",
        "'don't cat",
        "",
    ],
)
def test_quotations_are_read_letter_by_letter(model_of: ModelOf, prompt: str) -> None:
    pipeline, model = model_of(longcat_image)
    with torch.no_grad():
        expected = pipeline.encode_prompt(prompt)[0]
    (entry,) = encode_prompt(model.part("text_encoder"), prompt).entries
    assert torch.equal(entry.embeddings, expected)


def test_quotations_are_split_as_diffusers_splits_them() -> None:
    text = "say 'ab', \"cd\" or “e” but don't ‘f"
    expected = [
        piece
        for part, is_quoted in split_quotation(text)
        for piece in (part if is_quoted else [part])
    ]
    assert [*longcat_family.split_quotations(text)] == expected
    # The pipeline gives "don'tdon't" or "isn'tisn't" for one of the two.
    assert [*longcat_family.split_quotations("don't, isn't")] == ["don't, isn't"]


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    pipeline, model = model_of(longcat_image)
    warnings: list[str] = []
    encoder, long = model.part("text_encoder"), "cat " * 600
    (entry,) = encode_prompt(encoder, long, warn=warnings.append).entries
    with torch.no_grad():
        assert torch.equal(entry.embeddings, pipeline.encode_prompt(long)[0])
    assert entry.embeddings.shape == (1, 512, 32)
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def edited(model: Model, drawn: Image.Image, brought: Image.Image, **options: Any) -> Made:
    """An image made of one, as the nodes do it.

    Args:
        drawn: What the text encoder looks at.
        brought: What the VAE encodes.
    """
    encoder, vae = model.part("text_encoder"), model.part("vae")
    sides = [encode_edit(encoder, text, [as_tensor(drawn)]) for text in (PROMPT, NEGATIVE)]
    latent = encode_image(vae, as_tensor(brought))
    positive, negative = (with_references(side, latent) for side in sides)
    size = brought.size
    return model.make(*size, change=lambda _: positive, away=negative, cfg=4.0, **options)


@pytest.fixture
def small_area(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides' own rules bring images to few pixels; to a megapixel else, which takes long."""
    home = sys.modules[d.LongCatImageEditPipeline.__module__]
    wanted = home.calculate_dimensions
    monkeypatch.setattr(home, "calculate_dimensions", lambda _, ratio: wanted(AREA, ratio))
    monkeypatch.setattr(longcat_family, "_AREA", AREA)


@pytest.mark.usefixtures("small_area")
@pytest.mark.parametrize(
    ("size", "batch"),
    [((100, 80), 1), ((96, 64), 2), pytest.param((80, 150), 1, marks=pytest.mark.slow)],
)
def test_an_edited_picture_is_diffusers(
    model_of: ModelOf, size: tuple[int, int], batch: int
) -> None:
    pipeline, model = model_of(longcat_image_edit)
    drawn = picture(*size)
    side = longcat_family.edited_size(*size)
    brought = drawn.resize(side, resample=Image.Resampling.LANCZOS)
    found = edited(model, drawn, brought, batch=batch)
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae = MostLikely(pipeline.vae)
    called = {"guidance_scale": 4.0, "negative": NEGATIVE}
    expected = stock(other, image=drawn, batch=batch, **called)
    assert_same(found, expected, unpack(*side), pixels=batch == 1)


@pytest.mark.slow
@pytest.mark.usefixtures("small_area")
def test_an_edit_in_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(longcat_image_edit)
    loaded = in_bfloat16(pipeline, model.folder)
    loaded.vae = MostLikely(loaded.vae)
    drawn = picture(96, 64)
    found = edited(Model(model.folder, "bfloat16"), drawn, drawn)
    expected = stock(loaded, image=drawn, guidance_scale=4.0, negative=NEGATIVE)
    assert torch.equal(found.latents, unpack(96, 64)(expected.latents).float())


def test_pictures_are_seen_in_the_sizes_that_diffusers_brings_them_to() -> None:
    wanted = partial(
        sys.modules[d.LongCatImageEditPipeline.__module__].calculate_dimensions, 1024**2
    )
    for width, height in ((512, 512), (1920, 1080), (333, 1000), (50, 40)):
        assert longcat_family.edited_size(width, height) == wanted(width / height)
    assert math.prod(longcat_family.edited_size(512, 512)) == 1024**2


def test_edits_look_at_one_picture(model_of: ModelOf) -> None:
    _, model = model_of(longcat_image_edit)
    encoder = model.part("text_encoder")
    with raises(InvalidValue, port="images", given="2 images"):
        encode_edit(encoder, PROMPT, [torch.zeros(2, 64, 64, 3)])
    with raises(InvalidValue, port="text", given="<|image_pad|>"):
        encode_edit(encoder, "a <|image_pad|>", [torch.zeros(1, 64, 64, 3)])


def test_a_picture_that_is_too_narrow_is_refused(model_of: ModelOf) -> None:
    """The image processor of transformers failed without a name of the input."""
    _, model = model_of(longcat_image_edit)
    with raises(InvalidValue, port="images"):
        encode_edit(model.part("text_encoder"), PROMPT, [torch.zeros(1, 8, 16000, 3)])


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(longcat_image)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors under the names of Flux.1's own code, as ComfyUI's file has them."""
    written: dict[str, Tensor] = {}
    for here, theirs in longcat_family._LAYERS:
        if theirs == "single_blocks.*.qkv":  # of adapters alone
            continue
        start, _, inner = here.partition("{")
        parts = inner.rstrip("}").split(",") if inner else [""]
        for ending in ("weight", "bias"):
            first = f"{start}{parts[0]}.{ending}"
            for block in range(2) if "*" in here else [0]:
                if first.replace("*", str(block)) not in tensors:
                    continue
                joined = torch.cat(
                    [tensors[f"{start}{part}.{ending}".replace("*", str(block))] for part in parts]
                )
                if here == "norm_out.linear":
                    joined = torch.cat([*reversed(joined.chunk(2))])
                is_norm = theirs.endswith("_norm")
                name = f"{theirs}.{'scale' if is_norm else ending}".replace("*", str(block))
                written[name] = joined
    return written


@pytest.mark.parametrize("writes", [dict, original])
def test_a_file_of_its_transformer_is_the_folders(
    model_of: ModelOf,
    tmp_path: Path,
    writes: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    _, model = model_of(longcat_image)
    own = model.part("model").module.state_dict()
    tensors = writes(own)
    file = tmp_path / "longcat.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of LongCat-Image"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    found = loaded.module.state_dict()
    assert found.keys() == own.keys()
    assert all(torch.equal(item, own[name]) for name, item in found.items())
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    assert torch.equal(other.make(64, 64, cfg=1.0).latents, model.make(64, 64, cfg=1.0).latents)
