"""Files that are no adapters, or are for other models, are told as what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nodegraph.errors import InvalidFile
from nodegraph.models.adapters.adapter_files import read_adapter
from nodegraph.models.derived_components import adapt_modules
from tests.messages import raises

from . import files
from .denoisers import build, on_meta


@pytest.mark.parametrize(
    ("made_for", "title"),
    [
        ("sd3", "Stable Diffusion 3"),
        ("flux", "Flux"),
        ("qwen_image", "Qwen-Image"),
        ("z_image", "Z-Image"),
        ("lumina2", "Lumina 2"),
        ("hidream", "HiDream"),
        ("wan", "Wan"),
        ("ltx", "LTX"),
    ],
)
def test_a_file_for_another_model_says_what_it_seems_to_be_for(
    made_for: str, title: str, tmp_path: Path
) -> None:
    pairs = files.own_pairs(build(made_for))
    path = files.saved(files.flat_file(pairs, "lora_unet_"), tmp_path / "lora.safetensors")
    with raises(InvalidFile) as caught:
        adapt_modules({"unet": build("sd1")}, [files.adapter(path)], dtype="float32")
    assert title in str(caught.value.problem.given)


def test_a_file_for_a_wider_model_of_the_kind_is_refused(tmp_path: Path) -> None:
    pairs = files.own_pairs(build("sd1", cross_attention_dim=64))
    kept = {name: pair for name, pair in pairs.items() if name.endswith("attn2.to_k")}
    path = files.saved(files.peft_file(kept, "unet."), tmp_path / "lora.safetensors")
    with raises(InvalidFile):
        adapt_modules({"unet": build("sd1")}, [files.adapter(path)], dtype="float32")


def test_a_file_for_text_encoders_alone_is_none_for_the_denoiser(tmp_path: Path) -> None:
    name = "lora_te1_text_model_encoder_layers_0_mlp_fc1"
    pair = {name: (torch.randn(2, 8), torch.randn(8, 2))}
    path = files.saved(files.dotted_file(pair, ""), tmp_path / "lora.safetensors")
    with raises(InvalidFile) as caught:
        adapt_modules({"unet": on_meta("sd1")}, [files.adapter(path)], dtype="float32")
    assert "text encoder" in (caught.value.problem.hint or "")


def test_a_file_that_was_replaced_since_is_not_mixed_in(tmp_path: Path) -> None:
    unet = build("sd1")
    pairs = files.own_pairs(unet)
    path = files.saved(files.peft_file(pairs, "unet."), tmp_path / "lora.safetensors")
    before = files.adapter(path)
    files.saved(files.peft_file(pairs, "unet.") | {"more": torch.ones(1)}, path)
    with raises(InvalidFile):
        adapt_modules({"unet": unet}, [before], dtype="float32")


@pytest.mark.parametrize("content", ["model", "text"])
def test_what_is_no_adapter_is_no_adapter(content: str, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    if content == "model":
        files.saved({"model.diffusion_model.out.2.weight": torch.ones(1)}, path)
    else:
        path.write_text("no tensors")
    with pytest.raises(InvalidFile):
        read_adapter(path)


@pytest.mark.parametrize(
    ("kind", "ending", "shape"),
    [
        ("OFT", "oft_blocks", (4, 8, 8)),
        ("OFT", "oft_diag", (4, 8, 8)),
        ("OFT", "oft_R.default.weight", (4, 28)),
        ("BOFT", "oft_blocks", (2, 4, 8, 8)),
        ("BOFT", "boft_R.weight", (2, 4, 8, 8)),
        ("GLoRA", "a1.weight", (4, 8)),
        ("IA3", "on_input", ()),
        ("IA3", "ia3_l.default", (8, 1)),
        ("VeRA", "vera_lambda_b", (8,)),
        ("LoRA-XS", "parametrizations.weight.0.M_xs", (4, 4)),
    ],
)
def test_an_adapter_of_a_kind_that_is_not_read_is_named(
    kind: str, ending: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    name = f"lora_unet_mid_block_attentions_0_proj_in.{ending}"
    path = files.saved({name: torch.zeros(shape)}, tmp_path / "other.safetensors")
    with raises(InvalidFile, given=f"{kind}, with tensors such as {name}"):
        read_adapter(path)


def test_bora_is_not_taken_for_its_lora(tmp_path: Path) -> None:
    stem = "transformer.layers.0.self_attn.to_out.parametrizations.weight.0."
    shapes = {"lora_A": (2, 8), "lora_B": (8, 2), "magnitude_r": (8,), "magnitude_c": (8,)}
    tensors = {f"{stem}{end}": torch.ones(shape) for end, shape in shapes.items()}
    path = files.saved(tensors, tmp_path / "other.safetensors")
    with raises(InvalidFile, given=f"BoRA, with tensors such as {stem}magnitude_c"):
        read_adapter(path)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with raises(InvalidFile):
        read_adapter(tmp_path / "lora.pt")


def test_a_part_of_a_model_is_told_with_the_node_that_takes_it(tmp_path: Path) -> None:
    path = files.saved(build("flux").state_dict(), tmp_path / "transformer.safetensors")
    with raises(InvalidFile, given="tensors such as context_embedder.bias"):
        read_adapter(path)
