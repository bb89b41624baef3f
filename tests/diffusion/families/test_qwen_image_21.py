"""Qwen-Image 2.1 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_image, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families import qwen_image_edit
from nodegraph.families.identification import identify_tensors
from nodegraph.models.conditioning import encode_edit, with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_vl_text
from .parts import dynamic_flow
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
AREA = 96 * 64
OPTIONS: dict[str, Any] = {"use_kv_cache": False}


class PictureProcessor(tf.Qwen3VLProcessor):
    """Without its part for videos, which needs torchvision."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer
        self.video_processor, self.chat_template = None, tokenizer.chat_template
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)

    def save_pretrained(self, folder: Any, **_: Any) -> None:
        self.image_processor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def transformer(head: int = 32) -> Any:
    return d.QwenImage21Transformer2DModel(
        in_channels=64,
        out_channels=64,
        num_layers=2,
        attention_head_dim=head,
        num_attention_heads=2,
        context_in_dim=32,
        mlp_ratio=2,
        axes_dims_rope=(head // 8, 7 * head // 16, 7 * head // 16),
    )


def autoencoder() -> Any:
    return d.AutoencoderKLQwenImage21(
        base_dim=8, decoder_base_dim=12, dim_mult=[1, 2, 2, 2, 2], num_res_blocks=1
    )


def qwen_image_21() -> Any:
    words = qwen_words()
    pictures = tf.Qwen2VLImageProcessorPil(
        patch_size=16, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
    )
    return d.QwenImage21Pipeline(
        dynamic_flow(shift=1.0),
        autoencoder(),
        qwen3_vl_text(words),
        PictureProcessor(pictures, words),
        transformer(),
    )


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: tokens.transpose(1, 2).unflatten(2, (height // 16, width // 16))


@pytest.mark.parametrize("cfg", [4.0, 1.0])
def test_qwen_image_21_is_diffusers(model_of: ModelOf, cfg: float) -> None:
    cases = [(64, 64, 1, None, cfg), (96, 64, 2, NEGATIVE, cfg)]
    assert_like_stock(
        model_of(qwen_image_21), cases, unpack=unpack, scale="true_cfg_scale", **OPTIONS
    )
