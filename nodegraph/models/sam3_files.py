"""Load SAM 3 and SAM 3.1 from a file in the names of its authors, as the model for images.

The file holds a detector, which finds things by text in one image, and a tracker for videos. The
detector is `Sam3Model` of transformers. That of SAM 3.1 (the "multiplex" file) has the same layers,
and lacks the smallest of four levels of image features, which the model computes and does not use.
The tracker is not read: that of SAM 3.1 follows several objects at once, and transformers has no
class for it.

Sources: Carion et al. 2025, arXiv:2511.16719; facebookresearch/sam3; transformers,
``models/sam3/convert_sam3_to_hf.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from nodegraph.core.values import VisionNetwork
from nodegraph.errors import InvalidFile
from nodegraph.families.building import building_from, transformers_module
from nodegraph.families.components import Component
from nodegraph.families.helper_networks import SAM3_DETECTOR, is_sam3, sam3_name
from nodegraph.weights.weight_files import read_tensors

_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
_TRUNK = r"^backbone\.vision_backbone\.trunk\."
_NECK = r"^backbone\.vision_backbone\.convs\.(\d+)\."
_LEVEL = r"vision_encoder.neck.fpn_layers.\1."
_WORDS = r"^backbone\.language_backbone\."
_TEXT = "text_encoder.text_model."
_UNREAD = re.compile(
    r"vision_backbone\.(sam2|interactive|propagation)_convs\.|\.freqs_cis$|encoder\.points_"
)
"""Layers of the tracker, tables that follow from sizes, and layers for points, which the class has
not and a search by text does not use."""
_NUMBERED = re.compile(
    r"^((?:detr_decoder|dot_product_scoring)\.(?!layers)[a-z_]+)\.layers\.(\d+)\."
)
_JOINED = re.compile(r"\.(?:qkv\.|in_proj_)(weight|bias)$")
_PARTS = ("q", "k", "v")
_POSITIONS = "vision_encoder.backbone.embeddings.position_embeddings"
_PROJECTION = "text_encoder.text_projection.weight"


def _rules(*pairs: tuple[str, str]) -> tuple[_Rule, ...]:
    return tuple((re.compile(pattern), other) for pattern, other in pairs)


_NAMES = _rules(
    (rf"{_TRUNK}pos_embed$", _POSITIONS),
    (
        rf"{_TRUNK}patch_embed\.proj\.",
        "vision_encoder.backbone.embeddings.patch_embeddings.projection.",
    ),
    (rf"{_TRUNK}ln_pre\.", "vision_encoder.backbone.layer_norm."),
    (rf"{_TRUNK}blocks\.(\d+)\.norm", r"vision_encoder.backbone.layers.\1.layer_norm"),
    (rf"{_TRUNK}blocks\.(\d+)\.attn\.proj\.",
     r"vision_encoder.backbone.layers.\1.attention.o_proj."),
    (rf"{_TRUNK}blocks\.(\d+)\.attn\.", r"vision_encoder.backbone.layers.\1.attention."),
    (rf"{_TRUNK}blocks\.", "vision_encoder.backbone.layers."),
    (rf"{_NECK}dconv_2x2(?:_0)?\.", rf"{_LEVEL}scale_layers.0."),
    (rf"{_NECK}dconv_2x2_1\.", rf"{_LEVEL}scale_layers.2."),
    (rf"{_NECK}conv_1x1\.", rf"{_LEVEL}proj1."),
    (rf"{_NECK}conv_3x3\.", rf"{_LEVEL}proj2."),
    (rf"{_WORDS}resizer\.", "text_projection."),
    (rf"{_WORDS}encoder\.text_projection$", _PROJECTION),
    (rf"{_WORDS}encoder\.token_embedding\.", f"{_TEXT}embeddings.token_embedding."),
    (rf"{_WORDS}encoder\.positional_embedding$", f"{_TEXT}embeddings.position_embedding.weight"),
    (rf"{_WORDS}encoder\.ln_final\.", f"{_TEXT}final_layer_norm."),
    (rf"{_WORDS}encoder\.transformer\.resblocks\.", f"{_TEXT}encoder.layers."),
    (r"(text_model\.encoder\.layers\.\d+)\.attn\.", r"\1.self_attn."),
    (r"(text_model\.encoder\.layers\.\d+)\.ln_(\d)\.", r"\1.layer_norm\2."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"^transformer\.decoder\.layers\.(\d+)\.cross_attn\.",
     r"detr_decoder.layers.\1.vision_cross_attn."),
    (r"^transformer\.decoder\.layers\.(\d+)\.ca_text\.",
     r"detr_decoder.layers.\1.text_cross_attn."),
    (r"^transformer\.decoder\.layers\.(\d+)\.norm1\.",
     r"detr_decoder.layers.\1.vision_cross_attn_layer_norm."),
    (r"^transformer\.decoder\.layers\.(\d+)\.norm2\.",
     r"detr_decoder.layers.\1.self_attn_layer_norm."),
    (r"^transformer\.decoder\.layers\.(\d+)\.norm3\.", r"detr_decoder.layers.\1.mlp_layer_norm."),
    (r"^transformer\.decoder\.layers\.(\d+)\.catext_norm\.",
     r"detr_decoder.layers.\1.text_cross_attn_layer_norm."),
    (r"^transformer\.decoder\.norm\.", "detr_decoder.output_layer_norm."),
    (r"^transformer\.decoder\.presence_token_head\.", "detr_decoder.presence_head."),
    (r"^transformer\.decoder\.presence_token_out_norm\.", "detr_decoder.presence_layer_norm."),
    (r"^transformer\.decoder\.bbox_embed\.", "detr_decoder.box_head."),
    (r"^transformer\.decoder\.boxRPB_embed_", "detr_decoder.box_rpb_embed_"),
    (r"^transformer\.(encoder|decoder)\.", r"detr_\1."),
    (r"^geometry_encoder\.encode\.", "geometry_encoder.layers."),
    (r"^geometry_encoder\.norm\.", "geometry_encoder.prompt_layer_norm."),
    (r"^geometry_encoder\.img_pre_norm\.", "geometry_encoder.vision_layer_norm."),
    (r"^geometry_encoder\.encode_norm\.", "geometry_encoder.output_layer_norm."),
    (r"(encoder\.layers\.\d+)\.cross_attn_image\.", r"\1.cross_attn."),
    (r"((?:detr|geometry)_\w+\.layers\.\d+)\.linear(\d)\.", r"\1.mlp.fc\2."),
    (r"((?:detr|geometry)_encoder\.layers\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
    (r"^dot_prod_scoring\.prompt_mlp\.out_norm\.", "dot_product_scoring.text_mlp_out_norm."),
    (r"^dot_prod_scoring\.prompt_", "dot_product_scoring.text_"),
    (r"^dot_prod_scoring\.hs_proj\.", "dot_product_scoring.query_proj."),
    (r"^segmentation_head\.mask_predictor\.mask_embed\.", "mask_decoder.mask_embedder."),
    (r"^segmentation_head\.cross_attend_prompt\.", "mask_decoder.prompt_cross_attn."),
    (r"^segmentation_head\.cross_attn_norm\.", "mask_decoder.prompt_cross_attn_norm."),
    (r"^segmentation_head\.(instance|semantic)_seg_head\.", r"mask_decoder.\1_projection."),
    (r"^segmentation_head\.", "mask_decoder."),
    (r"^((?:detr|geometry|mask)_.*)\.out_proj\.", r"\1.o_proj."),
)  # fmt: skip


def load_sam3(recipe: VisionNetwork) -> Component:
    """The detector of a recipe, a `Sam3Model` on the CPU.

    Raises:
        InvalidFile: It is damaged, or no SAM 3.
    """
    paths, path = [Path(file.path) for file in recipe.files], Path(recipe.source)
    tensors = read_tensors(paths, recipe.dtype, prefix=SAM3_DETECTOR)
    if not is_sam3({name: tuple(item.shape) for name, item in tensors.items()}):
        raise InvalidFile(f"{path} holds no SAM 3")
    # Tensors of other shapes than the published ones fail in many ways.
    with building_from(path):
        renamed = sam3_as_transformers(tensors)
        try:
            config = _config(renamed)
        except KeyError as error:
            raise InvalidFile(f"{path} lacks tensors of SAM 3: {error.args[0]}") from None
        _add_unused(renamed, config)
        network = transformers_module(transformers.Sam3Model, config, renamed, path)
    return Component({recipe.files[0].role: network}, recipe.family)


def sam3_as_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The detector's tensors as folders for transformers name them; queries, keys and values apart.

    Args:
        tensors: By their names in the file.
    """
    renamed: dict[str, Tensor] = {}
    for name, item in tensors.items():
        plain = sam3_name(name)
        if plain is not None and not _UNREAD.search(plain):
            renamed |= dict(_parts(_renamed(plain), item))
    return renamed


def _renamed(name: str) -> str:
    for pattern, other in _NAMES:
        name = pattern.sub(other, name)
    return _NUMBERED.sub(lambda match: f"{match[1]}.layer{int(match[2]) + 1}.", name)


def _parts(name: str, item: Tensor) -> Iterator[tuple[str, Tensor]]:
    joined = _JOINED.search(name)
    if joined is not None:
        for part, which in zip(item.chunk(3), _PARTS, strict=True):
            yield f"{name[: joined.start()]}.{which}_proj.{joined[1]}", part.contiguous()
    elif name == _POSITIONS:
        yield name, item[:, 1:].contiguous()  # the first is of a class token
    elif name == _PROJECTION:
        yield name, item.transpose(0, 1).contiguous()
    else:
        yield name, item


def _config(tensors: Mapping[str, Tensor]) -> transformers.Sam3Config:
    """The published configuration, of the sizes that the tensors tell.

    Raises:
        KeyError: A tensor that tells one is missing.
    """
    config = transformers.Sam3Config().to_dict()
    eyes, words = "vision_encoder.backbone.", f"{_TEXT}encoder."
    patch = tensors[f"{eyes}embeddings.patch_embeddings.projection.weight"].shape[-1]
    backbone = config["vision_config"]["backbone_config"]
    backbone |= _sizes(tensors, eyes, "num_hidden_layers")
    backbone |= {"patch_size": patch}
    backbone |= {"pretrain_image_size": isqrt(tensors[_POSITIONS].shape[1]) * patch}
    width = tensors["vision_encoder.neck.fpn_layers.0.proj1.weight"].shape[0]
    config["vision_config"]["fpn_hidden_size"] = width
    vocabulary, text_width = tensors[f"{_TEXT}embeddings.token_embedding.weight"].shape
    config["text_config"] |= _sizes(tensors, words, "num_hidden_layers") | {
        "vocab_size": vocabulary,
        "max_position_embeddings": len(tensors[f"{_TEXT}embeddings.position_embedding.weight"]),
        "projection_dim": len(tensors.get(_PROJECTION, torch.empty(text_width))),
    }
    for part in ("geometry_encoder", "detr_encoder", "detr_decoder"):
        config[f"{part}_config"] |= _sizes(tensors, f"{part}.", "num_layers")
    config["detr_decoder_config"]["num_queries"] = len(tensors["detr_decoder.query_embed.weight"])
    config["mask_decoder_config"] |= {
        "hidden_size": width,
        "num_upsampling_stages": _count(tensors, "mask_decoder.pixel_decoder.norms."),
    }
    parts = ("vision", "text", "geometry_encoder", "detr_encoder", "detr_decoder", "mask_decoder")
    return transformers.Sam3Config(**{f"{part}_config": config[f"{part}_config"] for part in parts})


def _sizes(tensors: Mapping[str, Tensor], prefix: str, count: str) -> dict[str, Any]:
    """Channels and layers of a part."""
    inner, width = tensors[f"{prefix}layers.0.mlp.fc1.weight"].shape
    layers = _count(tensors, f"{prefix}layers.")
    return {"hidden_size": width, "intermediate_size": inner, count: layers}


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    numbers = {
        name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)
    }
    return len(numbers)


def _add_unused(tensors: dict[str, Tensor], config: transformers.Sam3Config) -> None:
    """Add zeros for layers that the class has, files may lack, and no result depends on."""
    some = tensors[_POSITIONS]
    vision, text = config.vision_config, config.text_config
    shapes: dict[str, tuple[int, ...]] = {_PROJECTION: (text.projection_dim, text.hidden_size)}
    width, wide = vision.fpn_hidden_size, vision.backbone_config.hidden_size
    last = f"vision_encoder.neck.fpn_layers.{len(vision.scale_factors) - 1}."
    shapes |= {
        f"{last}proj1.weight": (width, wide, 1, 1),
        f"{last}proj1.bias": (width,),
        f"{last}proj2.weight": (width, width, 3, 3),
        f"{last}proj2.bias": (width,),
    }
    for name, shape in shapes.items():
        if name not in tensors:
            tensors[name] = some.new_zeros(shape)
