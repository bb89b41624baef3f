"""Text encoders of LTX-2 and MiniMax H3 in ComfyUI's packed forms: kept packed, and read as the
numbers that they stand for.

Their files mix forms: ``gemma_3_12B_it_fp4_mixed`` has layers in nvfp4 and in float8, and
``qwen3vl_32b_minimax_h3_nvfp4_awq`` layers in nvfp4, some of them smoothed, and embeddings in int8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_prompt, load_component
from nodegraph.models.loading import estimate_bytes
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.quantized_weights import quantized_shape
from tests.diffusion.families import test_ltx2_files
from tests.diffusion.families.equality import PROMPT
from tests.diffusion.families.language_files import qwen3_vl
from tests.diffusion.families.words import gemma_words

from .packed_files import Packed, layer_tensors, nvfp4, nvfp4_awq

Tensors = dict[str, Tensor]

SMOOTHED = ("self_attn.o_proj", "mlp.down_proj")
"""Layers of AWQ that no norm stands before."""


def float8(matrix: Tensor) -> Packed:
    factor = (matrix.abs().max() / 448).float()
    stored = (matrix / factor.double()).to(torch.float8_e4m3fn)
    numbers = (stored.float() * factor).double()
    return {"": stored, "_scale": factor}, {"format": "float8_e4m3fn"}, numbers


def int8(matrix: Tensor) -> Packed:
    factors = (matrix.abs().amax(1) / 127).float().clamp(min=1e-8)
    stored = (matrix / factors.double()[:, None]).round().to(torch.int8)
    numbers = (stored.float() * factors[:, None]).double()
    return {"": stored, "_scale": factors}, {"format": "int8_tensorwise"}, numbers


def fp4_mixed(layer: str) -> Callable[[Tensor], Packed] | None:
    if ".layers." not in layer or "vision" in layer:
        return None
    return float8 if ".v_proj" in layer or ".down_proj" in layer else nvfp4


def fp4_awq(layer: str) -> Callable[[Tensor], Packed] | None:
    if layer.endswith("embed_tokens"):
        return int8
    if ".layers." not in layer or "visual" in layer:
        return None
    return nvfp4_awq if layer.endswith(SMOOTHED) else nvfp4


def packed(
    tensors: Mapping[str, Tensor], form_of: Callable[[str], Callable[[Tensor], Packed] | None]
) -> tuple[Tensors, Tensors]:
    """What a file holds, and what it stands for in float32."""
    stored, numbers = {}, {}
    for name, item in tensors.items():
        write = form_of(name.removesuffix(".weight"))
        if write is None or item.dim() != 2 or item.shape[1] % 32:
            stored[name] = item.to(torch.bfloat16).contiguous()
            numbers[name] = stored[name].float()
            continue
        own = write(item.double())
        stored |= layer_tensors(name.removesuffix(".weight"), own)
        numbers[name] = own[2].float()
    return stored, numbers


def assert_same_prompt(
    family: str, files: tuple[Tensors, Tensors], folder: Path, **others: str
) -> None:
    """The packed file gives the prompt that its numbers give, and its layers stay packed."""
    prompts = []
    for name, tensors in zip(("narrow", "wide"), files, strict=True):
        save_file(tensors, folder / f"{name}.safetensors")
        chosen = {"file": str(folder / f"{name}.safetensors"), **others}
        recipe = open_text_encoder(family, chosen, [folder], dtype="float32")
        loaded: Any = load_component(recipe, "cpu")
        assert component_bytes(loaded) == pytest.approx(estimate_bytes(recipe), rel=0.05)
        held = [
            layer for layer in loaded.modules["text_encoder"].modules() if quantized_shape(layer)
        ]
        assert bool(held) == (name == "narrow")
        for layer in held:
            # of 4 or 8 bits each
            assert layer.stored.nbytes <= prod(quantized_shape(layer) or ())
        prompts.append(encode_prompt(loaded, PROMPT).entries[0].embeddings)
    assert prompts[1].std() > 1e-3
    assert torch.equal(*prompts)


@pytest.mark.slow
def test_gemma_3_of_ltx2_in_mixed_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_ltx2_files, "WIDTH", 64)
    torch.manual_seed(0)
    parts = test_ltx2_files.ltx23().components
    words = gemma_words()
    words.save_pretrained(tmp_path / "tokenizers" / "gemma3")
    save_file(test_ltx2_files.checkpoint(parts), tmp_path / "ltx.safetensors")
    encoder = test_ltx2_files.gemma_file(parts["text_encoder"].eval())
    files = packed(encoder, fp4_mixed)
    assert_same_prompt("ltx2", files, tmp_path, file_2=str(tmp_path / "ltx.safetensors"))


def test_qwen3_vl_of_minimax_h3_with_smoothed_layers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = {
        name: item
        for name, item in qwen3_vl(51).eval().state_dict().items()
        if not name.startswith("lm_head")
    }
    assert_same_prompt("minimax-h3", packed(tensors, fp4_awq), tmp_path)
