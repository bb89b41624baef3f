"""Ideogram 4 gives what diffusers' pipeline gives, to the last bit.

Text to image, odd sizes, batches, guidance of 1, 3 and 7.3, long prompts, bfloat16, and image to
image at any strength. The pipeline draws noise token by token, nodegraph channel by channel, so it
is handed nodegraph's. It pads prompts to a length, which changes last bits, so it gets that of the
prompt. It has no negative prompt; one of nodegraph is compared with its own transformer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.families import ideogram4 as ideogram4_family
from nodegraph.families.conditionings import zero_out
from nodegraph.families.identification import identify_tensors
from nodegraph.families.ideogram4 import _FILE, _from_image_tokens, _image_tokens
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_vl_text
from .late_start import LateScheduler
from .parts import flow
from .test_flux2 import normed_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 30
CHAT_TOKENS = len(qwen_words()("<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n").input_ids)


def transformer() -> Any:
    return d.Ideogram4Transformer2DModel(
        in_channels=128,
        num_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        intermediate_size=96,
        adaln_dim=16,
        llm_features_dim=13 * 32,
        mrope_section=(3, 2, 2),
    )


def ideogram4() -> Any:
    words = qwen_words()
    encoder = qwen3_vl_text(words, layers=36, kind=tf.Qwen3VLModel)
    return d.Ideogram4Pipeline(flow(), normed_vae(), encoder, words, transformer(), transformer())


def drawn(width: int, height: int, batch: int = 1) -> Tensor:
    """The noise of nodegraph's samplings."""
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    shape = (1, 128, height // 16, width // 16)
    return torch.cat([torch.randn(shape, generator=each) for each in generators])


def by_stock(
    pipeline: Any,
    width: int,
    height: int,
    cfg: float,
    *,
    prompt: str = PROMPT,
    batch: int = 1,
    latents: Tensor | None = None,
    **options: Any,
) -> Made:
    start = drawn(width, height, batch) if latents is None else latents
    made = stock(
        pipeline,
        prompt=prompt,
        batch=batch,
        width=width,
        height=height,
        guidance_scale=cfg,
        guidance_schedule=None,
        max_sequence_length=len(pipeline.tokenizer(prompt).input_ids) + CHAT_TOKENS,
        latents=_image_tokens(start),
        **options,
    )
    return Made(_from_image_tokens(made.latents, start), made.decode)


@pytest.mark.parametrize(
    ("width", "height", "cfg", "prompt", "batch"),
    [
        (64, 64, 7.3, PROMPT, 1),
        pytest.param(80, 112, 3.0, LONG, 3, marks=pytest.mark.slow),
        pytest.param(64, 96, 1.0, "", 1, marks=pytest.mark.slow),
    ],
)
def test_ideogram4_is_diffusers(
    model_of: ModelOf, width: int, height: int, cfg: float, prompt: str, batch: int
) -> None:
    pipeline, model = model_of(ideogram4)
    both: dict[str, Any] = {"prompt": prompt, "batch": batch, "steps": 3}
    found = model.make(width, height, cfg=cfg, **both)
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
    pipeline, model = model_of(ideogram4)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    assert latent.samples is not None
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, steps=8)
    usual = pipeline.scheduler
    pipeline.scheduler = late = LateScheduler(flow(), walked)
    try:
        by_stock(pipeline, 96, 64, 4.0, steps=8)
        noised = late.noised(latent.samples)
        expected = by_stock(pipeline, 96, 64, 4.0, latents=noised, steps=8)
    finally:
        pipeline.scheduler = usual
    assert_same(found, expected)


def test_pictures_become_the_autoencoders_latents(model_of: ModelOf) -> None:
    """By statistics in the order of the pipeline's tokens."""
    pipeline, model = model_of(ideogram4)
    shown = torch.rand(1, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    latent = encode_image(model.part("vae"), shown)
    assert latent.samples is not None
    bn, epsilon = pipeline.vae.bn, pipeline.vae.config.batch_norm_eps
    tokens = _image_tokens(latent.samples) * torch.sqrt(bn.running_var + epsilon) + bn.running_mean
    cells = tokens.view(1, 4, 6, 2, 2, 32).permute(0, 5, 1, 3, 2, 4).reshape(1, 32, 8, 12)
    with torch.no_grad():
        pixels = (shown.movedim(-1, 1) * 2 - 1).contiguous()
        mode = pipeline.vae.encode(pixels).latent_dist.mode()
    torch.testing.assert_close(cells, mode)  # they were normalized and brought back: rounding


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ideogram4)
    loaded = type(pipeline).from_pretrained(model.folder, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    found = Model(model.folder, "bfloat16").make(64, 64, cfg=4.5)
    assert_same(found, by_stock(loaded, 64, 64, 4.5))


def test_the_second_transformer_answers_where_there_is_no_text(model_of: ModelOf) -> None:
    _, model = model_of(ideogram4)
    plain = model.make(64, 64, cfg=3.0).latents
    prompt = model.encode(PROMPT)
    assert prompt is not None
    assert torch.equal(model.make(64, 64, cfg=3.0, away=zero_out(prompt)).latents, plain)


def test_negative_texts_are_read_by_the_transformer_that_reads(model_of: ModelOf) -> None:
    """By one step, in which guidance adds up what two pipelines give."""
    pipeline, model = model_of(ideogram4)
    positive, negative = (
        by_stock(pipeline, 64, 64, 1.0, prompt=prompt, steps=1).latents
        for prompt in (PROMPT, NEGATIVE)
    )
    found = model.make(64, 64, cfg=3.0, negative=NEGATIVE, steps=1).latents
    torch.testing.assert_close(found, 3 * positive - 2 * negative, rtol=0, atol=1e-5)


def test_long_prompts_are_reported(model_of: ModelOf, monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = model_of(ideogram4)
    monkeypatch.setattr(ideogram4_family, "_TOKENS", 30)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, "cat " * 40, warn=warnings.append).entries
    assert entry.embeddings.shape[1] > 30
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(ideogram4)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors as ComfyUI's file has them."""
    written: dict[str, Tensor] = {}
    for name, item in tensors.items():
        if ".attention.to_q." in name:
            parts = [tensors[name.replace("to_q", part)] for part in ("to_q", "to_k", "to_v")]
            written[name.replace("to_q", "qkv")] = torch.cat(parts)
        elif ".attention.to_k." not in name and ".attention.to_v." not in name:
            written[name.replace(".to_out.0.", ".o.")] = item
    return written


def test_a_published_file_has_the_published_sizes() -> None:
    with torch.device("meta"):
        published = d.Ideogram4Transformer2DModel()
    names = original(published.state_dict())
    found = _FILE.config({name: tuple(item.shape) for name, item in names.items()})
    assert found == {name: published.config[name] for name in found}


@pytest.mark.parametrize("writes", [dict, original])
def test_files_of_its_transformers_are_the_folders(
    model_of: ModelOf,
    tmp_path: Path,
    writes: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    _, model = model_of(ideogram4)
    names = {}
    for role, own in model.part("model").modules.items():
        tensors = writes(own.state_dict())
        shapes = {name: tuple(item.shape) for name, item in tensors.items()}
        assert identify_tensors(shapes).title == "a transformer of Ideogram 4"
        names[role] = str(tmp_path / f"{role}.safetensors")
        save_file(tensors, names[role])
    first, second = names["transformer"], names["unconditional_transformer"]
    loaded = load_component(open_denoiser(DenoiserRequest(first, second=second), []), "cpu")
    for role, own in model.part("model").modules.items():
        found = loaded.modules[role].state_dict()
        assert found.keys() == own.state_dict().keys()
        assert all(torch.equal(item, own.state_dict()[name]) for name, item in found.items())
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    assert torch.equal(other.make(64, 64, cfg=3.0).latents, model.make(64, 64, cfg=3.0).latents)
