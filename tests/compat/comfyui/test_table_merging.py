"""Merges and saved models of ComfyUI: the same formulas, by block and in all."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import nn

from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import Source
from nodegraph.interop.comfyui.importer import import_document, node_table
from nodegraph.interop.comfyui.table.model_merging import BLOCKS
from nodegraph.training.merge_weights import parse_blocks
from nodegraph.weights.single_files.unet import unet_to_original
from tests.compat.comfyui.supplied import TABLE, imported, supplied, used, with_sampler
from tests.compat.comfyui.test_exporting import TABLE as ENTRIES
from tests.compat.comfyui.test_exporting import catalog
from tests.compat.comfyui.test_table_back import node
from tests.compat.comfyui.test_table_core import exported
from tests.compat.comfyui.test_table_leading import MODEL, chained
from tests.diffusion.conftest import tiny_unet

PAIR = {"model1": MODEL, "model2": MODEL}
SMALL = {"num_attention_heads": 1, "attention_head_dim": 8}
COSMOS = {**SMALL, "attention_head_dim": 16, "text_embed_dim": 8, "adaln_lora_dim": 4}


def merge_of(kind: str, **weights: Any) -> dict[str, Any]:
    """The native merge that a type becomes."""
    graph = supplied(TABLE[kind])
    node = graph.nodes["node"]
    graph = supplied(TABLE[kind], **{**node.inputs, **weights})
    [merge] = used(imported(with_sampler(graph)).workflow, "MergeModels")
    return merge


def share_there(name: str, weights: dict[str, float]) -> float:
    """The share of the first model: of the longest input that the name begins with, or the first
    input. `name` is that of the original code."""
    fitting = [key for key in weights if name.startswith(key)]
    return weights[max(fitting, key=len)] if fitting else next(iter(weights.values()))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("ModelMergeBlocks", {"input": 0.75, "middle": 0.5, "out": 0.1}),
        ("ModelMergeBlocks", {"input": 0.3, "middle": 0.3}),
        (
            "ModelMergeSD1",
            {"time_embed.": 0.6, "input_blocks.0.": 0.1, "input_blocks.1.": 0.2, "out.": 0.3}
            | {"input_blocks.2.": 0.2, "input_blocks.3.": 0.2, "middle_block.1.": 0.4}
            | {f"input_blocks.{index}.": 0.6 for index in range(4, 12)}
            | {f"output_blocks.{index}.": 0.6 for index in range(4, 12)}
            | {"label_emb.": 0.6, "output_blocks.2.": 0.0},
        ),
    ],
)
def test_blocks_have_the_shares_that_they_have_there(kind: str, changed: dict[str, float]) -> None:
    merge = merge_of(kind, **changed)
    weights = dict.fromkeys(BLOCKS[kind], 1.0) | changed
    net = tiny_unet()
    tensors = {name: torch.full((1,), float(index)) for index, name in enumerate(net.state_dict())}
    there = {int(number): name for name, number in unet_to_original(tensors, net.config).items()}
    rules = parse_blocks(merge.get("blocks") or "")
    resolved = rules.resolve(merge["weight"], list(tensors), net.config)
    assert len(there) == len(tensors)
    for index, name in enumerate(tensors):
        share = share_there(there[index], weights)
        assert resolved.weight(name) == pytest.approx(1 - share, abs=1e-6), (name, there[index])


TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ModelMergeFlux1": (
        "FluxTransformer2DModel",
        {**SMALL, "num_layers": 19, "num_single_layers": 38, "joint_attention_dim": 8}
        | {"pooled_projection_dim": 8, "guidance_embeds": True, "axes_dims_rope": (2, 2, 4)},
    ),
    "ModelMergeSD3_2B": (
        "SD3Transformer2DModel",
        {**SMALL, "num_layers": 24, "joint_attention_dim": 8, "caption_projection_dim": 8}
        | {"pooled_projection_dim": 8, "pos_embed_max_size": 4, "sample_size": 4},
    ),
    "ModelMergeSD35_Large": (
        "SD3Transformer2DModel",
        {**SMALL, "num_layers": 38, "joint_attention_dim": 8, "caption_projection_dim": 8}
        | {"pooled_projection_dim": 8, "pos_embed_max_size": 4, "sample_size": 4},
    ),
    "ModelMergeAuraflow": (
        "AuraFlowTransformer2DModel",
        {**SMALL, "num_mmdit_layers": 4, "num_single_dit_layers": 32, "joint_attention_dim": 8}
        | {"caption_projection_dim": 8, "pos_embed_max_size": 16, "sample_size": 4},
    ),
    "ModelMergeMochiPreview": (
        "MochiTransformer3DModel",
        {**SMALL, "num_layers": 48, "pooled_projection_dim": 8, "text_embed_dim": 8}
        | {"time_embed_dim": 8},
    ),
    "ModelMergeLTXV": (
        "LTXVideoTransformer3DModel",
        {**SMALL, "num_layers": 28, "cross_attention_dim": 8, "caption_channels": 8},
    ),
    **{
        f"ModelMergeCosmos{size}": ("CosmosTransformer3DModel", {**COSMOS, "num_layers": layers})
        for size, layers in (("7B", 28), ("14B", 36))
    },
    **{
        f"ModelMergeCosmosPredict2_{size}": (
            "CosmosTransformer3DModel",
            {**COSMOS, "num_layers": layers, "extra_pos_embed_type": None},
        )
        for size, layers in (("2B", 28), ("14B", 36))
    },
    "ModelMergeWAN2_1": (
        "WanTransformer3DModel",
        {**SMALL, "num_layers": 40, "ffn_dim": 8, "text_dim": 8, "freq_dim": 8, "image_dim": 8}
        | {"attention_head_dim": 12},
    ),
    "ModelMergeQwenImage": (
        "QwenImageTransformer2DModel",
        {**SMALL, "num_layers": 60, "joint_attention_dim": 8, "axes_dims_rope": (2, 2, 4)},
    ),
}
"""Small networks with as many blocks as the published ones."""


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_all_blocks_of_a_transformer_have_names(kind: str) -> None:
    class_name, config = TRANSFORMERS[kind]
    with torch.device("meta"):
        net: nn.Module = getattr(diffusers, class_name)(**config)
    names = [name for name, _ in net.named_parameters()] + [name for name, _ in net.named_buffers()]
    numbered = {name: (index + 1) / 1000 for index, name in enumerate(BLOCKS[kind])}
    merge = merge_of(kind, **numbered)
    resolved = parse_blocks(merge["blocks"]).resolve(-1.0, names, net.config)
    by_weight = {round(1 - share, 6): name for name, share in numbered.items()}
    reached = {by_weight.get(resolved.weight(name), "") for name in names}
    without_weights = {name for name, layers in BLOCKS[kind].items() if not layers}
    assert reached - {""} == set(numbered) - without_weights - {next(iter(numbered))}


def test_added_and_subtracted_models() -> None:
    chain = chained(
        less=("ModelMergeSubtract", {**PAIR, "multiplier": 0.5}),
        more=("ModelMergeAdd", {"model1": MODEL, "model2": Source("less", 0)}),
        sample=("KSampler", {"model": Source("more", 0)}),
    )
    less, more = used(imported(chain).workflow, "MergeModels")
    assert (less["first_weight"], less["weight"]) == (0.5, -0.5)
    assert (more["first_weight"], more["weight"]) == (1, 1)


def test_a_lora_is_extracted_from_the_two_models_of_a_difference() -> None:
    chain = chained(
        less=("ModelMergeSubtract", PAIR),
        clip=("CLIPMergeSubtract", {}),
        save=(
            "LoraSave",
            {"model_diff": Source("less", 0), "text_encoder_diff": Source("clip", 0), "rank": 4},
        ),
    )
    workflow = imported(chain).workflow
    [extract] = used(workflow, "ExtractLora")
    assert extract["rank"] == 4
    assert {"model", "base", "text_encoder", "base_text_encoder"} <= extract.keys()
    [save] = used(workflow, "SaveWeights")
    assert save["name"] == "loras/ComfyUI_extracted_lora"


@pytest.mark.parametrize(
    ("there", "native"),
    [("CLIPSave", "SaveTextEncoder"), ("VAESave", "SaveVae"), ("ModelSave", "SaveModel")],
)
def test_parts_are_saved_alone(there: str, native: str) -> None:
    [save] = used(imported(supplied(TABLE[there], filename_prefix="a/b")).workflow, native)
    assert save["name"] == "a/b"


@pytest.mark.parametrize(
    "kind", ["ModelMergeSimple", "ModelMergeAdd", "ModelMergeSubtract", "ModelMergeSD1"]
)
@pytest.mark.parametrize(("patched", "guiders"), [("model1", 1), ("model2", 0)])
def test_a_merge_keeps_the_patches_of_the_first_model(
    kind: str, patched: str, guiders: int
) -> None:
    nodes: list[tuple[str, dict[str, Any]]] = [
        ("CheckpointLoaderSimple", {"ckpt_name": "a.safetensors"}),
        ("Mahiro", {"model": ["0", 0]}),
        (kind, {"model1": ["0", 0], "model2": ["0", 0], patched: ["1", 0]}),
        ("CLIPTextEncode", {"clip": ["0", 1], "text": "a"}),
        ("EmptyLatentImage", {}),
        (
            "KSampler",
            {"model": ["2", 0], "positive": ["3", 0], "negative": ["3", 0]}
            | {"latent_image": ["4", 0]},
        ),
        ("VAEDecode", {"samples": ["5", 0], "vae": ["0", 2]}),
        ("SaveImage", {"images": ["6", 0]}),
    ]
    document = {
        str(number): {"class_type": node_type, "inputs": inputs}
        for number, (node_type, inputs) in enumerate(nodes)
    }
    found = import_document(document, node_table())
    assert not found.placeholders
    kinds = [node.type for node in found.workflow.nodes.values()]
    assert kinds.count("PositiveBiasedGuidance") == guiders


@pytest.mark.parametrize("kind", ["MODEL", "CLIP"])
@pytest.mark.parametrize(
    ("name", "weights", "numbers"),
    [
        ("Simple", {}, {"ratio": 0.5}),
        ("Simple", {"weight": 0.25}, {"ratio": 0.75}),
        ("Add", {"first_weight": 1.0, "weight": 1.0}, {}),
        ("Subtract", {"first_weight": 0.5, "weight": -0.5}, {"multiplier": 0.5}),
    ],
)
def test_a_merge_goes_back_to_the_type_of_its_formula(
    kind: str, name: str, weights: dict[str, float], numbers: dict[str, float]
) -> None:
    native, port = {
        "MODEL": ("MergeModels", "model"),
        "CLIP": ("MergeTextEncoders", "text_encoder"),
    }[kind]
    models = {each: {"from": f"load.{port}"} for each in (port, "second")}
    back = exported(native, **models, **weights)[
        {"MODEL": f"ModelMerge{name}", "CLIP": f"CLIPMerge{name}"}[kind]
    ]
    assert back.keys() == {f"{kind.lower()}1", f"{kind.lower()}2", *numbers}
    assert {each: back[each] for each in numbers} == numbers


@pytest.mark.parametrize(
    "weights",
    [
        {"first_weight": 0.3, "weight": 0.9},
        {"blocks": "mid_block: 1"},
        {"base": {"from": "load.model"}},
    ],
)
def test_a_merge_that_comfyui_lacks_stays_native(weights: dict[str, Any]) -> None:
    models = {each: {"from": "load.model"} for each in ("model", "second")}
    nodes = {"load": node("LoadModel", model="a.safetensors")}
    nodes |= {"it": node("MergeModels", **models, **weights)}
    written = export(Workflow(title="merge", nodes=nodes), ENTRIES, catalog())
    assert [*written.unknown] == ["it"]
