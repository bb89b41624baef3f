"""Z-Image Omni gives what diffusers' pipeline gives, to the last bit.

The pipeline rounds the colors of reference images to bfloat16 before the autoencoder gets them, so
that it works with an autoencoder in bfloat16 alone. In float32 that rounding is left out here. In
bfloat16 it also rounds their latents before it scales them, so it gets nodegraph's there. The
pipeline hands images to the autoencoder pixel by pixel, and it gets them channel by channel here.
Its images for SigLIP are scaled by torchvision, and by Pillow here. A missing negative prompt is
the empty one with the images there; here, it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.families.z_image_omni import limit_area, prompt_parts
from nodegraph.models.conditioning import encode_edit, with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.text_encoder_files import open_text_encoder
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_text
from .late_start import late_start
from .parts import flow, flux_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 20


def transformer() -> Any:
    return d.ZImageTransformer2DModel(
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        siglip_feat_dim=24,
        axes_dims=[4, 6, 6],
        axes_lens=[1024, 128, 128],
    )


def siglip() -> Any:
    config = tf.Siglip2VisionConfig(
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        patch_size=16,
        num_patches=16,
    )
    return tf.Siglip2VisionModel(config)


def z_image_omni() -> Any:
    words = qwen_words()
    return d.ZImageOmniPipeline(
        flow(shift=3.0),
        flux_vae(),
        qwen3_text(words),
        words,
        transformer(),
        siglip(),
        tf.Siglip2ImageProcessorPil(max_num_patches=20),
    )


@pytest.fixture(autouse=True)
def unrounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that the pipeline hands to its autoencoder, in float32, and in order in memory."""
    monkeypatch.setattr(Tensor, "bfloat16", Tensor.contiguous)


def edited(
    model: Model,
    drawn: list[Image.Image],
    size: tuple[int, int],
    *,
    prompt: str = PROMPT,
    negative: str | None = NEGATIVE,
    **options: Any,
) -> Made:
    """An image made of images, as the nodes do it."""
    encoder, vae = model.part("text_encoder"), model.part("vae")
    images = [as_tensor(item) for item in drawn]

    def shown(text: str) -> Conditioning:
        conditioning = encode_edit(encoder, text, images)
        for item in drawn:
            conditioning = with_references(conditioning, encode_image(vae, as_tensor(cut(item))))
        return conditioning

    positive = shown(prompt)
    away = None if negative is None else encode_edit(encoder, negative, images)
    return model.make(*size, change=lambda _: positive, away=away, **options)


def cut(drawn: Image.Image) -> Image.Image:
    """The middle of an image, its sides multiples of 16 pixels, as the pipeline crops it."""
    width, height = (side // 16 * 16 for side in drawn.size)
    left, top = (drawn.width - width) // 2, (drawn.height - height) // 2
    return drawn.crop((left, top, left + width, top + height))


@pytest.mark.parametrize(
    ("size", "scale", "prompt", "negative", "batch"),
    [
        ((64, 64), 7.3, PROMPT, NEGATIVE, 1),
        pytest.param((96, 64), 4.0, LONG, "", 3, marks=pytest.mark.slow),
        pytest.param((64, 96), 0.0, "", None, 1, marks=pytest.mark.slow),
        pytest.param((48, 80), 1.0, PROMPT, LONG, 1, marks=pytest.mark.slow),
    ],
)
def test_pictures_from_prompts_are_diffusers(
    model_of: ModelOf,
    size: tuple[int, int],
    scale: float,
    prompt: str,
    negative: str | None,
    batch: int,
) -> None:
    pipeline, model = model_of(z_image_omni)
    width, height = size
    both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch, "steps": 3}
    found = model.make(width, height, cfg=scale + 1, **both)
    expected = stock(pipeline, width=width, height=height, guidance_scale=scale, **both)
    assert_same(found, expected, pixels=batch == 1)


@pytest.mark.parametrize(
    ("sizes", "size", "scale", "prompt", "batch"),
    [
        (((100, 70),), (64, 80), 7.3, PROMPT, 1),
        (((64, 64), (70, 90)), (96, 64), 4.0, LONG, 1),
        pytest.param(((100, 70),), (96, 64), 0.0, "", 1, marks=pytest.mark.slow),
        pytest.param(
            ((150, 64), (64, 64), (70, 90)), (64, 64), 1.0, PROMPT, 3, marks=pytest.mark.slow
        ),
    ],
)
def test_edits_are_diffusers(
    model_of: ModelOf,
    sizes: tuple[tuple[int, int], ...],
    size: tuple[int, int],
    scale: float,
    prompt: str,
    batch: int,
) -> None:
    pipeline, model = model_of(z_image_omni)
    drawn = [picture(*each) for each in sizes]
    negative = NEGATIVE if scale else None
    both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch}
    found = edited(model, drawn, size, cfg=scale + 1, **both)
    called = {"width": size[0], "height": size[1], "guidance_scale": scale}
    assert_same(found, stock(pipeline, image=drawn, **called, **both))


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
    pipeline, model = model_of(z_image_omni)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    assert latent.samples is not None
    both: dict[str, Any] = {"negative": NEGATIVE, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=5.0, denoise=denoise, **both)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0}
    with late_start(pipeline, walked) as noised:
        stock(pipeline, **called, **both)
        start = noised(latent.samples)
        expected = stock(pipeline, latents=start, **called, **both)
    assert_same(found, expected)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, saved = model_of(z_image_omni)
    model = Model(saved.folder, "bfloat16")
    parts = d.ZImagePipeline.from_pretrained(saved.folder, dtype=torch.bfloat16).components
    eye = tf.Siglip2VisionModel.from_pretrained(saved.folder / "siglip", dtype=torch.bfloat16)
    loaded = d.ZImageOmniPipeline(**parts, siglip=eye, siglip_processor=pipeline.siglip_processor)
    loaded.set_progress_bar_config(disable=True)
    drawn = [picture(64, 80)]
    latent = encode_image(model.part("vae"), as_tensor(drawn[0])).samples
    assert latent is not None
    loaded.prepare_image_latents = lambda **_: [[latent[0].unsqueeze(1)]]
    found = edited(model, drawn, (64, 64), cfg=5.0)
    called = {"width": 64, "height": 64, "guidance_scale": 4.0}
    expected = stock(loaded, image=drawn, negative=NEGATIVE, **called)
    assert torch.equal(found.latents, expected.latents)


@pytest.mark.parametrize("size", [(1400, 900), (100, 70)])
def test_large_pictures_are_scaled_as_by_diffusers(size: tuple[int, int]) -> None:
    from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor

    drawn = picture(*size)
    expected = Flux2ImageProcessor._resize_if_exceeds_area(drawn)
    (image,) = as_tensor(drawn)
    assert limit_area(image).tobytes() == expected.tobytes()


def test_the_result_comes_after_the_last_part_but_one() -> None:
    assert len(prompt_parts(PROMPT, 0)) == 1
    for images in (1, 2, 5):
        parts = prompt_parts(PROMPT, images)
        assert len(parts) == images + 2
        assert [index for index, part in enumerate(parts) if PROMPT in part] == [images]


def test_prompts_of_z_image_are_taken(model_of: ModelOf) -> None:
    _, model = model_of(z_image_omni)
    own = model.make(64, 64, cfg=1.0)

    def without_parts(given: Conditioning) -> Conditioning:
        (entry,) = given.entries
        tensors = {"embeddings": entry.embeddings}
        return Conditioning((type(entry)(tensors),), "z-image")

    other = model.make(64, 64, cfg=1.0, change=without_parts)
    assert torch.equal(own.latents, other.latents)


def test_prompt_and_references_have_the_same_images(model_of: ModelOf) -> None:
    _, model = model_of(z_image_omni)
    encoder, (image,) = model.part("text_encoder"), [as_tensor(picture(64, 64))]
    latent = encode_image(model.part("vae"), image)
    alone = encode_edit(encoder, PROMPT, [image])
    with raises(InvalidValue, port="positive", given="1 in the prompt, 0 as latents"):
        model.make(64, 64, cfg=1.0, change=lambda _: alone)
    unseen = with_references(encode_prompt(encoder, PROMPT), latent)
    with raises(InvalidValue, port="positive", given="0 in the prompt, 1 as latents"):
        model.make(64, 64, cfg=1.0, change=lambda _: unseen)
    both = with_references(alone, latent)
    plain = encode_prompt(encoder, NEGATIVE)
    with raises(InvalidValue, port="negative", given="0 in the prompt, 1 as latents"):
        model.make(64, 64, cfg=4.0, change=lambda _: both, away=plain)


def test_too_large_references_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(z_image_omni)
    large = picture(1040, 16)
    with raises(InvalidValue, port="positive", given="1040 x 16 pixels"):
        edited(model, [large], (64, 64), negative=None, cfg=1.0)


def test_a_text_encoder_of_a_file_sees_no_pictures(model_of: ModelOf) -> None:
    _, model = model_of(z_image_omni)
    folder = str(model.folder / "text_encoder")
    encoder = load_component(open_text_encoder("z-image-omni", {"file": folder}, []), "cpu")
    assert torch.equal(
        encode_prompt(encoder, PROMPT).entries[0].embeddings,
        encode_prompt(model.part("text_encoder"), PROMPT).entries[0].embeddings,
    )
    with raises(InvalidValue, port="encoder"):
        encode_edit(encoder, PROMPT, [as_tensor(picture(64, 64))])


def test_a_text_encoder_of_a_folder_sees_pictures(model_of: ModelOf) -> None:
    _, model = model_of(z_image_omni)
    recipe = open_text_encoder("z-image-omni", {"file": str(model.folder)}, [])
    encoder, image = load_component(recipe, "cpu"), as_tensor(picture(64, 64))
    found, expected = (
        encode_edit(each, PROMPT, [image]).entries[0].tensors
        for each in (encoder, model.part("text_encoder"))
    )
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], item) for name, item in expected.items())


def test_a_prompt_that_is_cut_is_told(model_of: ModelOf) -> None:
    _, model = model_of(z_image_omni)
    warned: list[str] = []
    encode_edit(
        model.part("text_encoder"),
        "cat " * 400,
        [as_tensor(picture(64, 64))],
        warn=warned.append,
    )
    assert "takes 512 and" in warned[0]


def test_a_transformer_in_a_file_is_omni(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, _ = model_of(z_image_omni)
    tensors = pipeline.transformer.state_dict()
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Z-Image Omni"
    file = tmp_path / "omni.safetensors"
    save_file(tensors, file)
    recipe = open_denoiser(DenoiserRequest(str(file)), [])
    assert recipe.family == "z-image-omni"
    found = load_component(recipe, "cpu").module.state_dict()
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], item) for name, item in tensors.items())


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(z_image_omni)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")
