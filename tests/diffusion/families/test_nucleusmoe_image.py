"""NucleusMoE-Image gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt
from nodegraph.families.identification import identify_tensors
from nodegraph.families.patches import pack_latents, unpack_latents

from .checks import Case, assert_like_stock, assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_vl_text
from .late_start import late_start
from .parts import dynamic_flow, flow
from .qwen_parts import qwen_vae
from .test_qwen_image_21 import PictureProcessor
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]

LONG = "a red cat on a mat, " * 20


def transformer(**more: Any) -> Any:
    """Three dense blocks, and one with experts."""
    usual: dict[str, Any] = {
        "in_channels": 64,
        "out_channels": 16,
        "num_layers": 4,
        "attention_head_dim": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "joint_attention_dim": 32,
        "axes_dims_rope": (4, 6, 6),
        "dense_moe_strategy": "leave_first_three_blocks_dense",
        "num_experts": 4,
        "moe_intermediate_dim": 32,
        "capacity_factors": [0.0, 0.0, 0.0, 2.0],
        "use_grouped_mm": True,
    }
    return d.NucleusMoEImageTransformer2DModel(**{**usual, **more})


def pipeline_of(scheduler: Any, network: Any) -> Any:
    words = qwen_words()
    pictures = tf.Qwen2VLImageProcessorPil(
        patch_size=16, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
    )
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if ".experts." in name:
                # diffusers leaves them as the memory was.
                weight.normal_(0, 0.1)
    return d.NucleusMoEImagePipeline(
        network,
        scheduler,
        qwen_vae(),
        qwen3_vl_text(words, layers=9),
        PictureProcessor(pictures, words),
    )


def nucleusmoe_image() -> Any:
    return pipeline_of(dynamic_flow(), transformer())


def by_loop() -> Any:
    """With experts in every block but the first, one after the other, and a sigmoid."""
    network = transformer(
        num_layers=2,
        dense_moe_strategy="leave_first_block_dense",
        capacity_factors=1.5,
        use_sigmoid=True,
        use_grouped_mm=False,
    )
    return pipeline_of(flow(shift=3.0), network)


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: unpack_latents(tokens, height // 8, width // 8)


CASES: tuple[Case, ...] = (
    (64, 64, 1, None, 5.0),
    (96, 64, 3, NEGATIVE, 7.3),
    (64, 96, 1, LONG, 3.0),
    (64, 64, 1, None, 1.0),
    (64, 64, 1, None, 0.0),
)


def test_nucleusmoe_image_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(nucleusmoe_image), CASES[:1], unpack=unpack)


@pytest.mark.slow
@pytest.mark.parametrize("build", [nucleusmoe_image, by_loop])
def test_sizes_batches_and_guidance_are_those_of_diffusers(
    model_of: ModelOf, build: Callable[[], Any]
) -> None:
    assert_like_stock(model_of(build), CASES, unpack=unpack)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(nucleusmoe_image)
    networks = {
        role: type(part).from_pretrained(model.folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    found = Model(model.folder, "bfloat16").make(64, 64, cfg=4.5)
    expected = stock(loaded, width=64, height=64, guidance_scale=4.5)
    assert torch.equal(found.latents, unpack(64, 64)(expected.latents).float())


@pytest.mark.slow
@pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.5, 4), (0.99, 7)])
def test_pictures_of_pictures_are_diffusers(model_of: ModelOf, denoise: float, walked: int) -> None:
    """diffusers has no such pipeline: its own one walks the last levels."""
    pipeline, model = model_of(nucleusmoe_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    both = {"negative": NEGATIVE, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, **both)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0, **both}
    assert latent.samples is not None
    with late_start(pipeline, walked=walked) as noised:
        stock(pipeline, **called)
        expected = stock(pipeline, latents=pack_latents(noised(latent.samples)), **called)
    assert_same(found, expected, unpack(96, 64))


@pytest.mark.parametrize("text", ["", PROMPT, LONG, "a cat " * 400])
def test_prompts_are_those_of_diffusers(model_of: ModelOf, text: str) -> None:
    pipeline, model = model_of(nucleusmoe_image)
    (entry,) = encode_prompt(model.part("text_encoder"), text).entries
    with torch.no_grad():
        states, mask = pipeline.encode_prompt(text, max_sequence_length=1024)
    assert torch.equal(entry.embeddings, states)
    found = entry.tensors["mask"].bool()
    assert bool(found.all()) if mask is None else torch.equal(found, mask.bool())


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    _, model = model_of(nucleusmoe_image)
    notes: list[str] = []
    for text in ("a cat " * 400, PROMPT):
        encode_prompt(model.part("text_encoder"), text, warn=notes.append)
    assert len(notes) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(nucleusmoe_image)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def test_a_file_of_the_transformer_is_refused_by_name() -> None:
    with torch.device("meta"):
        network = transformer()
    shapes = {name: tuple(item.shape) for name, item in network.state_dict().items()}
    assert identify_tensors(shapes).title.startswith("the transformer of NucleusMoE-Image")
