"""Anima gives what diffusers' modular pipeline gives, to the last bit."""

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
from nodegraph.families.anima import ANIMA, CONDITIONER_FILE, TRANSFORMER_FILE
from nodegraph.families.conditionings import average, zero_out
from nodegraph.families.identification import identify_tensors
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .checks import assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, picture, stock
from .image_to_image import MostLikely, as_tensor
from .language import qwen3_text
from .late_start import late_start
from .modular_pipelines import ModularPipeline
from .parts import flow
from .qwen_parts import qwen_vae
from .test_cosmos import network
from .words import qwen_words, t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 60


def conditioner(words: Any, **changed: Any) -> Any:
    usual = {
        "source_dim": 32,
        "target_dim": 32,
        "model_dim": 48,
        "num_layers": 2,
        "num_attention_heads": 3,
        "mlp_ratio": 2.0,
        "target_vocab_size": len(words),
        "min_sequence_length": 24,
    }
    return d.AnimaTextConditioner(**{**usual, **changed})


def anima() -> ModularPipeline:
    words, t5 = qwen_words(), t5_words()
    return ModularPipeline(
        d.AnimaAutoBlocks(),
        text_encoder=qwen3_text(words, kind=tf.Qwen3Model),
        tokenizer=words,
        t5_tokenizer=t5,
        text_conditioner=conditioner(t5),
        transformer=network(positions=None, rope_scale=(1.0, 4.0, 4.0)),
        vae=qwen_vae(),
        scheduler=flow(shift=3.0),
    )


@pytest.mark.parametrize(
    ("width", "height", "cfg", "prompt", "negative", "batch"),
    [
        (64, 64, 7.3, PROMPT, NEGATIVE, 1),
        pytest.param(80, 112, 4.0, LONG, NEGATIVE, 3, marks=pytest.mark.slow),
        pytest.param(96, 64, 4.0, PROMPT, LONG, 1, marks=pytest.mark.slow),
        pytest.param(64, 64, 4.0, "", None, 1, marks=pytest.mark.slow),
        pytest.param(64, 96, 1.0, PROMPT, None, 1, marks=pytest.mark.slow),
    ],
)
def test_anima_is_diffusers(
    model_of: ModelOf,
    width: int,
    height: int,
    cfg: float,
    prompt: str,
    negative: str | None,
    batch: int,
) -> None:
    pipeline, model = model_of(anima)
    both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch, "steps": 3}
    found = model.make(width, height, cfg=cfg, **both)
    expected = stock(pipeline, width=width, height=height, guidance_scale=cfg, **both)
    assert_same(found, expected, pixels=cfg == 7.3)
