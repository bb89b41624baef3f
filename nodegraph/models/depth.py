"""Load Depth Anything from files of its authors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import transformers
from torch import Tensor

from nodegraph.core.values import VisionNetwork
from nodegraph.errors import InvalidFile
from nodegraph.families.building import building_from, transformers_module
from nodegraph.families.components import Component
from nodegraph.families.helper_networks import METRIC, PATCH, DepthShape, depth_shape, plain_name
from nodegraph.weights.weight_files import read_tensors

_HEAD_CHANNELS = 64
"""Of each head of DINOv2's attention."""
_FUSION = "neck.fusion_stage.layers."
Renaming = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
_RENAMED: tuple[Renaming, ...] = (
    (re.compile(r"^pretrained\.cls_token"), "backbone.embeddings.cls_token"),
    (re.compile(r"^pretrained\.mask_token"), "backbone.embeddings.mask_token"),
    (re.compile(r"^pretrained\.pos_embed"), "backbone.embeddings.position_embeddings"),
    (re.compile(r"^pretrained\.patch_embed\.proj"),
     "backbone.embeddings.patch_embeddings.projection"),
    (re.compile(r"^pretrained\.blocks\."), "backbone.encoder.layer."),
    (re.compile(r"^pretrained\.norm"), "backbone.layernorm"),
    (re.compile(r"\.attn\.proj\."), ".attention.output.dense."),
    (re.compile(r"\.ls(\d)\.gamma"), r".layer_scale\1.lambda1"),
    (re.compile(r"\.mlp\.w12\."), ".mlp.weights_in."),
    (re.compile(r"\.mlp\.w3\."), ".mlp.weights_out."),
    (re.compile(r"^depth_head\.projects\.(\d)"), r"neck.reassemble_stage.layers.\1.projection"),
    (re.compile(r"^depth_head\.resize_layers\.(\d)"), r"neck.reassemble_stage.layers.\1.resize"),
    (re.compile(r"^depth_head\.scratch\.layer(\d)_rn"),
     lambda match: f"neck.convs.{int(match[1]) - 1}"),
    # The deepest is the fourth there, and the first here.
    (re.compile(r"^depth_head\.scratch\.refinenet(\d)"),
     lambda match: f"{_FUSION}{4 - int(match[1])}"),
    (re.compile(r"\.resConfUnit(\d)\.conv(\d)"), r".residual_layer\1.convolution\2"),
    (re.compile(r"\.out_conv\."), ".projection."),
    (re.compile(r"^depth_head\.scratch\.output_conv1"), "head.conv1"),
    (re.compile(r"^depth_head\.scratch\.output_conv2\.0"), "head.conv2"),
    (re.compile(r"^depth_head\.scratch\.output_conv2\.2"), "head.conv3"),
)  # fmt: skip
"""Source: DepthAnything/Depth-Anything-V2 (Apache 2.0), and its folders for transformers."""
_JOINED = ".attn.qkv."


def load_depth(recipe: VisionNetwork) -> Component:
    """The network of a recipe, on the CPU.

    Raises:
        InvalidFile: It is damaged, or of no known kind.
    """
    paths, path = [Path(file.path) for file in recipe.files], Path(recipe.source)
    tensors = {plain_name(name): item for name, item in read_tensors(paths, recipe.dtype).items()}
    shape = depth_shape({name: tuple(item.shape) for name, item in tensors.items()})
    if shape is None:
        raise InvalidFile(f"{path} holds no Depth Anything")
    config = _config(shape, is_metric=bool(recipe.option(METRIC)))
    kind = transformers.DepthAnythingForDepthEstimation
    with building_from(path):
        network = transformers_module(kind, config, as_transformers(tensors), path)
    return Component({recipe.files[0].role: network}, recipe.family)


def _config(shape: DepthShape, *, is_metric: bool) -> transformers.DepthAnythingConfig:
    eyes = transformers.Dinov2Config(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=max(shape.width // _HEAD_CHANNELS, 1),
        image_size=shape.side,
        patch_size=PATCH,
        use_swiglu_ffn=shape.gated,
        use_mask_token=shape.masked,
        out_features=[f"stage{stage}" for stage in shape.stages],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    return transformers.DepthAnythingConfig(
        backbone_config=eyes,
        patch_size=PATCH,
        reassemble_hidden_size=shape.width,
        neck_hidden_sizes=list(shape.necks),
        fusion_hidden_size=shape.fused,
        head_hidden_size=shape.head,
        head_in_index=-1,
        depth_estimation_type="metric" if is_metric else "relative",
        # In meters; images of depths are stretched, so that any will do.
        max_depth=20 if is_metric else 1,
    )


def as_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as folders for transformers name them; queries, keys and values apart."""
    return {other: part for name, item in tensors.items() for other, part in _renamed(name, item)}


def _renamed(name: str, item: Tensor) -> Iterator[tuple[str, Tensor]]:
    for pattern, other in _RENAMED:
        name = pattern.sub(other, name)
    if _JOINED not in name:
        yield name, item
        return
    for part, which in zip(item.chunk(3), ("query", "key", "value"), strict=True):
        yield name.replace(_JOINED, f".attention.attention.{which}."), part.contiguous()
