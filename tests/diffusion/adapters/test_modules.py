"""Which of several modules a file is for: text encoders by number, experts by name or by choice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_model
from torch import nn

from nodegraph.core.values import DiffusionModel, RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.models.adapters.recipes import Expert, OpenedAdapter
from nodegraph.models.derived_components import adapt_modules
from tests.messages import raises

from . import files
from .denoisers import build

_CLIP = {
    "vocab_size": 20,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "eos_token_id": 2,
}
_T5 = {"vocab_size": 20, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}


def clip(*, projects: bool) -> nn.Module:
    """A text encoder of CLIP, whose names depend on whether it projects."""
    kind = transformers.CLIPTextModelWithProjection if projects else transformers.CLIPTextModel
    found: nn.Module = kind(transformers.CLIPTextConfig(**_CLIP))
    return found.requires_grad_(False)


def t5() -> nn.Module:
    """A text encoder of T5."""
    found: nn.Module = transformers.T5EncoderModel(transformers.T5Config(**_T5))
    return found.requires_grad_(False)


@pytest.fixture(scope="module")
def encoders() -> dict[str, dict[str, nn.Module]]:
    """The encoders of some families."""
    torch.manual_seed(0)
    both = {"text_encoder": clip(projects=False), "text_encoder_2": clip(projects=True)}
    return {
        "sdxl": both,
        "refiner": {"text_encoder_2": both["text_encoder_2"]},
        "flux": {"text_encoder": both["text_encoder"], "text_encoder_2": t5()},
        "sd3": {**both, "text_encoder_3": t5()},
    }


_Q = "text_model.encoder.layers.0.self_attn.q_proj"
_T5_Q = "encoder.block.0.layer.0.SelfAttention.q"


@pytest.mark.parametrize(
    ("family", "name", "module"),
    [
        ("sdxl", "lora_te1_" + _Q.replace(".", "_"), "text_encoder"),
        ("sdxl", "lora_te2_" + _Q.replace(".", "_"), "text_encoder_2"),
        ("sdxl", f"text_encoder_2.{_Q}", "text_encoder_2"),
        ("sdxl", f"text_encoder.{_Q}.lora_linear_layer", "text_encoder"),
        ("sdxl", f"text_encoders.clip_g.transformer.{_Q}", "text_encoder_2"),
        ("refiner", "lora_te2_" + _Q.replace(".", "_"), "text_encoder_2"),
        ("flux", "lora_te1_" + _Q.replace(".", "_"), "text_encoder"),
        ("flux", "lora_te3_" + _T5_Q.replace(".", "_"), "text_encoder_2"),
        ("sd3", "lora_te3_" + _T5_Q.replace(".", "_"), "text_encoder_3"),
        ("sd3", f"text_encoders.t5xxl.transformer.{_T5_Q}", "text_encoder_3"),
    ],
)
def test_a_text_encoder_is_told_by_its_number(
    encoders: dict[str, dict[str, nn.Module]],
    family: str,
    name: str,
    module: str,
    tmp_path: Path,
) -> None:
    down, up = torch.randn(2, 16), torch.randn(16, 2)
    ends = ("down", "up") if "linear_layer" in name else ("lora_down", "lora_up")
    tensors = {f"{name}.{ends[0]}.weight": down, f"{name}.{ends[1]}.weight": up}
    path = files.saved(tensors, tmp_path / "lora.safetensors")
    found = adapt_modules(encoders[family], [files.adapter(path)], dtype="float32")
    changed = [role for role, one in found.items() if one is not encoders[family][role]]
    assert changed == [module]


@pytest.fixture
def experts(tmp_path: Path) -> DiffusionModel:
    """The recipe of a model with two."""
    recipe_files = []
    for role in ("transformer", "transformer_2"):
        folder = tmp_path / role
        folder.mkdir()
        save_model(build("wan"), str(folder / "weights.safetensors"))
        config = {"_class_name": "WanTransformer3DModel"}
        (folder / "config.json").write_text(json.dumps(config))
        recipe_files += [RecipeFile(role, str(path), "0") for path in sorted(folder.iterdir())]
    return DiffusionModel("wan", tuple(recipe_files))


@pytest.mark.parametrize(
    ("prefix", "expert", "changed"),
    [
        ("diffusion_model.", "both", {"transformer", "transformer_2"}),
        ("diffusion_model.", "first", {"transformer"}),
        ("transformer.", "second", {"transformer_2"}),
        ("transformer_2.", "both", {"transformer_2"}),
    ],
)
def test_an_expert_is_told_by_the_file_or_chosen(
    experts: DiffusionModel, prefix: str, expert: Expert, changed: set[str], tmp_path: Path
) -> None:
    modules = {"transformer": build("wan"), "transformer_2": build("wan")}
    pairs = files.own_pairs(modules["transformer"])
    path = files.saved(files.peft_file(pairs, prefix), tmp_path / "lora.safetensors")
    made = OpenedAdapter(path).apply_to(experts, 1.0, expert)
    assert made.matched is not None
    assert {change.module for change in made.matched.changes} == changed
    found = adapt_modules(modules, made.recipe.adapters, dtype="float32")
    assert {role for role, one in found.items() if one is not modules[role]} == changed


def test_each_expert_has_a_file_of_its_own_where_one_holds_both(
    experts: DiffusionModel, tmp_path: Path
) -> None:
    pairs = files.own_pairs(build("wan"))
    both = files.peft_file(pairs, "transformer.") | files.peft_file(pairs, "transformer_2.")
    path = files.saved(both, tmp_path / "lora.safetensors")
    matched = OpenedAdapter(path).apply_to(experts, 1.0).matched
    assert matched is not None
    assert len(matched.changes) == 2 * len(pairs)


def test_a_model_with_one_has_no_second(experts: DiffusionModel, tmp_path: Path) -> None:
    pairs = files.own_pairs(build("wan"))
    path = files.saved(files.peft_file(pairs, "transformer."), tmp_path / "lora.safetensors")
    one = replace(experts, files=experts.files[:2])
    with raises(InvalidValue, port="expert", given="second"):
        OpenedAdapter(path).apply_to(one, 1.0, "second")
    plain = OpenedAdapter(path).apply_to(one, 1.0, "first").recipe
    assert plain == OpenedAdapter(path).apply_to(one, 1.0).recipe
