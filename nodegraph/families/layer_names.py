"""Names of layers that several families share: tables, and signs of LoRA files. Imports no torch.

The tables are checked against diffusers' own converters of single files in
tests/diffusion/adapters, except those of HunyuanImage and PixArt, which have none: these follow its
scripts `convert_hunyuan_image_to_diffusers.py` and `convert_pixart_sigma_to_diffusers.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from nodegraph.weights.single_files.base import Table


class LoraSign(NamedTuple):
    """What tells that a LoRA file is for a network.

    A file that shows several is for the networks of the sign that the fewest share.

    Attributes:
        pattern: Regular expression, searched in the names of the file's layers without prefixes
            and with underscores, such as ``transformer_blocks_0_attn_to_q``.
        title: The models that the sign is for, in words.
    """

    pattern: str
    title: str


UNET_SIGN = LoraSign(
    # Names with two numbers are those of Stable Cascade.
    r"^(input_blocks|middle_block|output_blocks)_|^(down|up)_blocks_(?!\d+_\d)|^mid_block_",
    "Stable Diffusion 1.x, 2.x or XL",
)
DOUBLE_STREAM_SIGN = LoraSign(r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux")
DIT_SIGN = LoraSign(
    # `mlp_layer1` is a name of Cosmos Predict2, `attn_out` one of PRX, and norms are Krea 2's.
    r"^blocks_\d+_(attn_(?!out$|qknorm_)|mlp_(?!layer)|cross_attn_(q_linear|kv_linear|proj))",
    "Sana, PixArt, MiniMax H3 or Hunyuan-DiT",
)
REFINED_SIGN = LoraSign(
    # The names that it doesn't take are those of ACE-Step, ERNIE-Image and Stable Audio.
    r"^(layers|noise_refiner|context_refiner)_\d+_"
    r"(?!self_attn_|self_attention_|adaLN_(sa|mlp)_ln|cross_attn_|mlp_|ff_ff_|to_local_embed_)",
    "Z-Image, Lumina 2, Ideogram 4 or Bria FIBO 2",
)
UNSPLIT_ATTENTION_SIGN = LoraSign(
    r"^layers_\d+_attention_to_", "Z-Image, Ideogram 4 or Bria FIBO 2"
)
REFINER_ATTENTION_SIGN = LoraSign(
    r"^(noise_refiner|context_refiner)_\d+_attention_to_", "Z-Image or Bria FIBO 2"
)
CROSS_ATTENTION_SIGN = LoraSign(
    r"^transformer_blocks_\d+_attn1_",
    "LTX, Mochi, Sana, PixArt, Cosmos, Anima, CogView 4, Stable Audio Open or Shap-E",
)
IMAGE_STREAM_SIGN = LoraSign(
    r"^transformer_blocks_\d+_img_(mlp|mod)_", "Qwen-Image or NucleusMoE-Image"
)
BLOCK_ATTENTION_SIGN = LoraSign(r"^blocks_\d+_attn[12]_", "Wan or Hunyuan-DiT")
SELF_AND_CROSS_SIGN = LoraSign(
    r"^blocks_\d+_(self|cross)_attn_to_", "LongCat-AudioDiT or Wan Animate 2"
)
STABLE_AUDIO_SIGN = LoraSign(
    # Queries of cross-attention have the same name in ACE-Step.
    r"^(transformer_)?layers_\d+_(self_attn_to_(qkv|out)|cross_attn_to_(kv|out)|ff_ff_[02]_?(proj)?)$"
    r"|^transformer_layers_\d+_cross_attn_to_q$",
    "Stable Audio Open or 3",
)
JOINT_ATTENTION_SIGN = LoraSign(
    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)", "Stable Diffusion 3 or Flux"
)

DOUBLE_STREAM: Table = (
    ("transformer_blocks.*.attn.{to_q,to_k,to_v}", "double_blocks.*.img_attn.qkv"),
    (
        "transformer_blocks.*.attn.{add_q_proj,add_k_proj,add_v_proj}",
        "double_blocks.*.txt_attn.qkv",
    ),
    ("transformer_blocks.*.attn.to_out.0", "double_blocks.*.img_attn.proj"),
    ("transformer_blocks.*.attn.to_add_out", "double_blocks.*.txt_attn.proj"),
    ("transformer_blocks.*.attn.norm_q", "double_blocks.*.img_attn.norm.query_norm"),
    ("transformer_blocks.*.attn.norm_k", "double_blocks.*.img_attn.norm.key_norm"),
    ("transformer_blocks.*.attn.norm_added_q", "double_blocks.*.txt_attn.norm.query_norm"),
    ("transformer_blocks.*.attn.norm_added_k", "double_blocks.*.txt_attn.norm.key_norm"),
    ("single_transformer_blocks.*.attn.norm_q", "single_blocks.*.norm.query_norm"),
    ("single_transformer_blocks.*.attn.norm_k", "single_blocks.*.norm.key_norm"),
    ("x_embedder", "img_in"),
    ("context_embedder", "txt_in"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)
DIT: Table = (
    ("transformer_blocks.*.attn1.{to_q,to_k,to_v}", "blocks.*.attn.qkv"),
    ("transformer_blocks.*.attn1.to_out.0", "blocks.*.attn.proj"),
    ("transformer_blocks.*.attn2.to_q", "blocks.*.cross_attn.q_linear"),
    ("transformer_blocks.*.attn2.{to_k,to_v}", "blocks.*.cross_attn.kv_linear"),
    ("transformer_blocks.*.attn2.to_out.0", "blocks.*.cross_attn.proj"),
    ("caption_projection.linear_1", "y_embedder.y_proj.fc1"),
    ("caption_projection.linear_2", "y_embedder.y_proj.fc2"),
    ("proj_out", "final_layer.linear"),
    ("transformer_blocks.*.scale_shift_table", "blocks.*.scale_shift_table"),
    ("scale_shift_table", "final_layer.scale_shift_table"),
)
