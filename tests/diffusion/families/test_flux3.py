"""Flux.3 Klein gives what diffusers' modular pipelines give, to the last bit.

The pipelines take one prompt at a time. They hand images to the autoencoder pixel by pixel, and get
them channel by channel here.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families import flux3 as flux3_family
from nodegraph.families.flux3 import FLUX3_KLEIN
from nodegraph.families.identification import identify_tensors
from nodegraph.models.conditioning import with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.diffusion.adapters import files
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_vl_text
from .late_start import late_start
from .modular_pipelines import ModularPipeline
from .test_anima import with_lora
from .test_flux2 import normed_vae
from .test_qwen_image_21 import PictureProcessor
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 40


def transformer(*, flow_map: bool = False) -> Any:
    return d.Flux3Transformer2DModel(
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8 * 16,
        timestep_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        flow_map=flow_map,
    )


class Flux3Pipeline(ModularPipeline):
    """One whose blocks encode a prompt as it is; the step-distilled one has no guidance."""

    @classmethod
    def from_pretrained(cls, folder: Path, **options: Any) -> Flux3Pipeline:
        net = d.Flux3Transformer2DModel.load_config(folder / "transformer")
        found = cls(blocks(flow_map=bool(net["flow_map"])))
        whole = ModularPipeline.from_pretrained(folder, **options)
        found.inner.update_components(
            **{name: part for name, part in whole.components.items() if name in _PARTS}
        )
        return found

    def __call__(self, *, guidance_scale: float = 1.0, **options: Any) -> Any:
        if "guider" in self.inner.components:
            return super().__call__(guidance_scale=guidance_scale, **options)
        update, self.inner.update_components = self.inner.update_components, lambda **_: None
        try:
            return super().__call__(guidance_scale=guidance_scale, **options)
        finally:
            self.inner.update_components = update


_PARTS = ("text_encoder", "tokenizer", "transformer", "vae", "scheduler")


def blocks(*, flow_map: bool) -> Any:
    every = d.Flux3DistilledAutoBlocks() if flow_map else d.Flux3AutoBlocks()
    every.sub_blocks.pop("prompt_upsampler")
    return every


def flux3_klein(*, flow_map: bool = False) -> ModularPipeline:
    words = qwen_words()
    pictures = tf.Qwen2VLImageProcessorPil(
        patch_size=16, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
    )
    return Flux3Pipeline(
        blocks(flow_map=flow_map),
        text_encoder=qwen3_vl_text(words, width=16, layers=33),
        tokenizer=PictureProcessor(pictures, words),
        vae=normed_vae(),
        transformer=transformer(flow_map=flow_map),
    )


def flux3_klein_distilled() -> ModularPipeline:
    return flux3_klein(flow_map=True)


@pytest.mark.parametrize(
    ("width", "height", "cfg", "prompt", "negative", "batch"),
    [
        (64, 64, 7.3, PROMPT, NEGATIVE, 1),
        pytest.param(80, 112, 3.5, LONG, NEGATIVE, 3, marks=pytest.mark.slow),
        pytest.param(96, 64, 3.5, PROMPT, LONG, 1, marks=pytest.mark.slow),
        pytest.param(64, 64, 3.5, "", None, 1, marks=pytest.mark.slow),
        pytest.param(64, 96, 1.0, PROMPT, None, 1, marks=pytest.mark.slow),
    ],
)
def test_flux3_is_diffusers(
    model_of: ModelOf,
    width: int,
    height: int,
    cfg: float,
    prompt: str,
    negative: str | None,
    batch: int,
) -> None:
    pipeline, model = model_of(flux3_klein)
    both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch, "steps": 3}
    found = model.make(width, height, cfg=cfg, **both)
    expected = stock(pipeline, width=width, height=height, guidance_scale=cfg, **both)
    assert_same(found, expected, pixels=cfg == 7.3)


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_distilled_model_is_diffusers(model_of: ModelOf, batch: int) -> None:
    """It gets the timestep that a step leads to, and evaluates no negative prompt."""
    pipeline, model = model_of(flux3_klein_distilled)
    found = model.make(96, 64, cfg=4.0, negative=NEGATIVE, batch=batch, steps=4)
    expected = stock(pipeline, width=96, height=64, batch=batch, steps=4)
    assert_same(found, expected, pixels=batch == 1)


@pytest.mark.parametrize(
    ("denoise", "walked"),
    [
        (0.5, 4),
        pytest.param(0.13, 1, marks=pytest.mark.slow),
        pytest.param(0.99, 7, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("build", [flux3_klein, flux3_klein_distilled])
def test_images_of_images_are_diffusers(
    model_of: ModelOf, build: Callable[[], Any], denoise: float, walked: int
) -> None:
    """diffusers has no such pipeline: its own one walks the last levels."""
    pipeline, model = model_of(build)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    assert latent.samples is not None
    both: dict[str, Any] = {"steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, negative="", **both)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0}
    with late_start(pipeline, walked) as noised:
        stock(pipeline, **called, **both)
        expected = stock(pipeline, latents=noised(latent.samples), **called, **both)
    assert_same(found, expected)


def referenced(model: Model, *sizes: tuple[int, int]) -> Callable[[Conditioning], Conditioning]:
    """What adds reference images to a prompt, as the nodes do."""

    def change(prompt: Conditioning) -> Conditioning:
        for size in sizes:
            latent = encode_image(model.part("vae"), as_tensor(picture(*size)))
            prompt = with_references(prompt, latent)
        return prompt

    return change


@pytest.mark.parametrize("build", [flux3_klein, flux3_klein_distilled])
@pytest.mark.parametrize(
    ("sizes", "batch"),
    [
        (((96, 64), (64, 80)), 1),
        pytest.param(((96, 64),), 3, marks=pytest.mark.slow),
        pytest.param(((64, 64), (80, 64), (64, 112)), 1, marks=pytest.mark.slow),
    ],
)
def test_edits_are_diffusers(
    model_of: ModelOf,
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[[], Any],
    sizes: tuple[tuple[int, int], ...],
    batch: int,
) -> None:
    pipeline, model = model_of(build)
    usual = pipeline.inner.vae.encode
    monkeypatch.setattr(pipeline.inner.vae, "encode", lambda image: usual(image.contiguous()))
    change = referenced(model, *sizes)
    empty = model.encode("")
    assert empty is not None
    found = model.make(96, 64, batch=batch, cfg=3.5, change=change, away=change(empty))
    expected = stock(
        pipeline,
        batch=batch,
        image=[picture(*size) for size in sizes],
        guidance_scale=3.5,
        width=96,
        height=64,
    )
    assert_same(found, expected)


def test_references_of_another_format_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(flux3_klein)

    def change(prompt: Conditioning) -> Conditioning:
        (entry,) = prompt.entries
        return replace(prompt, entries=(replace(entry, references=(torch.zeros(1, 16, 8, 8),)),))

    with raises(InvalidValue, port="positive", given="a latent of shape (1, 16, 8, 8)"):
        model.make(64, 64, cfg=1.0, change=change)


@pytest.mark.slow
@pytest.mark.parametrize("build", [flux3_klein, flux3_klein_distilled])
def test_bfloat16_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    _, model = model_of(build)
    loaded = Flux3Pipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    half = Model(model.folder, "bfloat16")
    found = half.make(64, 64, cfg=4.0, steps=3, negative="")
    expected = stock(loaded, width=64, height=64, guidance_scale=4.0, steps=3)
    assert expected.latents.dtype == torch.bfloat16
    assert torch.equal(found.latents, expected.latents.float())


def test_prompts_fill_windows_of_80_tokens(model_of: ModelOf) -> None:
    _, model = model_of(flux3_klein)
    encoder = model.part("text_encoder")
    warnings: list[str] = []
    for text, length in (("", 80), ("cat " * 100, 240)):
        (entry,) = encode_prompt(encoder, text, warn=warnings.append).entries
        assert entry.embeddings.shape == (1, length, 8 * 16)
    assert not warnings


def test_prompts_are_cut_as_by_diffusers(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, model = model_of(flux3_klein)
    monkeypatch.setattr(flux3_family, "_TOKENS", 100)
    warnings: list[str] = []
    (entry,) = encode_prompt(model.part("text_encoder"), LONG, warn=warnings.append).entries
    assert entry.embeddings.shape == (1, 100, 8 * 16)
    assert len(warnings) == 1
    options = {"width": 64, "height": 64, "guidance_scale": 1.0, "max_sequence_length": 100}
    expected = stock(pipeline, prompt=LONG, **options)
    model.encoded.clear()
    assert_same(model.make(64, 64, cfg=1.0, prompt=LONG), expected)
    model.encoded.clear()


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(flux3_klein)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors under the names of the original code."""
    written = {}
    for name, tensor in tensors.items():
        block = next((part for part in name.split(".") if part.isdecimal()), "")
        for here, theirs in FLUX3_KLEIN.denoisers[0].files[0].names.table:
            layer = here.replace("*", block, 1)
            if name.startswith(f"{layer}."):
                is_norm = "norm_q" in layer or "norm_k" in layer
                kept = torch.cat(tensor.chunk(2)[::-1]) if here == "norm_out.linear" else tensor
                written[f"{theirs.replace('*', block)}.{'scale' if is_norm else 'weight'}"] = kept
                break
        else:
            raise AssertionError(name)
    return written


@pytest.mark.parametrize("flow_map", [False, True])
def test_a_file_of_the_original_names_is_read_as_diffusers_reads_it(
    tmp_path: Path, flow_map: bool
) -> None:
    network = transformer(flow_map=flow_map).eval()
    tensors = original(network.state_dict())
    assert len(tensors) == len(network.state_dict())
    assert not tensors.keys() & network.state_dict().keys()
    expected = converters.convert_flux3_transformer_checkpoint_to_diffusers(dict(tensors))
    assert expected.keys() == network.state_dict().keys()
    tensors["repa_projectors.0.weight"] = torch.zeros(2, 2)
    file = tmp_path / "flux.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Flux.3 Klein"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    assert {name: loaded.config[name] for name in network.config if name[0] != "_"} == {
        name: value for name, value in network.config.items() if name[0] != "_"
    }
    for name, item in loaded.state_dict().items():
        assert torch.equal(item, expected[name]), name


def test_a_published_file_has_the_published_sizes() -> None:
    with torch.device("meta"):
        published = d.Flux3Transformer2DModel(flow_map=True)
    file = FLUX3_KLEIN.denoisers[0].files[0]
    shapes = {name: tuple(item.shape) for name, item in original(published.state_dict()).items()}
    found = file.config(shapes)
    assert found == {name: type(value)(published.config[name]) for name, value in found.items()}
    assert file.scheduler({})["shift"] == 6.93


@pytest.mark.parametrize(
    ("writes", "prefix"),
    [
        (files.peft_file, "transformer."),
        pytest.param(files.peft_file, "diffusion_model.", marks=pytest.mark.slow),
        pytest.param(files.flat_file, "lora_unet_", marks=pytest.mark.slow),
    ],
)
def test_loras_are_diffusers(
    model_of: ModelOf,
    tmp_path: Path,
    writes: Callable[[files.Pairs, str], dict[str, Tensor]],
    prefix: str,
) -> None:
    """kohya's names, which diffusers does not read, are compared with its own."""
    pipeline, model = model_of(flux3_klein)
    network = pipeline.components["transformer"]
    torch.manual_seed(1)
    own = {
        name: pair
        for name, pair in files.own_pairs(network).items()
        if name.startswith(("mode_blocks.", "txt_mode_blocks.", "single_transformer_blocks."))
    }
    originals = {
        layer.removesuffix(".weight"): 0
        for layer in original({f"{name}.weight": torch.zeros(2, 2) for name in own})
    }
    named = own if prefix == "transformer." else dict(zip(originals, own.values(), strict=True))
    path = files.saved(writes(named, prefix), tmp_path / "lora.safetensors")
    found = with_lora(model, path).make(64, 64, negative=NEGATIVE, cfg=4.0)
    if prefix == "lora_unet_":
        same = files.saved(files.dotted_file(own, "transformer."), tmp_path / "same.safetensors")
        expected = with_lora(model, same).make(64, 64, negative=NEGATIVE, cfg=4.0)
    else:
        changed = deepcopy(pipeline)
        changed.inner.load_lora_weights(str(path))
        changed.components["transformer"].requires_grad_(False)
        options = {"width": 64, "height": 64, "guidance_scale": 4.0}
        expected = stock(changed, negative=NEGATIVE, **options)
    assert_same(found, expected)
    plain = model.make(64, 64, negative=NEGATIVE, cfg=4.0)
    assert not torch.equal(found.latents, plain.latents)
