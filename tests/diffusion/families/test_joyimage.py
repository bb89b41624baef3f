"""JoyImage Edit and Edit Plus give what diffusers' pipelines give, to the last bit.

Edit draws a random latent of an image, and gets the most likely one here. The pipelines hand images
to the autoencoder pixel by pixel, and get them channel by channel here. In bfloat16, Edit rounds an
image's colors before it scales them, and both draw noise in bfloat16: there, images from prompts
and edits by Edit Plus are compared, from nodegraph's noise. Edit Plus makes one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.joyimage.image_processor import BUCKETS
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families import joyimage as joyimage_family
from nodegraph.families.identification import identify_tensors
from nodegraph.families.joyimage import _from_patches
from nodegraph.models.conditioning import encode_edit, with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_vl_text
from .late_start import late_start
from .parts import flow
from .test_qwen_image_21 import PictureProcessor
from .video_models import wan_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
SIZES = ((64, 64), (96, 64), (64, 96), (128, 64))
"""Widths and heights of images that both sides scale to here."""
LONG = "a red cat on a mat, " * 20


def transformer(kind: Any) -> Any:
    return kind(
        hidden_size=64,
        num_attention_heads=2,
        text_dim=32,
        mlp_width_ratio=2.0,
        num_layers=2,
        rope_dim_list=[4, 14, 14],
        theta=10000,
    )


def joyimage_edit(
    pipeline: Any = d.JoyImageEditPipeline, network: Any = d.JoyImageEditTransformer3DModel
) -> Any:
    words = qwen_words()
    pictures = tf.Qwen2VLImageProcessorPil(
        patch_size=16, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
    )
    return pipeline(
        flow(shift=1.5),
        wan_vae(),
        qwen3_vl_text(words),
        words,
        transformer(network),
        PictureProcessor(pictures, words),
    )


def joyimage_edit_plus() -> Any:
    return joyimage_edit(d.JoyImageEditPlusPipeline, d.JoyImageEditPlusTransformer3DModel)


class LikelyPlanes:
    """Stands for an autoencoder of a stock pipeline: gives the most likely latents of images that
    it gets channel by channel, one by one."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pixels: Tensor) -> SimpleNamespace:
        modes = [self._vae.encode(item).latent_dist.mode() for item in pixels.contiguous().split(1)]
        mode = torch.cat(modes)
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda: mode, mode=lambda: mode))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)


@contextmanager
def likely(pipeline: Any) -> Iterator[None]:
    usual = pipeline.vae
    pipeline.vae = LikelyPlanes(usual)
    try:
        yield
    finally:
        pipeline.vae = usual


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides' rules bring images to few pixels; to a megapixel else, which takes long."""
    monkeypatch.setitem(BUCKETS, 1024, [(height, width) for width, height in SIZES])
    monkeypatch.setattr(joyimage_family, "_BUCKETS", SIZES)


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda latents: latents.unsqueeze(2)


def noise(width: int, height: int, batch: int = 1) -> Tensor:
    """The noise of nodegraph's samplings; shape (batch, 16, 1, height / 8, width / 8)."""
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    shape = (1, 16, 1, height // 8, width // 8)
    return torch.cat([torch.randn(shape, generator=each) for each in generators])


@pytest.mark.parametrize(
    ("width", "height", "cfg", "prompt", "negative", "batch"),
    [
        (64, 64, 7.3, PROMPT, NEGATIVE, 1),
        pytest.param(96, 64, 4.0, LONG, "", 3, marks=pytest.mark.slow),
        pytest.param(64, 96, 1.0, "", None, 1, marks=pytest.mark.slow),
    ],
)
def test_pictures_from_prompts_are_diffusers(
    model_of: ModelOf,
    width: int,
    height: int,
    cfg: float,
    prompt: str,
    negative: str | None,
    batch: int,
) -> None:
    pipeline, model = model_of(joyimage_edit)
    both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch, "steps": 3}
    found = model.make(width, height, cfg=cfg, **both)
    expected = stock(pipeline, width=width, height=height, guidance_scale=cfg, **both)
    assert_same(found, expected, unpack(width, height))
    if batch == 1:
        assert torch.equal(found.pixels[:, 0], expected.pixels)


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
    pipeline, model = model_of(joyimage_edit)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    assert latent.samples is not None
    both: dict[str, Any] = {"negative": NEGATIVE, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, **both)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0}
    with late_start(pipeline, walked) as noised:
        stock(pipeline, **called, **both)
        start = noised(latent.samples)[:, None]
        expected = stock(pipeline, latents=start, **called, **both)
    assert_same(found, expected, unpack(96, 64))


def edited(
    model: Model,
    drawn: list[Image.Image],
    size: tuple[int, int],
    negative: str | None = NEGATIVE,
    **options: Any,
) -> Made:
    """An image made of images, as the nodes do it."""
    encoder, vae = model.part("text_encoder"), model.part("vae")
    images = [as_tensor(item) for item in drawn]
    positive = encode_edit(encoder, PROMPT, images)
    for item in drawn:
        cropped = joyimage_family.crop_to_trained(item)
        positive = with_references(positive, encode_image(vae, as_tensor(cropped)))
    away = None if negative is None else encode_edit(encoder, negative, images)
    return model.make(*size, change=lambda _: positive, away=away, **options)


@pytest.mark.parametrize(
    ("size", "batch"),
    [((100, 70), 1), pytest.param((150, 64), 2, marks=pytest.mark.slow)],
)
def test_edited_pictures_are_diffusers(
    model_of: ModelOf, size: tuple[int, int], batch: int
) -> None:
    pipeline, model = model_of(joyimage_edit)
    drawn = picture(*size)
    found = edited(model, [drawn], joyimage_family.trained_size(*size), cfg=4.0, batch=batch)
    with likely(pipeline):
        called = {"guidance_scale": 4.0, "negative": NEGATIVE}
        expected = stock(pipeline, image=drawn, batch=batch, **called)
    assert_same(found, expected, unpack(*size))


def by_plus(
    pipeline: Any,
    drawn: list[Image.Image],
    size: tuple[int, int],
    cfg: float,
    *,
    negative: str | None = NEGATIVE,
    latents: Tensor | None = None,
) -> Tensor:
    """Latents by Edit Plus."""
    width, height = size
    with likely(pipeline), torch.no_grad():
        answer = pipeline(
            images=drawn or None,
            prompt=PROMPT,
            negative_prompt=negative,
            width=width,
            height=height,
            guidance_scale=cfg,
            num_inference_steps=2,
            latents=latents,
            generator=torch.Generator().manual_seed(SEED),
            output_type="latent",
        )
    like = torch.empty(1, 16, 1, height // 8, width // 8)
    own = (height // 16) * (width // 16)
    return _from_patches(answer.images[:, :own], like)


@pytest.mark.parametrize(
    ("sizes", "size", "cfg"),
    [
        (((100, 70), (60, 90)), (64, 80), 4.0),
        pytest.param(((64, 64),), (64, 64), 7.3, marks=pytest.mark.slow),
        pytest.param(((150, 64), (64, 64), (50, 90)), (96, 64), 1.0, marks=pytest.mark.slow),
        pytest.param((), (96, 64), 4.0, marks=pytest.mark.slow),
    ],
)
def test_edits_of_several_pictures_are_diffusers(
    model_of: ModelOf, sizes: tuple[tuple[int, int], ...], size: tuple[int, int], cfg: float
) -> None:
    pipeline, model = model_of(joyimage_edit_plus)
    drawn = [picture(*each) for each in sizes]
    if drawn:
        found = edited(model, drawn, size, cfg=cfg).latents
    else:
        found = model.make(*size, cfg=cfg, negative=NEGATIVE).latents
    expected = by_plus(pipeline, drawn, size, cfg)
    assert expected.std() > 1e-4
    assert torch.equal(found, expected), (found - expected).abs().max()


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


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(joyimage_edit)
    loaded = in_bfloat16(pipeline, model.folder)
    found = Model(model.folder, "bfloat16").make(64, 64, cfg=4.5, negative=NEGATIVE)
    called = {"width": 64, "height": 64, "guidance_scale": 4.5, "negative": NEGATIVE}
    expected = stock(loaded, latents=noise(64, 64)[:, None], **called)
    assert torch.equal(found.latents, expected.latents.unsqueeze(2).float())


@pytest.mark.slow
def test_an_edit_in_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(joyimage_edit_plus)
    loaded = in_bfloat16(pipeline, model.folder)
    drawn = [picture(100, 70)]
    found = edited(Model(model.folder, "bfloat16"), drawn, (64, 64), cfg=4.0).latents
    expected = by_plus(loaded, drawn, (64, 64), 4.0, latents=noise(64, 64))
    assert torch.equal(found, expected.float())


def test_pictures_have_the_sizes_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [(height, width) for width, height in joyimage_family._BUCKETS] == BUCKETS[1024]
    assert joyimage_family.trained_size(1920, 1080) == (1344, 768)


def test_edit_takes_one_picture_of_the_size_of_the_result(model_of: ModelOf) -> None:
    _, model = model_of(joyimage_edit)
    with raises(InvalidValue, port="positive", given="2 reference images"):
        edited(model, [picture(64, 64)] * 2, (64, 64), None, cfg=1.0)
    with raises(
        InvalidValue,
        port="positive",
        given="a reference of 64 x 64 pixels, and a latent of 96 x 64",
    ):
        edited(model, [picture(64, 64)], (96, 64), None, cfg=1.0)
    with raises(InvalidValue, port="text", given="<|image_pad|>"):
        model.encode("a <|image_pad|>")


@pytest.mark.parametrize("images", [0, 1])
def test_long_prompts_are_cut_and_reported(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    _, model = model_of(joyimage_edit)
    monkeypatch.setattr(joyimage_family, "_TOKENS", 60)
    monkeypatch.setattr(joyimage_family, "_TOKENS_WITH_IMAGES", 60)
    warnings: list[str] = []
    encoder, shown = model.part("text_encoder"), [as_tensor(picture(64, 64))] * images
    (entry,) = encode_edit(encoder, LONG, shown, warn=warnings.append).entries
    assert entry.embeddings.shape == (1, 60, 32)
    assert len(warnings) == 1


@pytest.mark.slow
def test_long_prompts_are_cut_as_diffusers_cuts_them(model_of: ModelOf) -> None:
    pipeline, model = model_of(joyimage_edit)
    with torch.no_grad():
        expected = pipeline.encode_prompt(LONG * 6, max_sequence_length=4096)[0]
    (entry,) = encode_prompt(model.part("text_encoder"), LONG * 6).entries
    assert torch.equal(entry.embeddings, expected)
    assert entry.embeddings.shape[1] == 2048


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(joyimage_edit_plus)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors as JD's own code names them."""
    return {name.replace(".attn.", "."): item for name, item in tensors.items()}


@pytest.mark.parametrize("writes", [dict, original])
def test_a_file_of_its_transformer_is_the_folders(
    model_of: ModelOf,
    tmp_path: Path,
    writes: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    _, model = model_of(joyimage_edit_plus)
    own = model.part("model").module.state_dict()
    tensors = writes(own)
    file = tmp_path / "joyimage.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of JoyImage Edit"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    found = loaded.module.state_dict()
    assert found.keys() == own.keys()
    assert all(torch.equal(item, own[name]) for name, item in found.items())
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    assert torch.equal(other.make(64, 64, cfg=1.0).latents, model.make(64, 64, cfg=1.0).latents)


def test_a_published_file_has_the_published_sizes() -> None:
    sizes = {"hidden_size": 4096, "num_attention_heads": 32, "num_layers": 40, "theta": 10000}
    with torch.device("meta"):
        published = d.JoyImageEditPlusTransformer3DModel(**sizes, out_channels=16)
    shapes = {name: tuple(item.shape) for name, item in published.state_dict().items()}
    for name, value in joyimage_family._FILE.config(shapes).items():
        assert value == published.config[name], name
