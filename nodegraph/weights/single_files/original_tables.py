"""Tables: layers as diffusers names them, and what they were called by who made the models.

``*`` is a number, the first in a name; ``@`` is one of the three stacks of blocks that some have.
``{a,b}`` are layers that were one, whose rows are theirs in this order. Several lines may be about
the same layers, as not all who train adapters use the same names; an original name is in one line
alone. Where tensors that are no layer's have other names, they are named whole. Imports no torch.

Checked against diffusers' own converters of single files in tests/diffusion/adapters, but for
HunyuanImage and PixArt, of which it has none: these follow its scripts
`convert_hunyuan_image_to_diffusers.py` and `convert_pixart_sigma_to_diffusers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

Table = tuple[tuple[str, str], ...]

_DOUBLE_STREAM: Table = (
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
_FLUX: Table = (
    *_DOUBLE_STREAM,
    ("transformer_blocks.*.norm1.linear", "double_blocks.*.img_mod.lin"),
    ("transformer_blocks.*.norm1_context.linear", "double_blocks.*.txt_mod.lin"),
    ("transformer_blocks.*.ff.net.0.proj", "double_blocks.*.img_mlp.0"),
    ("transformer_blocks.*.ff.net.2", "double_blocks.*.img_mlp.2"),
    ("transformer_blocks.*.ff_context.net.0.proj", "double_blocks.*.txt_mlp.0"),
    ("transformer_blocks.*.ff_context.net.2", "double_blocks.*.txt_mlp.2"),
    (
        "single_transformer_blocks.*.{attn.to_q,attn.to_k,attn.to_v,proj_mlp}",
        "single_blocks.*.linear1",
    ),
    # XLabs changes the first three of the four.
    ("single_transformer_blocks.*.attn.{to_q,to_k,to_v}", "single_blocks.*.qkv"),
    ("single_transformer_blocks.*.proj_out", "single_blocks.*.linear2"),
    ("single_transformer_blocks.*.norm.linear", "single_blocks.*.modulation.lin"),
    ("time_text_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_text_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("time_text_embed.guidance_embedder.linear_1", "guidance_in.in_layer"),
    ("time_text_embed.guidance_embedder.linear_2", "guidance_in.out_layer"),
    ("time_text_embed.text_embedder.linear_1", "vector_in.in_layer"),
    ("time_text_embed.text_embedder.linear_2", "vector_in.out_layer"),
    ("distilled_guidance_layer.in_proj", "distilled_guidance_layer.in_proj"),
    ("distilled_guidance_layer.out_proj", "distilled_guidance_layer.out_proj"),
    ("distilled_guidance_layer.layers.*.linear_1", "distilled_guidance_layer.layers.*.in_layer"),
    ("distilled_guidance_layer.layers.*.linear_2", "distilled_guidance_layer.layers.*.out_layer"),
    ("distilled_guidance_layer.norms.*", "distilled_guidance_layer.norms.*"),
)
_FLUX2: Table = (
    *_DOUBLE_STREAM,
    ("transformer_blocks.*.ff.linear_in", "double_blocks.*.img_mlp.0"),
    ("transformer_blocks.*.ff.linear_out", "double_blocks.*.img_mlp.2"),
    ("transformer_blocks.*.ff_context.linear_in", "double_blocks.*.txt_mlp.0"),
    ("transformer_blocks.*.ff_context.linear_out", "double_blocks.*.txt_mlp.2"),
    ("single_transformer_blocks.*.attn.to_qkv_mlp_proj", "single_blocks.*.linear1"),
    ("single_transformer_blocks.*.attn.to_out", "single_blocks.*.linear2"),
    ("time_guidance_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_guidance_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("time_guidance_embed.guidance_embedder.linear_1", "guidance_in.in_layer"),
    ("time_guidance_embed.guidance_embedder.linear_2", "guidance_in.out_layer"),
    ("double_stream_modulation_img.linear", "double_stream_modulation_img.lin"),
    ("double_stream_modulation_txt.linear", "double_stream_modulation_txt.lin"),
    ("single_stream_modulation.linear", "single_stream_modulation.lin"),
)
_REFINER, _REFINED = (
    "context_embedder.token_refiner.refiner_blocks.*",
    "txt_in.individual_token_refiner.blocks.*",
)
_HUNYUAN_REFINER: Table = (
    ("context_embedder.proj_in", "txt_in.input_embedder"),
    (
        "context_embedder.time_text_embed.timestep_embedder.linear_1",
        "txt_in.t_embedder.mlp.0",
    ),
    (
        "context_embedder.time_text_embed.timestep_embedder.linear_2",
        "txt_in.t_embedder.mlp.2",
    ),
    (
        "context_embedder.time_text_embed.text_embedder.linear_1",
        "txt_in.c_embedder.linear_1",
    ),
    (
        "context_embedder.time_text_embed.text_embedder.linear_2",
        "txt_in.c_embedder.linear_2",
    ),
    (f"{_REFINER}.attn.{{to_q,to_k,to_v}}", f"{_REFINED}.self_attn_qkv"),
    (f"{_REFINER}.attn.to_out.0", f"{_REFINED}.self_attn_proj"),
    (f"{_REFINER}.norm1", f"{_REFINED}.norm1"),
    (f"{_REFINER}.norm2", f"{_REFINED}.norm2"),
    (f"{_REFINER}.ff.net.0.proj", f"{_REFINED}.mlp.fc1"),
    (f"{_REFINER}.ff.net.2", f"{_REFINED}.mlp.fc2"),
    (f"{_REFINER}.norm_out.linear", f"{_REFINED}.adaLN_modulation.1"),
)
_HUNYUAN_IMAGE: Table = (
    ("transformer_blocks.*.attn.{to_q,to_k,to_v}", "double_blocks.*.img_attn_qkv"),
    (
        "transformer_blocks.*.attn.{add_q_proj,add_k_proj,add_v_proj}",
        "double_blocks.*.txt_attn_qkv",
    ),
    ("transformer_blocks.*.attn.to_q", "double_blocks.*.img_attn_q"),
    ("transformer_blocks.*.attn.to_k", "double_blocks.*.img_attn_k"),
    ("transformer_blocks.*.attn.to_v", "double_blocks.*.img_attn_v"),
    ("transformer_blocks.*.attn.add_q_proj", "double_blocks.*.txt_attn_q"),
    ("transformer_blocks.*.attn.add_k_proj", "double_blocks.*.txt_attn_k"),
    ("transformer_blocks.*.attn.add_v_proj", "double_blocks.*.txt_attn_v"),
    ("transformer_blocks.*.attn.to_out.0", "double_blocks.*.img_attn_proj"),
    ("transformer_blocks.*.attn.to_add_out", "double_blocks.*.txt_attn_proj"),
    ("transformer_blocks.*.norm1.linear", "double_blocks.*.img_mod.linear"),
    ("transformer_blocks.*.norm1_context.linear", "double_blocks.*.txt_mod.linear"),
    ("transformer_blocks.*.ff.net.0.proj", "double_blocks.*.img_mlp.fc1"),
    ("transformer_blocks.*.ff.net.2", "double_blocks.*.img_mlp.fc2"),
    ("transformer_blocks.*.ff_context.net.0.proj", "double_blocks.*.txt_mlp.fc1"),
    ("transformer_blocks.*.ff_context.net.2", "double_blocks.*.txt_mlp.fc2"),
    (
        "single_transformer_blocks.*.{attn.to_q,attn.to_k,attn.to_v,proj_mlp}",
        "single_blocks.*.linear1",
    ),
    ("single_transformer_blocks.*.attn.to_q", "single_blocks.*.linear1_q"),
    ("single_transformer_blocks.*.attn.to_k", "single_blocks.*.linear1_k"),
    ("single_transformer_blocks.*.attn.to_v", "single_blocks.*.linear1_v"),
    ("single_transformer_blocks.*.proj_mlp", "single_blocks.*.linear1_mlp"),
    ("single_transformer_blocks.*.proj_out", "single_blocks.*.linear2"),
    ("single_transformer_blocks.*.proj_out", "single_blocks.*.linear2.fc"),
    ("single_transformer_blocks.*.norm.linear", "single_blocks.*.modulation.linear"),
    ("transformer_blocks.*.attn.norm_q", "double_blocks.*.img_attn_q_norm"),
    ("transformer_blocks.*.attn.norm_k", "double_blocks.*.img_attn_k_norm"),
    ("transformer_blocks.*.attn.norm_added_q", "double_blocks.*.txt_attn_q_norm"),
    ("transformer_blocks.*.attn.norm_added_k", "double_blocks.*.txt_attn_k_norm"),
    ("single_transformer_blocks.*.attn.norm_q", "single_blocks.*.q_norm"),
    ("single_transformer_blocks.*.attn.norm_k", "single_blocks.*.k_norm"),
    *_HUNYUAN_REFINER,
    ("context_embedder_2.norm", "byt5_in.layernorm"),
    ("context_embedder_2.linear_1", "byt5_in.fc1"),
    ("context_embedder_2.linear_2", "byt5_in.fc2"),
    ("context_embedder_2.linear_3", "byt5_in.fc3"),
    ("time_guidance_embed.timestep_embedder.linear_1", "time_in.mlp.0"),
    ("time_guidance_embed.timestep_embedder.linear_2", "time_in.mlp.2"),
    ("time_guidance_embed.timestep_embedder_r.linear_1", "time_r_in.mlp.0"),
    ("time_guidance_embed.timestep_embedder_r.linear_2", "time_r_in.mlp.2"),
    ("time_guidance_embed.guidance_embedder.linear_1", "guidance_in.mlp.0"),
    ("time_guidance_embed.guidance_embedder.linear_2", "guidance_in.mlp.2"),
    ("x_embedder.proj", "img_in.proj"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)
_SD3: Table = (
    ("transformer_blocks.*.attn.{to_q,to_k,to_v}", "joint_blocks.*.x_block.attn.qkv"),
    (
        "transformer_blocks.*.attn.{add_q_proj,add_k_proj,add_v_proj}",
        "joint_blocks.*.context_block.attn.qkv",
    ),
    ("transformer_blocks.*.attn2.{to_q,to_k,to_v}", "joint_blocks.*.x_block.attn2.qkv"),
    ("transformer_blocks.*.attn.to_out.0", "joint_blocks.*.x_block.attn.proj"),
    ("transformer_blocks.*.attn.to_add_out", "joint_blocks.*.context_block.attn.proj"),
    ("transformer_blocks.*.attn2.to_out.0", "joint_blocks.*.x_block.attn2.proj"),
    ("transformer_blocks.*.attn.norm_q", "joint_blocks.*.x_block.attn.ln_q"),
    ("transformer_blocks.*.attn.norm_k", "joint_blocks.*.x_block.attn.ln_k"),
    ("transformer_blocks.*.attn.norm_added_q", "joint_blocks.*.context_block.attn.ln_q"),
    ("transformer_blocks.*.attn.norm_added_k", "joint_blocks.*.context_block.attn.ln_k"),
    ("transformer_blocks.*.attn2.norm_q", "joint_blocks.*.x_block.attn2.ln_q"),
    ("transformer_blocks.*.attn2.norm_k", "joint_blocks.*.x_block.attn2.ln_k"),
    ("transformer_blocks.*.norm1.linear", "joint_blocks.*.x_block.adaLN_modulation.1"),
    (
        "transformer_blocks.*.norm1_context.linear",
        "joint_blocks.*.context_block.adaLN_modulation.1",
    ),
    ("transformer_blocks.*.ff.net.0.proj", "joint_blocks.*.x_block.mlp.fc1"),
    ("transformer_blocks.*.ff.net.2", "joint_blocks.*.x_block.mlp.fc2"),
    ("transformer_blocks.*.ff_context.net.0.proj", "joint_blocks.*.context_block.mlp.fc1"),
    ("transformer_blocks.*.ff_context.net.2", "joint_blocks.*.context_block.mlp.fc2"),
    ("time_text_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_text_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_text_embed.text_embedder.linear_1", "y_embedder.mlp.0"),
    ("time_text_embed.text_embedder.linear_2", "y_embedder.mlp.2"),
    ("context_embedder", "context_embedder"),
    ("pos_embed.proj", "x_embedder.proj"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)
_Z_IMAGE: Table = (
    ("@.*.attention.{to_q,to_k,to_v}", "@.*.attention.qkv"),
    ("@.*.attention.to_out.0", "@.*.attention.out"),
    ("@.*.attention.norm_q", "@.*.attention.q_norm"),
    ("@.*.attention.norm_k", "@.*.attention.k_norm"),
    ("all_x_embedder.2-1", "x_embedder"),
    ("all_final_layer.2-1.linear", "final_layer.linear"),
    ("all_final_layer.2-1.adaLN_modulation.1", "final_layer.adaLN_modulation.1"),
)
_LUMINA2: Table = (
    ("@.*.attn.{to_q,to_k,to_v}", "@.*.attention.qkv"),
    ("@.*.attn.to_out.0", "@.*.attention.out"),
    ("@.*.attn.norm_q", "@.*.attention.q_norm"),
    ("@.*.attn.norm_k", "@.*.attention.k_norm"),
    ("@.*.feed_forward.linear_1", "@.*.feed_forward.w1"),
    ("@.*.feed_forward.linear_2", "@.*.feed_forward.w2"),
    ("@.*.feed_forward.linear_3", "@.*.feed_forward.w3"),
    ("@.*.norm1.linear", "@.*.adaLN_modulation.1"),
    ("layers.*.norm1.norm", "layers.*.attention_norm1"),
    ("noise_refiner.*.norm1.norm", "noise_refiner.*.attention_norm1"),
    # It isn't told the time, so its norms are plain.
    ("context_refiner.*.norm1", "context_refiner.*.attention_norm1"),
    ("@.*.norm2", "@.*.attention_norm2"),
    ("time_caption_embed.caption_embedder.*", "cap_embedder.*"),
    ("time_caption_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_caption_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("norm_out.linear_1", "final_layer.adaLN_modulation.1"),
    ("norm_out.linear_2", "final_layer.linear"),
)
_DIT: Table = (
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
_SANA: Table = (
    *_DIT,
    # Sana 1.5 has them.
    ("transformer_blocks.*.attn1.norm_q", "blocks.*.attn.q_norm"),
    ("transformer_blocks.*.attn1.norm_k", "blocks.*.attn.k_norm"),
    ("transformer_blocks.*.attn2.norm_q", "blocks.*.cross_attn.q_norm"),
    ("transformer_blocks.*.attn2.norm_k", "blocks.*.cross_attn.k_norm"),
    ("transformer_blocks.*.ff.conv_inverted", "blocks.*.mlp.inverted_conv.conv"),
    ("transformer_blocks.*.ff.conv_depth", "blocks.*.mlp.depth_conv.conv"),
    ("transformer_blocks.*.ff.conv_point", "blocks.*.mlp.point_conv.conv"),
    ("patch_embed.proj", "x_embedder.proj"),
    ("time_embed.emb.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_embed.emb.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_embed.linear", "t_block.1"),
    ("caption_norm", "attention_y_norm"),
)
_PIXART: Table = (
    *_DIT,
    ("transformer_blocks.*.ff.net.0.proj", "blocks.*.mlp.fc1"),
    ("transformer_blocks.*.ff.net.2", "blocks.*.mlp.fc2"),
    ("pos_embed.proj", "x_embedder.proj"),
    ("adaln_single.emb.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("adaln_single.emb.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("adaln_single.linear", "t_block.1"),
)
_WAN: Table = (
    ("blocks.*.attn1.to_q", "blocks.*.self_attn.q"),
    ("blocks.*.attn1.to_k", "blocks.*.self_attn.k"),
    ("blocks.*.attn1.to_v", "blocks.*.self_attn.v"),
    ("blocks.*.attn1.to_out.0", "blocks.*.self_attn.o"),
    ("blocks.*.attn1.norm_q", "blocks.*.self_attn.norm_q"),
    ("blocks.*.attn1.norm_k", "blocks.*.self_attn.norm_k"),
    ("blocks.*.attn2.to_q", "blocks.*.cross_attn.q"),
    ("blocks.*.attn2.to_k", "blocks.*.cross_attn.k"),
    ("blocks.*.attn2.to_v", "blocks.*.cross_attn.v"),
    ("blocks.*.attn2.to_out.0", "blocks.*.cross_attn.o"),
    ("blocks.*.attn2.norm_q", "blocks.*.cross_attn.norm_q"),
    ("blocks.*.attn2.norm_k", "blocks.*.cross_attn.norm_k"),
    ("blocks.*.attn2.add_k_proj", "blocks.*.cross_attn.k_img"),
    ("blocks.*.attn2.add_v_proj", "blocks.*.cross_attn.v_img"),
    ("blocks.*.attn2.norm_added_k", "blocks.*.cross_attn.norm_k_img"),
    # The one norm with weights of its own is the third there and the second here.
    ("blocks.*.norm2", "blocks.*.norm3"),
    ("blocks.*.ffn.net.0.proj", "blocks.*.ffn.0"),
    ("blocks.*.ffn.net.2", "blocks.*.ffn.2"),
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
    ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
    ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"),
    ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
    ("proj_out", "head.head"),
    ("blocks.*.scale_shift_table", "blocks.*.modulation"),
    ("scale_shift_table", "head.modulation"),
)
_LTX: Table = (
    ("transformer_blocks.*.attn1.norm_q", "transformer_blocks.*.attn1.q_norm"),
    ("transformer_blocks.*.attn1.norm_k", "transformer_blocks.*.attn1.k_norm"),
    ("transformer_blocks.*.attn2.norm_q", "transformer_blocks.*.attn2.q_norm"),
    ("transformer_blocks.*.attn2.norm_k", "transformer_blocks.*.attn2.k_norm"),
    ("proj_in", "patchify_proj"),
    ("time_embed.emb.timestep_embedder.linear_1", "adaln_single.emb.timestep_embedder.linear_1"),
    ("time_embed.emb.timestep_embedder.linear_2", "adaln_single.emb.timestep_embedder.linear_2"),
    ("time_embed.linear", "adaln_single.linear"),
)

TABLES: Mapping[str, Table] = {
    "ChromaTransformer2DModel": _FLUX,
    "Flux2Transformer2DModel": _FLUX2,
    "FluxTransformer2DModel": _FLUX,
    "HunyuanImageTransformer2DModel": _HUNYUAN_IMAGE,
    "LTXVideoTransformer3DModel": _LTX,
    "Lumina2Transformer2DModel": _LUMINA2,
    "PixArtTransformer2DModel": _PIXART,
    "SD3Transformer2DModel": _SD3,
    "SanaTransformer2DModel": _SANA,
    "WanTransformer3DModel": _WAN,
    "ZImageTransformer2DModel": _Z_IMAGE,
}
"""By the class of the module. Those of HiDream and Qwen-Image have kept their names."""

SWAPPED = frozenset(
    {
        "SD3Transformer2DModel",
        "FluxTransformer2DModel",
        "Flux2Transformer2DModel",
        "HunyuanImageTransformer2DModel",
    }
)
"""Classes that have scale and shift of the last modulation, ``norm_out.linear``, the other way
round than the original."""
