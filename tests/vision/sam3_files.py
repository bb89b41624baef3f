"""SAM 3 in tensors named as its authors name them, and a small one.

The names are those of facebookresearch/sam3.
"""

from __future__ import annotations

import re
from typing import Any

import torch
import transformers as tf
from torch import Tensor

_LAYER = {
    "layer1": "layers.0", "layer2": "layers.1", "layer3": "layers.2",
    "presence_head": "presence_token_head", "presence_layer_norm": "presence_token_out_norm",
    "output_layer_norm": "norm", "box_head": "bbox_embed", "box_rpb_embed_x": "boxRPB_embed_x",
    "box_rpb_embed_y": "boxRPB_embed_y", "vision_cross_attn_layer_norm": "norm1",
    "self_attn_layer_norm": "norm2", "mlp_layer_norm": "norm3",
    "text_cross_attn_layer_norm": "catext_norm", "vision_cross_attn": "cross_attn",
    "text_cross_attn": "ca_text",
}  # fmt: skip
_ENCODER = {
    "cross_attn": "cross_attn_image", "layer_norm1": "norm1", "layer_norm2": "norm2",
    "layer_norm3": "norm3",
}  # fmt: skip
_HEAD = {
    "o_proj": "out_proj", "mask_embedder": "mask_predictor.mask_embed",
    "instance_projection": "instance_seg_head", "semantic_projection": "semantic_seg_head",
    "prompt_cross_attn": "cross_attend_prompt", "prompt_cross_attn_norm": "cross_attn_norm",
}  # fmt: skip
_GEOMETRY = {
    "layers": "encode", "prompt_layer_norm": "norm", "vision_layer_norm": "img_pre_norm",
    "output_layer_norm": "encode_norm",
}  # fmt: skip
_WORDS = {
    "self_attn": "attn", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "fc1": "c_fc",
    "fc2": "c_proj",
}  # fmt: skip


def _by_parts(name: str, *tables: dict[str, str]) -> str:
    parts = name.split(".")
    for table in tables:
        parts = [table.get(part, part) for part in parts]
    return ".".join(parts)


def authors_name(name: str) -> str:
    """The authors' name of a tensor of `Sam3Model`; of queries, keys and values that of all."""
    name = re.sub(r"\.[qkv]_proj\.", ".in_proj_", name)
    part, _, own = name.partition(".")
    mlp = {"mlp.fc1": "linear1", "mlp.fc2": "linear2"}
    for ours, theirs in (
        mlp.items() if part in ("detr_encoder", "detr_decoder", "geometry_encoder") else ()
    ):
        own = own.replace(ours, theirs)
    if own.startswith("backbone."):
        own = own.removeprefix("backbone.").replace("layers.", "blocks.")
        own = own.replace("attention.in_proj_", "attn.qkv.").replace(
            "attention.o_proj", "attn.proj"
        )
        own = own.replace("embeddings.patch_embeddings.projection", "patch_embed.proj")
        own = own.replace("embeddings.position_embeddings", "pos_embed")
        own = re.sub(r"layer_norm(\d)", r"norm\1", own)
        return "backbone.vision_backbone.trunk." + re.sub(r"^layer_norm", "ln_pre", own)
    if part == "vision_encoder":
        _, _, level, *others = own.split(".")
        inner = ".".join(others).replace("proj1", "conv_1x1").replace("proj2", "conv_3x3")
        first = "dconv_2x2_0" if level == "0" else "dconv_2x2"
        inner = inner.replace("scale_layers.0", first).replace("scale_layers.2", "dconv_2x2_1")
        return f"backbone.vision_backbone.convs.{level}.{inner}"
    if part == "text_projection":
        return f"backbone.language_backbone.resizer.{own}"
    if part == "text_encoder":
        own = own.removeprefix("text_model.").replace("encoder.layers.", "transformer.resblocks.")
        own = own.replace("embeddings.token_embedding", "token_embedding")
        own = own.replace("embeddings.position_embedding.weight", "positional_embedding")
        own = own.replace("final_layer_norm", "ln_final")
        own = own.replace("text_projection.weight", "text_projection")
        return "backbone.language_backbone.encoder." + _by_parts(own, _WORDS)
    if part == "detr_encoder":
        return "transformer.encoder." + _by_parts(own, _ENCODER, _HEAD)
    if part == "detr_decoder":
        return "transformer.decoder." + _by_parts(own, _LAYER, _HEAD)
    if part == "geometry_encoder":
        is_layer = own.startswith("layers.")
        inner = _by_parts(own, _ENCODER, _HEAD) if is_layer else own
        return "geometry_encoder." + _by_parts(inner, _GEOMETRY)
    if part == "dot_product_scoring":
        own = own.replace("text_mlp_out_norm", "prompt_mlp.out_norm").replace("text_", "prompt_")
        return "dot_prod_scoring." + _by_parts(own, {**_LAYER, "query_proj": "hs_proj"})
    assert part == "mask_decoder"
    return "segmentation_head." + _by_parts(own, _HEAD)


def authors_tensors(state: dict[str, Tensor], *, levels: int) -> dict[str, Tensor]:
    """A model's tensors as the authors' file holds them.

    Args:
        levels: Of image features that the file has: 4 of SAM 3, 3 of SAM 3.1.
    """
    parts: dict[str, list[Tensor]] = {}
    for name in sorted(state, key=_query_first):
        item = state[name]
        level = re.search(r"fpn_layers\.(\d)", name)
        if level is None or int(level[1]) < levels:
            parts.setdefault(f"detector.{authors_name(name)}", []).append(item)
    tensors = {name: torch.cat(items) for name, items in parts.items()}
    positions = "detector.backbone.vision_backbone.trunk.pos_embed"
    tensors[positions] = torch.cat([tensors[positions][:, :1], tensors[positions]], dim=1)
    projection = "detector.backbone.language_backbone.encoder.text_projection"
    tensors[projection] = tensors[projection].T
    return tensors


def _query_first(name: str) -> int:
    """Queries before keys before values, as the authors' tensors join them."""
    return next((at for at, part in enumerate("qkv") if f".{part}_proj." in name), 0)


def tiny_sam3() -> Any:
    """A model of the published structure, with narrow layers."""
    inner = {"hidden_size": 32, "intermediate_size": 48, "num_layers": 1}
    backbone = {
        "model_type": "sam3_vit_model", "hidden_size": 64, "intermediate_size": 32,
        "num_hidden_layers": 2,
    }  # fmt: skip
    text = {
        "model_type": "clip_text_model", "hidden_size": 32, "intermediate_size": 32,
        "num_hidden_layers": 1, "num_attention_heads": 16, "max_position_embeddings": 32,
        "vocab_size": 49408, "projection_dim": 16, "hidden_act": "gelu",
        "bos_token_id": 49406, "eos_token_id": 49407,
    }  # fmt: skip
    config = tf.Sam3Config(
        vision_config={"backbone_config": backbone, "fpn_hidden_size": 32},
        text_config=text, geometry_encoder_config=inner, detr_encoder_config=inner,
        detr_decoder_config={**inner, "num_queries": 5},
        mask_decoder_config={"hidden_size": 32},
    )  # fmt: skip
    torch.manual_seed(5)
    model = tf.Sam3Model(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith(("mask_decoder.", "dot_product_scoring.", "detr_decoder.")):
                weight.add_(0.3 * torch.randn_like(weight))
    return model
