"""Load vision networks from files of their authors: foreground, depth and SAM; estimate memory.

Source of a Swin transformer's names: microsoft/Swin-Transformer (MIT), and what transformers'
folders of Swin hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from nodegraph.core.values import VisionNetwork
from nodegraph.core.weight_files import SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile
from nodegraph.families.building import building_from, transformers_module
from nodegraph.families.components import Component
from nodegraph.families.helper_networks import (
    METRIC,
    PATCH,
    SAM3,
    BiRefNetShape,
    DepthShape,
    SAMShape,
    birefnet_shape,
    depth_shape,
    plain_name,
    sam3_name,
    sam_shape,
    u2net_shape,
)
from nodegraph.models.foreground_networks import GRIDS, BiRefNet, U2Net
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.weight_files import read_tensors, refuse_misfits

_RENAMED = (
    (re.compile(r"^patch_embed\.proj\."), "embeddings.patch_embeddings.projection."),
    (re.compile(r"^patch_embed\.norm\."), "embeddings.norm."),
    (re.compile(r"^layers\."), "encoder.layers."),
    (re.compile(r"\.norm1\."), ".layernorm_before."),
    (re.compile(r"\.norm2\."), ".layernorm_after."),
    (re.compile(r"\.attn\.proj\."), ".attention.output.dense."),
    (re.compile(r"\.attn\.relative"), ".attention.self.relative"),
    (re.compile(r"\.mlp\.fc1\."), ".intermediate.dense."),
    (re.compile(r"\.mlp\.fc2\."), ".output.dense."),
)
_FINAL = re.compile(r"^norm(\d)\.")
_JOINED = ".attn.qkv."
_COMPUTED = ("relative_position_index", "attn_mask")
"""What files may hold though it follows from the window's size."""


def as_transformers(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors by other names; queries, keys and values apart.

    Args:
        tensors: Whose names begin with `prefix`, which is dropped.
    """
    renamed: dict[str, Tensor] = {}
    for name, item in tensors.items():
        if not name.endswith(_COMPUTED):
            renamed |= dict(_renamed(name.removeprefix(prefix), item))
    return renamed


def _renamed(name: str, item: Tensor) -> Iterator[tuple[str, Tensor]]:
    for pattern, other in _RENAMED:
        name = pattern.sub(other, name)
    name = _FINAL.sub(lambda match: f"hidden_states_norms.stage{int(match[1]) + 1}.", name)
    if _JOINED not in name:
        yield name, item
        return
    for part, which in zip(item.chunk(3), ("query", "key", "value"), strict=True):
        yield name.replace(_JOINED, f".attention.self.{which}."), part.contiguous()


_BACKBONE = "bb."
_COUNTED = ".num_batches_tracked"
"""What batches were seen in training: files may lack it, and nothing heeds it."""
_PATCH = 4
_CLEARLY = 0.02
"""How much more alike neighbors must be in one order than in the other: several times what comes
about by chance."""


@dataclass(frozen=True, slots=True)
class ForegroundNetwork(Component):
    """A network that takes (batch, 3, height, width) and gives (batch, 1, height, width)."""

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.module.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.module.parameters()).dtype
        return dtype


def load_foreground(recipe: VisionNetwork) -> Component:
    """The network of a recipe, on the CPU.

    Raises:
        InvalidFile: It is damaged, or of no known kind.
    """
    tensors = _plain_tensors(recipe)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    path, [role] = Path(recipe.source), {file.role for file in recipe.files}
    birefnet, u2net = birefnet_shape(shapes), u2net_shape(shapes)
    if birefnet is not None:
        network: nn.Module = _birefnet(birefnet, tensors, path)
    elif u2net is not None:
        network = _load_weights(U2Net(u2net), tensors, path)
    else:
        raise InvalidFile(f"{path} holds no network that masks the foreground")
    return ForegroundNetwork({role: network}, recipe.family)


def _plain_tensors(recipe: VisionNetwork) -> dict[str, Tensor]:
    """The tensors of a recipe's files, without what wrappers put before their names."""
    tensors = read_tensors(weight_paths(recipe), recipe.dtype)
    return {plain_name(name): item for name, item in tensors.items()}


def weight_paths(recipe: VisionNetwork) -> list[Path]:
    """Those of its files that hold tensors."""
    paths = [Path(file.path) for file in recipe.files]
    return [path for path in paths if path.suffix != ".json"]


def foreground_bytes(recipe: VisionNetwork) -> int:
    """Bytes that a network takes in memory, by its headers.

    Raises:
        InvalidFile: A file can't be read.
    """
    each = 4 if recipe.dtype == "float32" else 2
    paths = weight_paths(recipe)
    if any(file_suffix(path) != SAFETENSORS for path in paths):
        return sum(path.stat().st_size for path in paths)
    return each * sum(
        prod(shape)
        for path in paths
        for name, shape in header_of(path).shapes.items()
        # The rest of a file of SAM 3 is its tracker.
        if recipe.family != SAM3 or sam3_name(name) is not None
    )


def _birefnet(shape: BiRefNetShape, tensors: Mapping[str, Tensor], path: Path) -> nn.Module:
    config = transformers.SwinConfig(
        patch_size=_PATCH,
        embed_dim=shape.width,
        depths=list(shape.depths),
        num_heads=list(shape.heads),
        window_size=shape.window,
        # Of no effect but that windows of all stages fit into it: images of any size are taken.
        image_size=_PATCH * 8 * 2 * shape.window,
        drop_path_rate=0.0,
        out_features=[f"stage{stage}" for stage in (1, 2, 3, 4)],
    )
    backbone = {name: item for name, item in tensors.items() if name.startswith(_BACKBONE)}
    with building_from(path):
        eyes = transformers_module(
            transformers.SwinBackbone, config, as_transformers(backbone, _BACKBONE), path
        )
    remaining = {name: item for name, item in tensors.items() if name not in backbone}
    network = BiRefNet(shape, eyes, colors_last=has_colors_last(tensors))
    return _load_weights(network, remaining, path, besides=_BACKBONE)


def has_colors_last(tensors: Mapping[str, Tensor]) -> bool:
    """In which of two orders a BiRefNet was taught to take an image's patches as channels.

    Files don't say it, and of those that are published there are both. But what is beside each
    other in an image is much alike, so what is learned of it is: the order in which the weights of
    neighbors are alike tells it. In the one, the patch below and the next color of the same patch
    are so many channels on; in the other, the patches below and to the right.

    Returns:
        See `birefnet.patches`; False where neither shows, as in weights that learned nothing.
    """
    channels = tensors["decoder.ipt_blk3.conv1.weight"].float().movedim(1, 0).flatten(1)
    grid = GRIDS[3]
    last = _likeness(channels, 3) + _likeness(channels, 3 * grid)
    first = _likeness(channels, grid) + _likeness(channels, grid * grid)
    return last > first + _CLEARLY


def _likeness(channels: Tensor, apart: int) -> float:
    """How alike the weights of channels are that stand so far from each other."""
    return float(cosine_similarity(channels[:-apart], channels[apart:], dim=-1).mean())


def _load_weights(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, besides: str = "\0"
) -> nn.Module:
    """A network with its weights.

    Args:
        besides: Beginning of the names of what has its weights already.
    """
    wanted = {
        name: tuple(item.shape)
        for name, item in network.state_dict().items()
        if not name.startswith(besides) and not name.endswith(_COUNTED)
    }
    own_tensors = {name: tensors[name] for name in wanted if name in tensors}
    wrong = {
        name: (tuple(item.shape), wanted[name])
        for name, item in own_tensors.items()
        if tuple(item.shape) != wanted[name]
    }
    refuse_misfits(path, missing=wanted.keys() - own_tensors.keys(), wrong=wrong, unexpected=())
    network.load_state_dict(own_tensors, strict=False, assign=True)
    return network


_HEAD_CHANNELS = 64
"""Of each head of DINOv2's attention."""
_FUSION = "neck.fusion_stage.layers."
Renaming = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
_DEPTH_NAMES: tuple[Renaming, ...] = (
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
_DEPTH_JOINED = ".attn.qkv."


def load_depth(recipe: VisionNetwork) -> Component:
    """The network of a recipe, on the CPU.

    Raises:
        InvalidFile: It is damaged, or of no known kind.
    """
    path, tensors = Path(recipe.source), _plain_tensors(recipe)
    shape = depth_shape({name: tuple(item.shape) for name, item in tensors.items()})
    if shape is None:
        raise InvalidFile(f"{path} holds no Depth Anything")
    config = _depth_config(shape, is_metric=bool(recipe.option(METRIC)))
    kind = transformers.DepthAnythingForDepthEstimation
    with building_from(path):
        network = transformers_module(kind, config, depth_as_transformers(tensors), path)
    return Component({recipe.files[0].role: network}, recipe.family)


def _depth_config(shape: DepthShape, *, is_metric: bool) -> transformers.DepthAnythingConfig:
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


def depth_as_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as folders for transformers name them; queries, keys and values apart."""
    return {
        other: part for name, item in tensors.items() for other, part in _depth_names(name, item)
    }


def _depth_names(name: str, item: Tensor) -> Iterator[tuple[str, Tensor]]:
    for pattern, other in _DEPTH_NAMES:
        name = pattern.sub(other, name)
    if _DEPTH_JOINED not in name:
        yield name, item
        return
    for part, which in zip(item.chunk(3), ("query", "key", "value"), strict=True):
        yield name.replace(_DEPTH_JOINED, f".attention.attention.{which}."), part.contiguous()


_SAM_NAMES: tuple[Renaming, ...] = (
    (re.compile(r"^image_encoder\.blocks\."), "vision_encoder.layers."),
    (re.compile(r"^image_encoder\.patch_embed\.proj\."), "vision_encoder.patch_embed.projection."),
    (re.compile(r"^image_encoder\.neck\.([02])\."),
     lambda match: f"vision_encoder.neck.conv{int(match[1]) // 2 + 1}."),
    (re.compile(r"^image_encoder\.neck\.([13])\."),
     lambda match: f"vision_encoder.neck.layer_norm{int(match[1]) // 2 + 1}."),
    (re.compile(r"^image_encoder\."), "vision_encoder."),
    (re.compile(r"^prompt_encoder\.point_embeddings\."), "prompt_encoder.point_embed."),
    (re.compile(r"^prompt_encoder\.mask_downscaling\.([036])\."),
     lambda match: f"prompt_encoder.mask_embed.conv{int(match[1]) // 3 + 1}."),
    (re.compile(r"^prompt_encoder\.mask_downscaling\.([14])\."),
     lambda match: f"prompt_encoder.mask_embed.layer_norm{int(match[1]) // 3 + 1}."),
    (re.compile(r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix"),
     "prompt_encoder.shared_embedding.positional_embedding"),
    (re.compile(r"^mask_decoder\.output_upscaling\.0\."), "mask_decoder.upscale_conv1."),
    (re.compile(r"^mask_decoder\.output_upscaling\.1\."), "mask_decoder.upscale_layer_norm."),
    (re.compile(r"^mask_decoder\.output_upscaling\.3\."), "mask_decoder.upscale_conv2."),
    (re.compile(r"\.norm_final_attn\."), ".layer_norm_final_attn."),
    (re.compile(r"\.norm(\d)\."), r".layer_norm\1."),
)  # fmt: skip
"""Source: facebookresearch/segment-anything (Apache 2.0), and its folders for transformers."""
_SAM_LAYERS = re.compile(
    r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.(\d+)\."
)
_MASK_LAYERS = 3
_SAM_HEADS = 8
"""Heads of attention of the mask decoder in all published files; no tensor tells their number."""


def load_sam(recipe: VisionNetwork) -> Component:
    """The network of a recipe, on the CPU.

    Raises:
        InvalidFile: It is damaged, or no SAM.
    """
    path, tensors = Path(recipe.source), _plain_tensors(recipe)
    shape = sam_shape({name: tuple(item.shape) for name, item in tensors.items()})
    if shape is None:
        raise InvalidFile(f"{path} holds no SAM")
    renamed = sam_as_transformers(tensors, shape)
    with building_from(path):
        network = transformers_module(transformers.SamModel, _sam_config(shape), renamed, path)
    return Component({recipe.files[0].role: network}, recipe.family)


def _sam_config(shape: SAMShape) -> transformers.SamConfig:
    sizes = {"image_size": shape.side, "patch_size": shape.patch}
    encoder = transformers.SamVisionConfig(
        **sizes,
        hidden_size=shape.width,
        output_channels=shape.channels,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        window_size=shape.window,
        global_attn_indexes=list(shape.whole),
        num_pos_feats=shape.waves,
        mlp_dim=shape.inner,
    )
    prompts = transformers.SamPromptEncoderConfig(
        **sizes,
        hidden_size=shape.channels,
        mask_input_channels=shape.mask_channels,
        num_point_embeddings=shape.points,
    )
    decoder = transformers.SamMaskDecoderConfig(
        hidden_size=shape.channels,
        mlp_dim=shape.decoder_inner,
        num_hidden_layers=shape.decoder_layers,
        num_attention_heads=_SAM_HEADS,
        attention_downsample_rate=shape.narrowed,
        num_multimask_outputs=shape.masks - 1,
        iou_head_depth=shape.score_layers,
        iou_head_hidden_dim=shape.score_width,
    )
    return transformers.SamConfig(
        vision_config=encoder.to_dict(),
        prompt_encoder_config=prompts.to_dict(),
        mask_decoder_config=decoder.to_dict(),
    )


def sam_as_transformers(tensors: Mapping[str, Tensor], shape: SAMShape) -> dict[str, Tensor]:
    """The tensors as folders for transformers name them."""
    renamed = {_sam_name(name, shape): item for name, item in tensors.items()}
    positions = renamed.get("prompt_encoder.shared_embedding.positional_embedding")
    if positions is not None:
        # Folders hold it twice: images and prompts share it.
        renamed["shared_image_embedding.positional_embedding"] = positions
    return renamed


def _sam_name(name: str, shape: SAMShape) -> str:
    layer = _SAM_LAYERS.match(name)
    if layer is not None:
        head, at = layer[1], int(layer[2])
        last = (shape.score_layers if "iou" in head else _MASK_LAYERS) - 1
        other = {0: "proj_in", last: "proj_out"}.get(at, f"layers.{at - 1}")
        return f"{head}.{other}.{name[layer.end() :]}"
    for pattern, other_name in _SAM_NAMES:
        name = pattern.sub(other_name, name)
    return name
