"""Helper networks: those of upscaling images and latents, foreground, depth and SAM by tensor
shapes, and what each vision class of transformers does.

Imports no torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from nodegraph.errors import NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.weights.single_files.base import FileLayout, count_of

_FIRST, _SLOPES = "body.0.weight", "body.1.weight"
_OTHERS = (
    ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"),
    ("conv_first.weight", "body.0.rdb1.conv1.weight"),
    ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight"),
    ("conv_first.weight", "layers.0.residual_group.blocks.0.norm1.weight"),
    ("conv_first.weight", "layers.0.residual_group.blocks.0.attn.qkv.weight"),
    ("block_1.c1_r.sk.weight", "conv_1.sk.weight"),
)
"""Tensors by which what spandrel reads is told: ESRGAN in three namings, SwinIR, HAT and DAT, SPAN.
It reads many more, which are tried."""


@dataclass(frozen=True)
class CompactShape:
    """What tells one compact network from another.

    Attributes:
        channels: Of the images that it takes.
        outputs: Of those that it gives.
        width: Channels within.
        layers: Convolutions between the first and the last.
        scale: How many times larger its images are.
    """

    channels: int
    outputs: int
    width: int
    layers: int
    scale: int


def compact_shape(shapes: Mapping[str, Sequence[int]]) -> CompactShape | None:
    """The compact network that tensors of these names and shapes are of; None of any other's."""
    first, slopes = shapes.get(_FIRST), shapes.get(_SLOPES)
    numbers = [_number(name) for name in shapes]
    if first is None or slopes is None or None in numbers or len(first) != 4 or len(slopes) != 1:
        return None
    last = max(number for number in numbers if number is not None)
    bias = shapes.get(f"body.{last}.bias")
    if bias is None or len(bias) != 1 or last % 2:
        return None
    channels = first[1]
    for outputs in (channels, 3, 1):
        scale = math.isqrt(bias[0] // outputs)
        if scale >= 1 and outputs * scale**2 == bias[0]:
            return CompactShape(channels, outputs, first[0], (last - 2) // 2, scale)
    return None


def is_upscaler(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether tensors are surely of a network that enlarges images."""
    return compact_shape(shapes) is not None or any(
        all(name in shapes for name in names) for names in _OTHERS
    )


_UPSAMPLER = (
    "initial_conv.weight",
    "initial_norm.weight",
    "post_upsample_res_blocks.0.conv1.weight",
    "final_conv.weight",
)
_RATIONAL, _SHUFFLED = "upsampler.conv.weight", "upsampler.0.weight"
_RATIONAL_SCALES = {4: 2.0, 9: 1.5, 16: 4.0}
"""Of the sides, by the channels that the network makes of one before it shuffles them."""
_DIRECTIONS = {4: (True, False), 2: (False, True), 8: (True, True)}
"""Whether it doubles the sides and the frames, likewise."""


def _upsampler_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    first = shapes["initial_conv.weight"]
    is_rational = _RATIONAL in shapes
    times = shapes[_RATIONAL if is_rational else _SHUFFLED][0] // first[0]
    spatial, temporal = (True, False) if is_rational else _DIRECTIONS[times]
    return {
        "in_channels": first[1],
        "mid_channels": first[0],
        "num_blocks_per_stage": count_of(shapes, r"res_blocks\.(\d+)\."),
        "dims": len(first) - 2,
        "spatial_upsample": spatial,
        "temporal_upsample": temporal,
        "rational_spatial_scale": _RATIONAL_SCALES[times] if is_rational else 2.0,
        "use_rational_resampler": is_rational,
    }


LATENT_UPSAMPLER = FileLayout(
    "ltx-latent-upsampler",
    "a latent upscale model of LTX",
    "LTX2LatentUpsamplerModel",
    lambda shapes: {*_UPSAMPLER} <= shapes.keys(),
    _upsampler_config,
    lambda tensors, config: dict(tensors),
)
"""In the published names, which diffusers has kept.

Source: diffusers, ``pipelines/ltx2/latent_upsampler.py``. LTX-Video's has the same layers.
"""


def _number(name: str) -> int | None:
    """Of the layer that a compact network's tensor belongs to."""
    parts = name.split(".")
    known = len(parts) == 3 and parts[0] == "body" and parts[2] in ("weight", "bias")
    return int(parts[1]) if known and parts[1].isdecimal() else None


Shapes = Mapping[str, Sequence[int]]
BIREFNET, U2NET = "BiRefNet", "U2Net"
ONNX_DETECTOR = "OnnxDetector"
"""Detectors of the YOLO kind in ONNX files."""
STAGES = ("1", "2", "3", "4", "5", "6", "5d", "4d", "3d", "2d", "1d")
"""Of a U²-Net: down, and up again."""

_WRAPPED = re.compile(r"^(?:module\.|_orig_mod\.)+")
"""What training on several devices, and torch.compile, put before names."""
_TABLE = "bb.layers.{}.blocks.0.attn.relative_position_bias_table"
_BLOCK = "decoder.decoder_block4."
_BRANCH = _BLOCK + "dec_att.aspp_deforms.{}.atrous_conv.regular_conv.weight"


@dataclass(frozen=True)
class BiRefNetShape:
    """What tells one BiRefNet from another.

    Attributes:
        width: Channels of the first stage of its Swin transformer.
        depths, heads: Of that one's four stages: layers, and heads of attention.
        window: Side of the windows within which it attends, in patches.
        inner, branch: Channels within blocks of the decoder, and of each branch in them.
        kernels: Sides of the branches' deformable convolutions.
        image_channels: Channels between the two convolutions that the image's patches pass.
    """

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    inner: int
    branch: int
    kernels: tuple[int, ...]
    image_channels: int


@dataclass(frozen=True)
class U2NetShape:
    """What tells one network of U²-Net's kind from another.

    Attributes:
        stages: Channels that each of `STAGES` takes, has within, and gives.
        stem: Channels of the convolution before the first one, of stride 2; None without, as in
            U²-Net itself. ISNet and RMBG-1.4 have it.
        fused: Whether a last convolution joins the answers of all scales.
    """

    stages: tuple[tuple[int, int, int], ...]
    stem: int | None
    fused: bool


def plain_name(name: str) -> str:
    """A tensor's name without what wrappers of networks put before it."""
    return _WRAPPED.sub("", name)


def birefnet_shape(shapes: Shapes) -> BiRefNetShape | None:
    """The BiRefNet that tensors of these names and shapes are of; None of any other network's."""
    plain = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    try:
        tables = [plain[_TABLE.format(stage)] for stage in range(4)]
        return BiRefNetShape(
            width=plain["bb.patch_embed.proj.weight"][0],
            depths=tuple(_depth(plain, stage) for stage in range(4)),
            heads=tuple(table[1] for table in tables),
            window=(math.isqrt(tables[0][0]) + 1) // 2,
            inner=plain[_BLOCK + "conv_in.weight"][0],
            branch=plain[_BRANCH.format(0)][0],
            kernels=tuple(_kernels(plain)),
            image_channels=plain["decoder.ipt_blk5.conv1.weight"][0],
        )
    except (KeyError, IndexError):
        return None


def _depth(shapes: Shapes, stage: int) -> int:
    names = (f"bb.layers.{stage}.blocks.{at}.norm1.weight" for at in range(len(shapes)))
    return next(at for at, name in enumerate(names) if name not in shapes)


def _kernels(shapes: Shapes) -> Iterator[int]:
    for at in range(len(shapes)):
        if _BRANCH.format(at) not in shapes:
            return
        yield shapes[_BRANCH.format(at)][-1]


def u2net_shape(shapes: Shapes) -> U2NetShape | None:
    """The network of U²-Net's kind that tensors are of; None of any other network's."""
    plain = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    try:
        stages = tuple(_stage(plain, name) for name in STAGES)
        stem = plain["conv_in.weight"][0] if "conv_in.weight" in plain else None
        answers = plain["side1.weight"][0]
    except (KeyError, IndexError):
        return None
    return U2NetShape(stages, stem, "outconv.weight" in plain) if answers == 1 else None


def _stage(shapes: Shapes, name: str) -> tuple[int, int, int]:
    entry_shape, first = (
        shapes[f"stage{name}.rebnconv{which}.conv_s1.weight"] for which in ("in", "1")
    )
    return entry_shape[1], first[0], entry_shape[0]


def foreground_class(shapes: Shapes) -> str | None:
    """Which of the networks here tensors are of; None of any other's."""
    if birefnet_shape(shapes) is not None:
        return BIREFNET
    return U2NET if u2net_shape(shapes) is not None else None


def is_foreground(shapes: Shapes) -> bool:
    """Whether tensors are of a network that masks the foreground."""
    return foreground_class(shapes) is not None


def published_preparation(shapes: Shapes) -> Mapping[str, Any]:
    """How images are prepared for a network, as a ``preprocessor_config.json`` says it.

    Source: the examples published with each of them.
    """
    shape = u2net_shape(shapes)
    if shape is None:
        return _IMAGENET
    return _IMAGENET | _side(320) if shape.stem is None else _CENTRED


def _side(pixels: int) -> dict[str, Any]:
    return {"size": {"height": pixels, "width": pixels}}


_IMAGENET: dict[str, Any] = {
    **_side(1024), "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
}  # fmt: skip
_CENTRED: Mapping[str, Any] = MappingProxyType(
    {**_side(1024), "image_mean": [0.5] * 3, "image_std": [1.0] * 3}
)

DEPTH_ANYTHING = "DepthAnythingForDepthEstimation"
"""Its class in transformers."""
METRIC = "metric"
"""Option of recipes: it tells how far things are, not how near. Files of both are alike but for
their names."""
PATCH = 14
_EYES, _HEAD = "pretrained.", "depth_head."
_LAYERS: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {12: (3, 6, 9, 12), 24: (5, 12, 18, 24), 40: (10, 20, 30, 40)}
)
"""Whose features the head takes, by how many there are, of V2 (arXiv:2406.09414)."""

PREPARATION: Mapping[str, Any] = MappingProxyType(
    {
        "image_processor_type": "DPTImageProcessor",
        "size": {"height": 518, "width": 518},
        "keep_aspect_ratio": True,
        "ensure_multiple_of": PATCH,
        "resample": 3,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
)
"""As in its folders for transformers."""


@dataclass(frozen=True)
class DepthShape:
    """What tells one Depth Anything from another.

    Attributes:
        width: Channels of its DINOv2.
        layers: Of that one.
        side: Of the images that it was trained on, in pixels.
        gated: Whether its layers are those of the largest one.
        masked: Whether what DINOv2 was trained with is left in it.
        necks: Channels that its features are brought to.
        fused, head: Channels of what they are fused to, and before the last convolution.
    """

    width: int
    layers: int
    side: int
    gated: bool
    masked: bool
    necks: tuple[int, ...]
    fused: int
    head: int

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the layers whose features the head takes, counted from 1."""
        even = tuple(self.layers * part // 4 for part in (1, 2, 3, 4))
        return _LAYERS.get(self.layers, even)


def depth_shape(shapes: Shapes) -> DepthShape | None:
    """The Depth Anything that tensors of these names and shapes are of; None of all else."""
    plain = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    try:
        places = plain[f"{_EYES}pos_embed"][1]
        return DepthShape(
            width=plain[f"{_EYES}cls_token"][-1],
            layers=sum(_is_layer(name) for name in plain),
            side=PATCH * math.isqrt(places - 1),
            gated=f"{_EYES}blocks.0.mlp.w12.weight" in plain,
            masked=f"{_EYES}mask_token" in plain,
            necks=tuple(plain[f"{_HEAD}projects.{at}.weight"][0] for at in range(4)),
            fused=plain[f"{_HEAD}scratch.layer1_rn.weight"][0],
            head=plain[f"{_HEAD}scratch.output_conv2.0.weight"][0],
        )
    except (KeyError, IndexError):
        return None


def _is_layer(name: str) -> bool:
    return name.startswith(f"{_EYES}blocks.") and name.endswith(".attn.qkv.weight")


def is_depth(shapes: Shapes) -> bool:
    """Whether tensors are of a Depth Anything as its authors name them."""
    return depth_shape(shapes) is not None


SAM = "SamModel"
"""Its class in transformers."""
_IMAGES, _PROMPTS, _MASKS = "image_encoder.", "prompt_encoder.", "mask_decoder."
_HIGH_QUALITY = f"{_MASKS}hf_token.weight"
"""A tensor of SAM-HQ, whose other layers the class here lacks."""


@dataclass(frozen=True)
class SAMShape:
    """Sizes of a SAM (arXiv:2304.02643).

    Attributes:
        width, layers, heads: Of its image encoder.
        inner: Channels within a layer of the encoder.
        side, patch: Of images and of their patches, in pixels.
        window: Side of the windows of most layers, in patches.
        whole: Numbers of the layers that attend to the whole image.
        channels: Of an encoded image and of the mask decoder.
        waves: Frequencies of positions.
        mask_channels: Of an encoded mask.
        points: Kinds of points.
        decoder_layers, decoder_inner: Layers of the mask decoder, and channels within one.
        narrowed: Ratio of the decoder's channels to those of attention between image and prompts.
        masks: Masks that one prompt gives, the best of all included.
        score_layers, score_width: Layers that rate masks, and their channels.
    """

    width: int
    layers: int
    heads: int
    inner: int
    side: int
    patch: int
    window: int
    whole: tuple[int, ...]
    channels: int
    waves: int
    mask_channels: int
    points: int
    decoder_layers: int
    decoder_inner: int
    narrowed: int
    masks: int
    score_layers: int
    score_width: int


def sam_shape(shapes: Shapes) -> SAMShape | None:
    """The SAM of these tensors, in the names of its authors; None for any other network."""
    plain = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    if _HIGH_QUALITY in plain:
        return None
    try:
        width, _, patch, _ = plain[f"{_IMAGES}patch_embed.proj.weight"]
        grid = plain[f"{_IMAGES}pos_embed"][1]
        layers = _count(plain, f"{_IMAGES}blocks.{{}}.attn.qkv.weight")
        tables = [plain[f"{_IMAGES}blocks.{at}.attn.rel_pos_h"] for at in range(layers)]
        spans = [(table[0] + 1) // 2 for table in tables]
        cross = f"{_MASKS}transformer.layers.0.cross_attn_token_to_image.q_proj.weight"
        score = f"{_MASKS}iou_prediction_head.layers.{{}}.weight"
        return SAMShape(
            width=width,
            layers=layers,
            heads=width // tables[0][1],
            inner=plain[f"{_IMAGES}blocks.0.mlp.lin1.weight"][0],
            side=grid * patch,
            patch=patch,
            window=min(spans),
            whole=tuple(at for at, span in enumerate(spans) if span == grid),
            channels=plain[f"{_IMAGES}neck.0.weight"][0],
            waves=plain[f"{_PROMPTS}pe_layer.positional_encoding_gaussian_matrix"][1],
            mask_channels=plain[f"{_PROMPTS}mask_downscaling.3.weight"][0],
            points=_count(plain, f"{_PROMPTS}point_embeddings.{{}}.weight"),
            decoder_layers=_count(plain, f"{_MASKS}transformer.layers.{{}}.norm1.weight"),
            decoder_inner=plain[f"{_MASKS}transformer.layers.0.mlp.lin1.weight"][0],
            narrowed=plain[cross][1] // plain[cross][0],
            masks=plain[f"{_MASKS}mask_tokens.weight"][0],
            score_layers=_count(plain, score),
            score_width=plain[score.format(0)][0],
        )
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        return None


def _count(shapes: Shapes, name: str) -> int:
    """How many numbers from 0 on a name has."""
    return next(at for at in range(len(shapes) + 1) if name.format(at) not in shapes)


def sam_preparation(shape: SAMShape) -> Mapping[str, Any]:
    """How images are prepared for a SAM, as its folders for transformers say it."""
    mask = shape.side // 4
    return {
        "image_processor_type": "SamImageProcessor",
        "size": {"longest_edge": shape.side},
        "pad_size": {"height": shape.side, "width": shape.side},
        "mask_size": {"longest_edge": mask},
        "mask_pad_size": {"height": mask, "width": mask},
        "image_mean": _IMAGENET["image_mean"],
        "image_std": _IMAGENET["image_std"],
    }


def is_sam(shapes: Shapes) -> bool:
    """Whether tensors are of a SAM in the names of its authors."""
    return sam_shape(shapes) is not None


SAM3 = "Sam3Model"
"""Its class in transformers."""
SAM3_DETECTOR = ("detector.", "model.detector.")
"""How names of the part for images begin in files of its authors."""


def sam3_name(name: str) -> str | None:
    """A tensor's name within the detector; None for one of another part."""
    plain = plain_name(name)
    return plain.removeprefix("detector.") if plain.startswith("detector.") else None


def is_sam3(shapes: Shapes) -> bool:
    """Whether tensors are of a SAM 3 or SAM 3.1 in the names of its authors."""
    names = {sam3_name(name) for name in shapes}
    return {
        "backbone.vision_backbone.trunk.pos_embed",
        "backbone.language_backbone.resizer.weight",
    } <= names


Task = Literal[
    "points", "text", "classes", "matting", "depth", "foreground", "pose", "boxes", "captions"
]
"""What a model does: masks by points and boxes, by words, by classes that it knows, a fine edge to
a mask, how near things are, what stands before the background, people's poses,
boxes round things, or texts about images."""

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        SAM: "points",
        "SamHQModel": "points",
        "Sam2Model": "points",
        "CLIPSegForImageSegmentation": "text",
        SAM3: "text",
        "SegformerForSemanticSegmentation": "classes",
        "BeitForSemanticSegmentation": "classes",
        "DPTForSemanticSegmentation": "classes",
        "UperNetForSemanticSegmentation": "classes",
        "MobileViTForSemanticSegmentation": "classes",
        "MobileNetV2ForSemanticSegmentation": "classes",
        "Mask2FormerForUniversalSegmentation": "classes",
        "MaskFormerForInstanceSegmentation": "classes",
        "VitMatteForImageMatting": "matting",
        "DepthAnythingForDepthEstimation": "depth",
        "DPTForDepthEstimation": "depth",
        "GLPNForDepthEstimation": "depth",
        "VitPoseForPoseEstimation": "pose",
        "RTDetrForObjectDetection": "boxes",
        "RTDetrV2ForObjectDetection": "boxes",
        "DFineForObjectDetection": "boxes",
        "YolosForObjectDetection": "boxes",
        "DetrForObjectDetection": "boxes",
        "ConditionalDetrForObjectDetection": "boxes",
        "DeformableDetrForObjectDetection": "boxes",
        "BlipForConditionalGeneration": "captions",
        "Florence2ForConditionalGeneration": "captions",
        BIREFNET: "foreground",
        U2NET: "foreground",
        ONNX_DETECTOR: "boxes",
    }
)
"""By classes of transformers, and of networks that are built here."""
NATIVE_CLASSES = frozenset({BIREFNET, U2NET, ONNX_DETECTOR})
_SAME = {
    "Sam2VideoModel": "Sam2Model",
    "Sam3VideoModel": SAM3,
    "BriaRMBG": U2NET,
    "ISNetDIS": U2NET,
}
"""Published for videos, with all that the model for images has; or by another name."""


def architecture(config: Mapping[str, Any]) -> str:
    """The class that a configuration names; empty if it names none."""
    named = config.get("architectures")
    class_name = str(named[0]) if isinstance(named, list) and named else ""
    return _SAME.get(class_name, class_name)


def vision_class_beside(path: Path) -> str | None:
    """The class that sees of whose weights a file is, by the configuration beside it; None else."""
    try:
        name = architecture(layout.read_config(path.parent / layout.CONFIG))
    except NodegraphError:
        return None
    return name if name in TASKS else None
