"""Depth Anything V2 in a file of its authors' is the same model as in a folder for transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nodegraph.families.helper_networks import depth_shape
from nodegraph.models.model_sources import list_models
from tests.nodes.conftest import Bench, link
from tests.vision.foreground_files import save

PUBLISHED = (
    (r"^backbone\.embeddings\.position_embeddings", "pretrained.pos_embed"),
    (r"^backbone\.embeddings\.patch_embeddings\.projection", "pretrained.patch_embed.proj"),
    (r"^backbone\.embeddings\.", "pretrained."),
    (r"^backbone\.encoder\.layer\.", "pretrained.blocks."),
    (r"^backbone\.layernorm", "pretrained.norm"),
    (r"attention\.output\.dense", "attn.proj"),
    (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.projection", r"depth_head.projects.\1"),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.resize", r"depth_head.resize_layers.\1"),
    (r"residual_layer(\d)\.convolution(\d)", r"resConfUnit\1.conv\2"),
    (r"(layers\.\d)\.projection", r"\1.out_conv"),
    (r"^head\.conv1", "depth_head.scratch.output_conv1"),
    (r"^head\.conv2", "depth_head.scratch.output_conv2.0"),
    (r"^head\.conv3", "depth_head.scratch.output_conv2.2"),
)


def as_published(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A folder's tensors as the authors name them."""
    found: dict[str, torch.Tensor] = {}
    for name, item in tensors.items():
        if "attention.attention.key" in name or "attention.attention.value" in name:
            continue
        parts = [item]
        if "attention.attention.query" in name:
            parts += [tensors[name.replace("query", other)] for other in ("key", "value")]
            name = name.replace("attention.attention.query", "attn.qkv")
        for at in range(4):
            name = name.replace(f"neck.convs.{at}.", f"depth_head.scratch.layer{at + 1}_rn.")
            deeper = f"depth_head.scratch.refinenet{4 - at}"
            name = re.sub(
                rf"^neck\.fusion_stage\.layers\.{at}\.projection", f"{deeper}.out_conv", name
            )
            name = name.replace(f"neck.fusion_stage.layers.{at}", deeper)
        for pattern, other in PUBLISHED:
            name = re.sub(pattern, other, name)
        found[name] = torch.cat(parts).contiguous()
    return found


def depths(model: str) -> dict[str, Any]:
    picture = {"width": 70, "height": 56}
    return {
        "picture": {"type": "Picture", "inputs": picture},
        "load": {"type": "LoadVisionModel", "inputs": {"model": model}},
        "depth": {
            "type": "EstimateDepth",
            "inputs": {"model": link("load"), "image": link("picture")},
        },
    }


@pytest.fixture
def file(bench: Bench, models: Callable[[str], Any]) -> str:
    models("depth")
    folder = bench.folder / "models" / "depth"
    tensors = as_published(load_file(folder / "model.safetensors"))
    for name in ("depth_anything_v2_tiny", "depth_anything_v2_metric_tiny"):
        save(bench.folder / "models" / "depthanything" / f"{name}.safetensors", tensors)
    return "depthanything/depth_anything_v2_tiny.safetensors"


def test_the_file_says_what_the_folder_says(bench: Bench, file: str) -> None:
    image = bench.value(depths(file), "depth.image")
    assert image.shape == (1, 56, 70, 3)
    assert (image.min(), image.max()) == (0, pytest.approx(1))
    # As its folders for transformers have it.
    said = {
        "size": {"height": 518, "width": 518}, "resample": 3,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    config = bench.folder / "models" / "depth" / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | said))
    assert torch.equal(bench.value(depths("depth"), "depth.image"), image)


def test_a_name_tells_that_distances_are_meant(bench: Bench, file: str) -> None:
    near = bench.value(depths(file), "depth.image")
    far = bench.value(depths(file.replace("v2_tiny", "v2_metric_tiny")), "depth.image")
    # Both are shown with the nearest white; so what is near by the one is far by the other.
    assert ((near - 0.5) * (far - 0.5)).mean() < 0


def test_it_is_listed_with_its_node(bench: Bench, file: str) -> None:
    found = {model.name: model for model in list_models([bench.folder / "models"])}[file]
    assert (found.node, found.part, found.problem) == ("LoadVisionModel", "Depth Anything", None)


def test_published_sizes_are_told_by_names_and_shapes() -> None:
    shapes = {
        "pretrained.cls_token": (1, 1, 1024),
        "pretrained.pos_embed": (1, 1370, 1024),
        "pretrained.mask_token": (1, 1024),
        "depth_head.scratch.layer1_rn.weight": (256, 256, 3, 3),
        "depth_head.scratch.output_conv2.0.weight": (32, 128, 3, 3),
        **{f"pretrained.blocks.{at}.attn.qkv.weight": (3072, 1024) for at in range(24)},
        **{f"depth_head.projects.{at}.weight": (size, 1024, 1, 1)
           for at, size in enumerate((256, 512, 1024, 1024))},
    }  # fmt: skip
    found = depth_shape(shapes)
    assert found is not None
    assert (found.width, found.layers, found.side, found.gated) == (1024, 24, 518, False)
    assert found.stages == (5, 12, 18, 24)
    assert found.necks == (256, 512, 1024, 1024)
    assert depth_shape({"pretrained.cls_token": (1, 1, 1024)}) is None
