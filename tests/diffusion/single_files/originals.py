"""Denoisers of diffusers in the layouts of those who made them, written from the original code and
independently of the tables that read them back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
Pairs = Iterable[tuple[str, str]]
Fused = Mapping[str, tuple[str, ...]]


def _written(
    tensors: Mapping[str, Tensor], *, pairs: Pairs, fused: Fused, swapped: str = ""
) -> Tensors:
    """Tensors with parts of their names replaced, in order.

    Args:
        pairs: Patterns of what is replaced, and what by.
        fused: By the name of a layer: the ends of those that become it, beside each other.
        swapped: Beginning of a modulation whose halves change places.
    """
    joined: dict[str, Tensor] = {}
    left = dict(tensors)
    for whole, parts in fused.items():
        first = re.compile(rf"(.*){re.escape(parts[0])}\.(weight|bias)")
        for before, end in [match.groups() for name in tensors if (match := first.fullmatch(name))]:
            names = [f"{before}{part}.{end}" for part in parts]
            if all(name in left for name in names):
                joined[f"{before}{whole}.{end}"] = torch.cat([left.pop(name) for name in names])
    for name, tensor in left.items():
        is_swapped = swapped and name.startswith(swapped)
        joined[name] = torch.cat(tensor.chunk(2)[::-1]) if is_swapped else tensor
    found = {}
    for name, tensor in joined.items():
        new = name
        for old, instead in pairs:
            new = re.sub(old, instead, new)
        found[new] = tensor.contiguous()
    return found


_QKV = ("to_q", "to_k", "to_v")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj")

_Z_IMAGE = partial(
    _written,
    fused={"qkv": _QKV},
    pairs=[
        (r"^all_(final_layer|x_embedder)\.2-1", r"\1"),
        (r"attention\.to_out\.0", "attention.out"),
        (r"attention\.norm_([qk])", r"attention.\1_norm"),
    ],
)
_LUMINA2 = partial(
    _written,
    fused={"qkv": _QKV},
    pairs=[
        (r"time_caption_embed\.caption_embedder", "cap_embedder"),
        (r"time_caption_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
        (r"time_caption_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
        (r"norm_out\.linear_1", "final_layer.adaLN_modulation.1"),
        (r"norm_out\.linear_2", "final_layer.linear"),
        (r"\.norm1\.linear", ".adaLN_modulation.1"),
        (r"\.norm1(\.norm)?\.", ".attention_norm1."),
        (r"\.norm2\.", ".attention_norm2."),
        (r"feed_forward\.linear_", "feed_forward.w"),
        (r"attn\.to_out\.0", "attn.out"),
        (r"attn\.norm_([qk])", r"attn.\1_norm"),
        (r"\.attn\.", ".attention."),
    ],
)
_DIT: Pairs = [
    (r"attn1\.to_out\.0", "attn.proj"),
    (r"attn2\.to_q", "cross_attn.q_linear"),
    (r"attn2\.to_out\.0", "cross_attn.proj"),
    (r"attn1\.", "attn."),
    (r"attn2\.", "cross_attn."),
    (r"\.norm_([qk])", r".\1_norm"),
    (r"^transformer_blocks", "blocks"),
    (r"^scale_shift_table", "final_layer.scale_shift_table"),
    (r"caption_projection\.linear_", "y_embedder.y_proj.fc"),
    (r"^proj_out", "final_layer.linear"),
]
_SANA = partial(
    _written,
    fused={"attn1.qkv": tuple(f"attn1.{part}" for part in _QKV), "kv_linear": _QKV[1:]},
    pairs=[
        *_DIT,
        (r"ff\.conv_(inverted|depth|point)", r"mlp.\1_conv.conv"),
        (r"ff\.conv_temp", "mlp.t_conv"),
        (r"^(patch_embed\.proj|patch_embedding)", "x_embedder.proj"),
        (r"time_embed\.emb\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
        (r"time_embed\.emb\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
        (r"^time_embed\.linear", "t_block.1"),
        (r"^caption_norm", "attention_y_norm"),
    ],
)
_PIXART = partial(
    _written,
    fused={"attn1.qkv": tuple(f"attn1.{part}" for part in _QKV), "kv_linear": _QKV[1:]},
    pairs=[
        *_DIT,
        (r"ff\.net\.0\.proj", "mlp.fc1"),
        (r"ff\.net\.2", "mlp.fc2"),
        (r"^pos_embed\.proj", "x_embedder.proj"),
        (r"adaln_single\.emb\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
        (r"adaln_single\.emb\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
        (r"^adaln_single\.linear", "t_block.1"),
    ],
)
_WAN = partial(
    _written,
    fused={},
    pairs=[
        (r"condition_embedder\.(time|text)_embedder\.linear_1", r"\1_embedding.0"),
        (r"condition_embedder\.(time|text)_embedder\.linear_2", r"\1_embedding.2"),
        (r"condition_embedder\.time_proj", "time_projection.1"),
        (r"condition_embedder\.image_embedder\.norm1", "img_emb.proj.0"),
        (r"condition_embedder\.image_embedder\.ff\.net\.0\.proj", "img_emb.proj.1"),
        (r"condition_embedder\.image_embedder\.ff\.net\.2", "img_emb.proj.3"),
        (r"condition_embedder\.image_embedder\.norm2", "img_emb.proj.4"),
        (r"^scale_shift_table", "head.modulation"),
        (r"^proj_out", "head.head"),
        (r"^patch_embedding\.reference", "ref_conv"),
        (r"^patch_embedding\.camera", "control_adapter"),
        (r"^(vace_blocks\.\d+)\.proj_in", r"\1.before_proj"),
        (r"^(vace_blocks\.\d+)\.proj_out", r"\1.after_proj"),
        ("scale_shift_table", "modulation"),
        (r"\.norm2\.", ".norm3."),
        ("attn1", "self_attn"),
        ("attn2", "cross_attn"),
        (r"\.to_out\.0", ".o"),
        (r"\.to_([qkv])", r".\1"),
        (r"\.add_([kv])_proj", r".\1_img"),
        (r"\.norm_added_k", ".norm_k_img"),
        (r"ffn\.net\.0\.proj", "ffn.0"),
        (r"ffn\.net\.2", "ffn.2"),
    ],
)
_LTX = partial(
    _written,
    fused={},
    pairs=[
        (r"^proj_in", "patchify_proj"),
        (r"^time_embed", "adaln_single"),
        (r"\.norm_([qk])", r".\1_norm"),
    ],
)
_STREAMS: Pairs = [
    (r"^single_transformer_blocks", "single_blocks"),
    (r"^transformer_blocks", "double_blocks"),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
    (r"^proj_out", "final_layer.linear"),
]
_FLUX2 = partial(
    _written,
    fused={
        "img_attn.qkv": tuple(f"attn.{p}" for p in _QKV),
        "txt_attn.qkv": tuple(f"attn.{p}" for p in _ADDED),
    },
    swapped="norm_out.linear",
    pairs=[
        (r"^(single.*)attn\.norm_q\.weight", r"\1norm.query_norm.scale"),
        (r"^(single.*)attn\.norm_k\.weight", r"\1norm.key_norm.scale"),
        (r"attn\.norm_q\.weight", "img_attn.norm.query_norm.scale"),
        (r"attn\.norm_k\.weight", "img_attn.norm.key_norm.scale"),
        (r"attn\.norm_added_q\.weight", "txt_attn.norm.query_norm.scale"),
        (r"attn\.norm_added_k\.weight", "txt_attn.norm.key_norm.scale"),
        (r"attn\.to_qkv_mlp_proj", "linear1"),
        (r"^(single.*)attn\.to_out", r"\1linear2"),
        (r"attn\.to_out\.0", "img_attn.proj"),
        (r"attn\.to_add_out", "txt_attn.proj"),
        (r"ff_context\.linear_in", "txt_mlp.0"),
        (r"ff_context\.linear_out", "txt_mlp.2"),
        (r"ff\.linear_in", "img_mlp.0"),
        (r"ff\.linear_out", "img_mlp.2"),
        (r"^x_embedder", "img_in"),
        (r"^context_embedder", "txt_in"),
        (r"time_guidance_embed\.timestep_embedder", "time_in"),
        (r"time_guidance_embed\.guidance_embedder", "guidance_in"),
        (r"_in\.linear_1", "_in.in_layer"),
        (r"_in\.linear_2", "_in.out_layer"),
        (r"(_modulation\w*)\.linear", r"\1.lin"),
        *_STREAMS,
    ],
)
_HUNYUAN: Pairs = [
    (r"context_embedder\.token_refiner\.refiner_blocks", "txt_in.individual_token_refiner.blocks"),
    (r"^(txt_in.*)attn\.to_out\.0", r"\1self_attn_proj"),
    (r"^(txt_in.*)norm_out\.linear", r"\1adaLN_modulation.1"),
    (r"^(txt_in.*)ff\.net\.0\.proj", r"\1mlp.fc1"),
    (r"^(txt_in.*)ff\.net\.2", r"\1mlp.fc2"),
    (r"context_embedder\.proj_in", "txt_in.input_embedder"),
    (r"context_embedder\.time_text_embed\.timestep_embedder\.linear_1", "txt_in.t_embedder.mlp.0"),
    (r"context_embedder\.time_text_embed\.timestep_embedder\.linear_2", "txt_in.t_embedder.mlp.2"),
    (r"context_embedder\.time_text_embed\.text_embedder", "txt_in.c_embedder"),
    (r"context_embedder_2\.norm", "byt5_in.layernorm"),
    (r"context_embedder_2\.linear_", "byt5_in.fc"),
    (r"time_guidance_embed\.timestep_embedder_r", "time_r_in"),
    (r"time_guidance_embed\.timestep_embedder", "time_in"),
    (r"time_guidance_embed\.guidance_embedder", "guidance_in"),
    (r"^((time|time_r|guidance)_in)\.linear_1", r"\1.mlp.0"),
    (r"^((time|time_r|guidance)_in)\.linear_2", r"\1.mlp.2"),
    (r"^x_embedder", "img_in"),
    (r"^(single.*)attn\.norm_([qk])", r"\1\2_norm"),
    (r"^(single.*)norm\.linear", r"\1modulation.linear"),
    (r"attn\.norm_([qk])", r"img_attn_\1_norm"),
    (r"attn\.norm_added_([qk])", r"txt_attn_\1_norm"),
    (r"attn\.to_out\.0", "img_attn_proj"),
    (r"attn\.to_add_out", "txt_attn_proj"),
    (r"norm1_context\.linear", "txt_mod.linear"),
    (r"norm1\.linear", "img_mod.linear"),
    (r"ff_context\.net\.0\.proj", "txt_mlp.fc1"),
    (r"ff_context\.net\.2", "txt_mlp.fc2"),
    (r"ff\.net\.0\.proj", "img_mlp.fc1"),
    (r"ff\.net\.2", "img_mlp.fc2"),
]


def _hunyuan_image(tensors: Mapping[str, Tensor]) -> Tensors:
    """Layers that the original code joins."""
    attention = tuple(f"attn.{part}" for part in _QKV)
    refiner, blocks = (
        {name: item for name, item in tensors.items() if (".refiner_blocks." in name) == wanted}
        for wanted in (True, False)
    )
    joined = _written(refiner, fused={"self_attn_qkv": attention}, pairs=_HUNYUAN)
    return joined | _written(
        blocks,
        fused={
            "linear1": (*attention, "proj_mlp"),
            "img_attn_qkv": attention,
            "txt_attn_qkv": tuple(f"attn.{part}" for part in _ADDED),
        },
        swapped="norm_out.linear",
        pairs=[*_HUNYUAN, (r"^(single.*)\.proj_out", r"\1.linear2"), *_STREAMS],
    )


def _hunyuan_image_apart(tensors: Mapping[str, Tensor]) -> Tensors:
    """As they are for computing on several devices: but for the refiner's, each by itself."""
    refiner, blocks = (
        {name: item for name, item in tensors.items() if (".refiner_blocks." in name) == wanted}
        for wanted in (True, False)
    )
    apart = [
        (r"^(single.*)attn\.to_([qkv])", r"\1linear1_\2"),
        (r"^(single.*)proj_mlp", r"\1linear1_mlp"),
        (r"^(single.*)\.proj_out", r"\1.linear2.fc"),
        (r"attn\.to_([qkv])", r"img_attn_\1"),
        (r"attn\.add_([qkv])_proj", r"txt_attn_\1"),
    ]
    return {
        **_hunyuan_image(refiner),
        **_written(
            blocks, fused={}, swapped="norm_out.linear", pairs=[*apart, *_HUNYUAN, *_STREAMS]
        ),
    }


_HUNYUAN_VIDEO: Pairs = [
    (r"^image_embedder\.norm_in", "vision_in.proj.0"),
    (r"^image_embedder\.linear_1", "vision_in.proj.1"),
    (r"^image_embedder\.linear_2", "vision_in.proj.3"),
    (r"^image_embedder\.norm_out", "vision_in.proj.4"),
    (r"^cond_type_embed", "cond_type_embedding"),
    (r"^time_embed\.timestep_embedder_r", "time_r_in"),
    (r"^time_embed\.timestep_embedder", "time_in"),
]


def _hunyuan_video_15(tensors: Mapping[str, Tensor]) -> Tensors:
    """diffusers' ``scripts/convert_hunyuan_video1_5_to_diffusers.py``, backwards."""
    own = _written(tensors, fused={}, pairs=_HUNYUAN_VIDEO)
    return _hunyuan_image_apart(own)


def _hunyuan_video_15_comfyui(tensors: Mapping[str, Tensor]) -> Tensors:
    """As ComfyUI's network has them: ``HunyuanVideo.process_unet_state_dict`` there, and queries,
    keys and values in one tensor."""
    own = _written(tensors, fused={}, pairs=_HUNYUAN_VIDEO)
    return _in_comfyui(_hunyuan_image(own))


def _in_comfyui(tensors: Mapping[str, Tensor]) -> Tensors:
    renamed = {}
    for name, item in tensors.items():
        for old, new in (
            ("txt_in.t_embedder.mlp.0.", "txt_in.t_embedder.in_layer."),
            ("txt_in.t_embedder.mlp.2.", "txt_in.t_embedder.out_layer."),
            ("txt_in.c_embedder.linear_1.", "txt_in.c_embedder.in_layer."),
            ("txt_in.c_embedder.linear_2.", "txt_in.c_embedder.out_layer."),
            ("_mod.linear.", "_mod.lin."),
            ("_attn_qkv.", "_attn.qkv."),
            ("mlp.fc1.", "mlp.0."),
            ("mlp.fc2.", "mlp.2."),
            ("_attn_q_norm.weight", "_attn.norm.query_norm.weight"),
            ("_attn_k_norm.weight", "_attn.norm.key_norm.weight"),
            (".q_norm.weight", ".norm.query_norm.scale"),
            (".k_norm.weight", ".norm.key_norm.scale"),
            ("_attn_proj.", "_attn.proj."),
            (".modulation.linear.", ".modulation.lin."),
            ("_in.mlp.2.", "_in.out_layer."),
            ("_in.mlp.0.", "_in.in_layer."),
        ):
            name = name.replace(old, new)
        renamed[name] = item
    return renamed


_HUNYUAN_VIDEO_1: Pairs = [
    (r"^time_text_embed\.timestep_embedder", "time_in"),
    (r"^time_text_embed\.guidance_embedder", "guidance_in"),
    (r"^time_text_embed\.text_embedder\.linear_1", "vector_in.in_layer"),
    (r"^time_text_embed\.text_embedder\.linear_2", "vector_in.out_layer"),
]


def _hunyuan_video(tensors: Mapping[str, Tensor]) -> Tensors:
    """diffusers' ``scripts/convert_hunyuan_video_to_diffusers.py``, backwards."""
    return _hunyuan_image(_written(tensors, fused={}, pairs=_HUNYUAN_VIDEO_1))


def _hunyuan_video_comfyui(tensors: Mapping[str, Tensor]) -> Tensors:
    """With the prefix of published files, too."""
    named = _in_comfyui(_hunyuan_video(tensors))
    return {f"model.model.{name}": item for name, item in named.items()}


_CONVS = "motion_encoder.enc.net_app.convs"
_ANIMATE: Pairs = [
    (r"^face_adapter\.(\d+)", r"face_adapter.fuser_blocks.\1"),
    (r"(fuser_blocks\.\d+)\.to_q", r"\1.linear1_q"),
    (r"(fuser_blocks\.\d+)\.to_out", r"\1.linear2"),
    (r"(fuser_blocks\.\d+)\.norm_([qk])", r"\1.\2_norm"),
    (r"^face_encoder\.(conv\w+)", r"face_encoder.\1.conv"),
    (r"motion_encoder\.motion_synthesis_weight", "motion_encoder.dec.direction.weight"),
    (r"motion_encoder\.motion_network", "motion_encoder.enc.fc"),
    (r"motion_encoder\.conv_in\.act_fn", f"{_CONVS}.0.1"),
    (r"motion_encoder\.conv_in", f"{_CONVS}.0.0"),
    (r"motion_encoder\.conv_out", f"{_CONVS}.8"),
    *((rf"motion_encoder\.res_blocks\.{at}\.", f"{_CONVS}.{at + 1}.") for at in range(7)),
    (r"(convs\.\d\.conv1)\.act_fn", r"\1.1"),
    (r"(convs\.\d\.conv1)\.weight", r"\1.0.weight"),
    (r"(convs\.\d\.conv2)\.act_fn", r"\1.2"),
    (r"(convs\.\d\.conv2)\.weight", r"\1.1.weight"),
    (r"(convs\.\d)\.conv_skip", r"\1.skip.1"),
]


def _wan_animate(tensors: Mapping[str, Tensor]) -> Tensors:
    """With the kernels of blurs, and biases of activations in four dimensions."""
    own = {name: item for name, item in tensors.items() if name.startswith(("face_", "motion_"))}
    faces = _written(own, fused={"linear1_kv": ("to_k", "to_v")}, pairs=_ANIMATE)
    kernels = {
        f"{_CONVS}.{at}.{layer}.0.kernel": torch.ones(4, 4)
        for at in range(1, 8)
        for layer in ("conv2", "skip")
    }
    flat = {name for name in faces if name.startswith(_CONVS) and name.endswith(".bias")}
    faces |= {name: faces[name].view(1, -1, 1, 1) for name in flat}
    return {**_WAN({k: v for k, v in tensors.items() if k not in own}), **faces, **kernels}


_ANIMATE2: Pairs = [
    (r"\.to_([qkv])\.", r".\1."),
    (r"\.to_out\.0\.", ".o."),
    (r"\.add_([kv])_proj\.", r".\1_img."),
    (r"\.norm_added_k\.", ".norm_k_img."),
]


def _same(tensors: Mapping[str, Tensor]) -> Tensors:
    return dict(tensors)


WRITERS: Mapping[str, Callable[[Mapping[str, Tensor]], Tensors]] = {
    "z-image": _Z_IMAGE,
    "z-image-omni": _Z_IMAGE,
    "lumina2": _LUMINA2,
    "sana": _SANA,
    "pixart-sigma": _PIXART,
    "wan": _WAN,
    "wan-animate": _wan_animate,
    "wan-animate-2": partial(
        _written, fused={}, pairs=[*_ANIMATE2, (r"^(blocks\.\d+)\.", r"\1.block.")]
    ),
    "wan-animate-2-comfyui": partial(_written, fused={}, pairs=_ANIMATE2),
    "ltx": _LTX,
    "hidream": _same,
    "flux2": _FLUX2,
    "qwen-image": _same,
    "hunyuan-image": _hunyuan_image,
    "hunyuan-image-apart": _hunyuan_image_apart,
    "hunyuan-video": _hunyuan_video,
    "hunyuan-video-comfyui": _hunyuan_video_comfyui,
    "hunyuan-video-15": _hunyuan_video_15,
    "hunyuan-video-15-comfyui": _hunyuan_video_15_comfyui,
}
"""By the model whose layout it is."""
