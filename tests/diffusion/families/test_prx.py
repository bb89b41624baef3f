"""PRX gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor
from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.families.identification import identify_folder, identify_tensors
from nodegraph.families.prx import PRX
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .checks import Case, assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .late_start import late_start
from .parts import flow, flux_vae
from .test_sana import deep_vae
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]

AS_ASKED = {"use_resolution_binning": False}
"""The pipeline brings images to sizes of a table; nodegraph makes the size that is asked for."""
LONG = "a red cat, a dog and 2 birds by https://example.com/x.png (4k, best!) " * 20


def t5_gemma_alone(words: Any) -> Any:
    """An encoder whose configuration is saved as diffusers reads it: that of the whole model."""
    half = tf.models.t5gemma.T5GemmaModuleConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=8,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id,
    )
    config = tf.T5GemmaConfig(encoder=half, decoder=half)
    encoder = T5GemmaEncoder(config.encoder)

    def save(folder: Any, **options: Any) -> None:
        T5GemmaEncoder.save_pretrained(encoder, folder, **options)
        config.save_pretrained(folder)

    encoder.save_pretrained = save
    return encoder


def transformer(channels: int = 16, patch: int = 2, **more: Any) -> Any:
    return d.PRXTransformer2DModel(
        in_channels=channels,
        patch_size=patch,
        context_in_dim=32,
        hidden_size=64,
        num_heads=2,
        depth=2,
        axes_dim=[16, 16],
        **more,
    )


def _pipeline(network: Any, vae: Any) -> Any:
    words = gemma_words()
    words.model_max_length = 40
    encoder = t5_gemma_alone(words)
    with warnings.catch_warnings():
        # of a class of diffusers that its pipeline is of
        warnings.simplefilter("ignore", FutureWarning)
        pipeline = d.PRXPipeline(network, flow(shift=3.0), encoder, words, vae)
    # It passes one time for each side of the guidance, whatever the number of images.
    network.register_forward_pre_hook(_expand_time, with_kwargs=True)
    return pipeline


def _expand_time(network: Any, given: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    time, images = options["timestep"], len(options["hidden_states"])
    return given, {**options, "timestep": time.repeat_interleave(images // len(time))}


def prx() -> Any:
    return _pipeline(transformer(), flux_vae())


def prx_dc() -> Any:
    return _pipeline(transformer(32, 1), deep_vae())


CASES: tuple[Case, ...] = (
    (64, 64, 1, None, 5.0),
    (96, 64, 3, NEGATIVE, 7.3),
    (64, 96, 1, LONG, 3.0),
    (64, 64, 1, None, 1.0),
)
"""The pipeline takes no guidance scale below 1."""


def test_prx_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(prx), CASES[:1], **AS_ASKED)


@pytest.mark.slow
@pytest.mark.parametrize("build", [prx, prx_dc])
def test_sizes_batches_and_guidance_are_those_of_diffusers(
    model_of: ModelOf, build: Callable[[], Any]
) -> None:
    assert_like_stock(model_of(build), CASES, **AS_ASKED)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*LoraLoaderMixin:FutureWarning")
@pytest.mark.parametrize("build", [prx, prx_dc])
def test_bfloat16_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    found, expected = in_bfloat16(model_of(build), **AS_ASKED)
    assert torch.equal(found.latents, expected.latents.float())


@pytest.mark.slow
@pytest.mark.parametrize("build", [prx, prx_dc])
@pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.5, 4), (0.99, 7)])
def test_pictures_of_pictures_are_diffusers(
    model_of: ModelOf, build: Callable[[], Any], denoise: float, walked: int
) -> None:
    """diffusers has no such pipeline: its own one walks the last levels."""
    pipeline, model = model_of(build)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    both = {"negative": NEGATIVE, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, **both)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0, **both, **AS_ASKED}
    assert latent.samples is not None
    with late_start(pipeline, walked=walked) as noised:
        stock(pipeline, **called)
        expected = stock(pipeline, latents=noised(latent.samples), **called)
    assert_same(found, expected)


@pytest.mark.parametrize("text", ["", "A <b>Cat</b> &amp; THE dog", LONG, "#12345 IMG001.png 猫"])
def test_prompts_are_cleaned_and_cut_as_by_diffusers(model_of: ModelOf, text: str) -> None:
    pipeline, model = model_of(prx)
    (entry,) = encode_prompt(model.part("text_encoder"), text).entries
    with torch.no_grad():
        states, mask, _, _ = pipeline.encode_prompt(text, do_classifier_free_guidance=False)
    assert torch.equal(entry.embeddings, states)
    assert torch.equal(entry.tensors["mask"].bool(), mask)


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    _, model = model_of(prx)
    notes: list[str] = []
    for text in (LONG, PROMPT):
        encode_prompt(model.part("text_encoder"), text, warn=notes.append)
    assert len(notes) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(prx)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def test_a_configuration_of_the_encoder_alone_is_read(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(prx)
    folder = tmp_path / "prx"
    pipeline.save_pretrained(folder)
    T5GemmaEncoder.save_pretrained(pipeline.text_encoder, folder / "text_encoder")
    assert '"encoder"' not in (folder / "text_encoder" / "config.json").read_text()
    (found,), (expected,) = (
        encode_prompt(each.part("text_encoder"), PROMPT).entries for each in (Model(folder), model)
    )
    assert torch.equal(found.embeddings, expected.embeddings)


@pytest.mark.parametrize(
    ("channels", "title"),
    [(16, "PRX"), (32, "PRX with DC-AE"), (3, "PRX Pixel"), (5, "PRX with latents of 5 channels")],
)
def test_a_folder_is_told_by_its_latents(channels: int, title: str) -> None:
    configs = {"transformer": {"in_channels": channels}}
    identified = identify_folder("PRXPipeline", configs)
    assert identified.title == title
    assert (identified.family is not None) == (channels in (16, 32))


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors under the names of the original code."""
    names = {
        here.replace("*", block): there.replace("*", block)
        for here, there in PRX.denoisers[0].files[0].names.table
        for block in ("0", "1")
    }
    return {
        ".".join([names.get(stem := name.rpartition(".")[0], stem), name.rpartition(".")[2]]): item
        for name, item in tensors.items()
    }


@pytest.mark.parametrize(
    ("channels", "patch", "title"),
    [(16, 2, "the transformer of PRX"), (32, 1, "the transformer of PRX with DC-AE")],
)
@pytest.mark.parametrize("is_original", [False, True])
def test_a_file_of_the_transformer_is_read(
    tmp_path: Path, channels: int, patch: int, title: str, *, is_original: bool
) -> None:
    network = transformer(channels, patch)
    expected = network.state_dict()
    tensors = original(expected) if is_original else expected
    assert (tensors.keys() == expected.keys()) is not is_original
    file = tmp_path / "prx.safetensors"
    save_file(dict(tensors), file)
    assert (
        identify_tensors({name: tuple(item.shape) for name, item in tensors.items()}).title == title
    )
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    assert {**loaded.config, "_use_default_values": None} == {
        **network.config,
        "_use_default_values": None,
    }
    for name, item in loaded.state_dict().items():
        assert torch.equal(item, expected[name]), name


def test_a_file_of_the_published_sizes_is_known() -> None:
    for channels, patch in ((16, 2), (32, 1)):
        with torch.device("meta"):
            network = d.PRXTransformer2DModel(in_channels=channels, patch_size=patch)
        shapes = {name: tuple(item.shape) for name, item in network.state_dict().items()}
        (part,) = identify_tensors(shapes).parts
        config = part.layout.config(shapes)
        for name, value in config.items():
            usual = network.config[name]
            assert value == ([32, 32] if usual is None else usual), name


def test_pixel_models_are_refused_by_name() -> None:
    with torch.device("meta"):
        network = transformer(3, 16, bottleneck_size=16, resolution_embeds=True)
    shapes = {name: tuple(item.shape) for name, item in network.state_dict().items()}
    assert identify_tensors(shapes).title == "PRX Pixel"
