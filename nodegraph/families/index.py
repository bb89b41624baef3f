"""Index of the built-in families: identify one without importing it.

Importing a family imports all that it computes with. `python docs/generate_families.py` writes
`INDEX` from the families' modules, in the order that it has, and appends new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nodegraph.families.base import Family


class IndexedFamily(NamedTuple):
    """A family, not imported yet.

    Attributes:
        family: Imports it. The module's name stands there as it is, as it is read from the source
            what code is behind a node.
        latent: Name of its latent format.
        pipelines: Classes of diffusers whose folders hold it.
        denoisers, controls: Classes that its denoiser and its control networks may be of.
        marks: Parts of tensor names in files of it or its control networks; see `FileLayout.marks`.
        control_modes, text_width, lora_signs, comfyui_type, resolutions: As in `Family`, by names.
        encoder_files: Whether its text encoders are read from files of their own.
    """

    family: Callable[[], Family]
    latent: str
    pipelines: tuple[str, ...] = ()
    denoisers: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    control_modes: tuple[str, ...] = ()
    text_width: int = 0
    lora_signs: tuple[tuple[str, str], ...] = ()
    comfyui_type: str = ""
    resolutions: tuple[str, ...] = ()
    encoder_files: bool = True


INDEX: Mapping[str, IndexedFamily] = MappingProxyType(
    {
        "sd1": IndexedFamily(
            lambda: import_module("nodegraph.families.stable_diffusion").SD1,
            "sd",
            pipelines=(
                "StableDiffusionPipeline",
                "StableDiffusionImg2ImgPipeline",
                "StableDiffusionInpaintPipeline",
                "StableDiffusionInstructPix2PixPipeline",
            ),
            denoisers=("UNet2DConditionModel",),
            marks=(
                "time_embed.0.weight",
                "time_embedding.linear_1.weight",
                "input_hint_block.0.weight",
                "controlnet_cond_embedding.conv_in.weight",
                "body.0.block1.weight",
                "body.0.resnets.0.block1.weight",
                "cond_stage_model.transformer.",
            ),
            controls=("ControlNetModel", "T2IAdapter"),
            lora_signs=(
                (
                    r"^(input_blocks|middle_block|output_blocks)_|^(down|up)_blocks_|^mid_block_",
                    "Stable Diffusion 1.x, 2.x or XL",
                ),
            ),
            resolutions=("tiny", "sd1"),
            comfyui_type="stable_diffusion",
            text_width=768,
        ),
        "sd2": IndexedFamily(
            lambda: import_module("nodegraph.families.stable_diffusion").SD2,
            "sd",
            pipelines=(
                "StableDiffusionPipeline",
                "StableDiffusionImg2ImgPipeline",
                "StableDiffusionInpaintPipeline",
                "StableDiffusionInstructPix2PixPipeline",
            ),
            denoisers=("UNet2DConditionModel",),
            marks=(
                "time_embed.0.weight",
                "time_embedding.linear_1.weight",
                "input_hint_block.0.weight",
                "controlnet_cond_embedding.conv_in.weight",
                "cond_stage_model.model.",
            ),
            controls=("ControlNetModel", "T2IAdapter"),
            lora_signs=(
                (
                    r"^(input_blocks|middle_block|output_blocks)_|^(down|up)_blocks_|^mid_block_",
                    "Stable Diffusion 1.x, 2.x or XL",
                ),
            ),
            resolutions=("sd2",),
            comfyui_type="stable_diffusion",
            text_width=1024,
        ),
        "sdxl": IndexedFamily(
            lambda: import_module("nodegraph.families.sdxl").SDXL,
            "sdxl",
            pipelines=(
                "StableDiffusionXLPipeline",
                "StableDiffusionXLImg2ImgPipeline",
                "StableDiffusionXLInpaintPipeline",
                "StableDiffusionXLInstructPix2PixPipeline",
            ),
            denoisers=("UNet2DConditionModel",),
            marks=(
                "time_embed.0.weight",
                "time_embedding.linear_1.weight",
                "input_hint_block.0.weight",
                "controlnet_cond_embedding.conv_in.weight",
                "body.0.block1.weight",
                "body.0.resnets.0.block1.weight",
                "conditioner.embedders.0.transformer.",
            ),
            controls=("ControlNetModel", "ControlNetUnionModel", "T2IAdapter"),
            control_modes=(
                "pose",
                "depth",
                "soft edges",
                "scribble",
                "edges",
                "lines",
                "normal",
                "segments",
                "tile",
                "repaint",
            ),
            lora_signs=(
                (
                    r"^(input_blocks|middle_block|output_blocks)_|^(down|up)_blocks_|^mid_block_",
                    "Stable Diffusion 1.x, 2.x or XL",
                ),
            ),
            resolutions=("sdxl",),
            comfyui_type="sdxl",
            text_width=2048,
        ),
        "sdxl-refiner": IndexedFamily(
            lambda: import_module("nodegraph.families.sdxl").SDXL_REFINER,
            "sdxl",
            pipelines=(
                "StableDiffusionXLImg2ImgPipeline",
                "StableDiffusionXLPipeline",
                "StableDiffusionXLInpaintPipeline",
                "StableDiffusionXLInstructPix2PixPipeline",
            ),
            denoisers=("UNet2DConditionModel",),
            marks=(
                "time_embed.0.weight",
                "time_embedding.linear_1.weight",
                "conditioner.embedders.0.model.",
            ),
            lora_signs=(
                (
                    r"^(input_blocks|middle_block|output_blocks)_|^(down|up)_blocks_|^mid_block_",
                    "Stable Diffusion 1.x, 2.x or XL",
                ),
            ),
            comfyui_type="stable_diffusion",
            text_width=1280,
        ),
        "sd3": IndexedFamily(
            lambda: import_module("nodegraph.families.sd3").SD3,
            "sd3",
            pipelines=(
                "StableDiffusion3Pipeline",
                "StableDiffusion3Img2ImgPipeline",
                "StableDiffusion3InpaintPipeline",
            ),
            denoisers=("SD3Transformer2DModel",),
            marks=(
                "joint_blocks.0.context_block.adaLN_modulation.1.weight",
                "transformer_blocks.0.norm1_context.linear.weight",
                "pos_embed_input.proj.weight",
            ),
            controls=("SD3ControlNetModel",),
            lora_signs=(
                (r"^joint_blocks_", "Stable Diffusion 3"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("sd3",),
            comfyui_type="sd3",
        ),
        "pixart-sigma": IndexedFamily(
            lambda: import_module("nodegraph.families.pixart").PIXART_SIGMA,
            "sdxl",
            pipelines=("PixArtSigmaPipeline",),
            denoisers=("PixArtTransformer2DModel",),
            marks=("blocks.0.cross_attn.q_linear.weight", "adaln_single.linear.weight"),
            lora_signs=(
                (
                    r"^blocks_\d+_(attn_|mlp_|cross_attn_(q_linear|kv_linear|proj))",
                    "Sana or PixArt",
                ),
                (r"^transformer_blocks_\d+_attn1_", "LTX, Sana or PixArt"),
            ),
            resolutions=("pixart-sigma",),
            comfyui_type="pixart",
        ),
        "flux": IndexedFamily(
            lambda: import_module("nodegraph.families.flux").FLUX,
            "flux",
            pipelines=(
                "FluxPipeline",
                "FluxImg2ImgPipeline",
                "FluxInpaintPipeline",
                "FluxFillPipeline",
                "FluxControlPipeline",
                "FluxKontextPipeline",
                "FluxKontextInpaintPipeline",
            ),
            denoisers=("FluxTransformer2DModel",),
            marks=(
                "double_blocks.0.img_mod.lin.weight",
                "transformer_blocks.0.norm1_context.linear.weight",
                "context_embedder.weight",
            ),
            controls=("FluxControlNetModel",),
            control_modes=(
                "edges",
                "lines",
                "tile",
                "depth",
                "blur",
                "pose",
                "grey",
                "low quality",
            ),
            lora_signs=(
                (r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("flux", "flux-kontext"),
            comfyui_type="flux",
        ),
        "sana": IndexedFamily(
            lambda: import_module("nodegraph.families.sana").SANA,
            "sana",
            pipelines=("SanaPipeline",),
            denoisers=("SanaTransformer2DModel",),
            marks=(
                "blocks.0.mlp.inverted_conv.conv.weight",
                "transformer_blocks.0.ff.conv_inverted.weight",
            ),
            lora_signs=(
                (
                    r"^blocks_\d+_(attn_|mlp_|cross_attn_(q_linear|kv_linear|proj))",
                    "Sana or PixArt",
                ),
                (r"^transformer_blocks_\d+_attn1_", "LTX, Sana or PixArt"),
            ),
            resolutions=("sana",),
            comfyui_type="lumina2",
        ),
        "ltx": IndexedFamily(
            lambda: import_module("nodegraph.families.ltx").LTX,
            "ltx",
            pipelines=("LTXPipeline", "LTXImageToVideoPipeline"),
            denoisers=("LTXVideoTransformer3DModel",),
            marks=("adaln_single.linear.weight", "time_embed.linear.weight"),
            lora_signs=((r"^transformer_blocks_\d+_attn1_", "LTX, Sana or PixArt"),),
            resolutions=("ltx",),
            comfyui_type="ltxv",
        ),
        "lumina2": IndexedFamily(
            lambda: import_module("nodegraph.families.lumina2").LUMINA2,
            "flux",
            pipelines=("Lumina2Pipeline", "Lumina2Text2ImgPipeline"),
            denoisers=("Lumina2Transformer2DModel",),
            marks=(
                "layers.0.adaLN_modulation.1.weight",
                "time_caption_embed.caption_embedder.1.weight",
            ),
            lora_signs=(
                (r"^(layers|noise_refiner|context_refiner)_\d+_attn_", "Lumina 2"),
                (r"^(layers|noise_refiner|context_refiner)_\d+_", "Z-Image or Lumina 2"),
            ),
            resolutions=("lumina2",),
            comfyui_type="lumina2",
        ),
        "wan": IndexedFamily(
            lambda: import_module("nodegraph.families.wan").WAN,
            "wan",
            pipelines=("WanPipeline", "WanImageToVideoPipeline", "WanVideoToVideoPipeline"),
            denoisers=("WanTransformer3DModel",),
            marks=("head.head.weight", "condition_embedder.time_proj.weight"),
            lora_signs=(
                (
                    r"^blocks_\d+_(self_attn_|cross_attn_([qkvo]$|norm_|k_img|v_img)|attn[12]_|ffn_)",
                    "Wan",
                ),
            ),
            resolutions=("wan",),
            comfyui_type="wan",
        ),
        "chroma": IndexedFamily(
            lambda: import_module("nodegraph.families.chroma").CHROMA,
            "flux",
            pipelines=("ChromaPipeline", "ChromaImg2ImgPipeline", "ChromaInpaintPipeline"),
            denoisers=("ChromaTransformer2DModel",),
            marks=("distilled_guidance_layer.in_proj.weight",),
            lora_signs=(
                (r"^distilled_guidance_layer", "Chroma"),
                (r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("chroma",),
            comfyui_type="chroma",
        ),
        "hidream": IndexedFamily(
            lambda: import_module("nodegraph.families.hidream").HIDREAM,
            "flux",
            pipelines=("HiDreamImagePipeline",),
            denoisers=("HiDreamImageTransformer2DModel",),
            marks=("double_stream_blocks.0.block.adaLN_modulation.1.weight",),
            lora_signs=((r"^(double|single)_stream_blocks_", "HiDream"),),
            resolutions=("hidream",),
            comfyui_type="hidream",
        ),
        "wan22-5b": IndexedFamily(
            lambda: import_module("nodegraph.families.wan").WAN22_5B,
            "wan22",
            pipelines=("WanPipeline", "WanImageToVideoPipeline", "WanVideoToVideoPipeline"),
            denoisers=("WanTransformer3DModel",),
            marks=("head.head.weight", "condition_embedder.time_proj.weight"),
            lora_signs=(
                (
                    r"^blocks_\d+_(self_attn_|cross_attn_([qkvo]$|norm_|k_img|v_img)|attn[12]_|ffn_)",
                    "Wan",
                ),
            ),
            resolutions=("wan22-5b",),
            comfyui_type="wan",
        ),
        "qwen-image": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image").QWEN_IMAGE,
            "qwen-image",
            pipelines=("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"),
            denoisers=("QwenImageTransformer2DModel",),
            marks=("transformer_blocks.0.attn.add_k_proj.weight", "txt_in.weight"),
            controls=("QwenImageControlNetModel",),
            lora_signs=(
                (r"^transformer_blocks_\d+_(img|txt)_(mlp|mod)_", "Qwen-Image"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("qwen-image",),
            comfyui_type="qwen_image",
        ),
        "qwen-image-edit": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT,
            "qwen-image",
            pipelines=("QwenImageEditPipeline", "QwenImageEditInpaintPipeline"),
            denoisers=("QwenImageTransformer2DModel",),
            marks=("transformer_blocks.0.attn.add_k_proj.weight",),
            lora_signs=(
                (r"^transformer_blocks_\d+_(img|txt)_(mlp|mod)_", "Qwen-Image"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            comfyui_type="qwen_image",
        ),
        "qwen-image-edit-plus": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT_PLUS,
            "qwen-image",
            pipelines=("QwenImageEditPlusPipeline",),
            denoisers=("QwenImageTransformer2DModel",),
            marks=("transformer_blocks.0.attn.add_k_proj.weight",),
            lora_signs=(
                (r"^transformer_blocks_\d+_(img|txt)_(mlp|mod)_", "Qwen-Image"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            comfyui_type="qwen_image",
        ),
        "hunyuan-image": IndexedFamily(
            lambda: import_module("nodegraph.families.hunyuan_image").HUNYUAN_IMAGE,
            "hunyuan-image",
            pipelines=("HunyuanImagePipeline",),
            denoisers=("HunyuanImageTransformer2DModel",),
            marks=(
                "txt_in.individual_token_refiner.blocks.0.norm1.weight",
                "context_embedder.token_refiner.refiner_blocks.0.norm1.weight",
            ),
            lora_signs=(
                (r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("hunyuan-image",),
            comfyui_type="hunyuan_image",
        ),
        "flux2": IndexedFamily(
            lambda: import_module("nodegraph.families.flux2").FLUX2,
            "flux2",
            pipelines=("Flux2Pipeline",),
            denoisers=("Flux2Transformer2DModel",),
            marks=(
                "double_stream_modulation_img.lin.weight",
                "double_stream_modulation_img.linear.weight",
            ),
            lora_signs=(
                (
                    r"_attn_to_qkv_mlp_proj$|_ff(_context)?_linear_(in|out)$|stream_modulation",
                    "Flux.2",
                ),
                (r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("flux2",),
            comfyui_type="flux2",
        ),
        "z-image": IndexedFamily(
            lambda: import_module("nodegraph.families.z_image").Z_IMAGE,
            "flux",
            pipelines=("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline"),
            denoisers=("ZImageTransformer2DModel",),
            marks=("layers.0.adaLN_modulation.0.weight",),
            lora_signs=(
                (r"^(layers|noise_refiner|context_refiner)_\d+_attention_to_", "Z-Image"),
                (r"^(layers|noise_refiner|context_refiner)_\d+_", "Z-Image or Lumina 2"),
            ),
            resolutions=("z-image",),
            comfyui_type="lumina2",
        ),
        "flux2-klein": IndexedFamily(
            lambda: import_module("nodegraph.families.flux2").FLUX2_KLEIN,
            "flux2",
            pipelines=("Flux2KleinPipeline", "Flux2KleinInpaintPipeline"),
            denoisers=("Flux2Transformer2DModel",),
            marks=(
                "double_stream_modulation_img.lin.weight",
                "double_stream_modulation_img.linear.weight",
            ),
            lora_signs=(
                (
                    r"_attn_to_qkv_mlp_proj$|_ff(_context)?_linear_(in|out)$|stream_modulation",
                    "Flux.2",
                ),
                (r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            comfyui_type="flux2",
        ),
        "molecules": IndexedFamily(
            lambda: import_module("nodegraph.families.item_family").MOLECULES,
            "molecules",
            denoisers=("MoleculeTransformer",),
            marks=("shared_embedding.weight",),
            encoder_files=False,
        ),
        "shapes": IndexedFamily(
            lambda: import_module("nodegraph.families.item_family").SHAPES,
            "shapes",
            denoisers=("ItemTransformer",),
            marks=("shared_embedding.weight",),
            encoder_files=False,
        ),
        "sounds": IndexedFamily(
            lambda: import_module("nodegraph.families.sounds").SOUNDS,
            "sounds",
            denoisers=("ItemTransformer",),
            marks=("shared_embedding.weight",),
            encoder_files=False,
        ),
        "motions": IndexedFamily(
            lambda: import_module("nodegraph.families.item_family").MOTIONS,
            "motions",
            denoisers=("MotionTransformer",),
            marks=("shared_embedding.weight",),
            encoder_files=False,
        ),
        "auraflow": IndexedFamily(
            lambda: import_module("nodegraph.families.auraflow").AURAFLOW,
            "sdxl",
            pipelines=("AuraFlowPipeline",),
            denoisers=("AuraFlowTransformer2DModel",),
            marks=(
                "double_layers.0.attn.w1q.weight",
                "joint_transformer_blocks.0.attn.add_q_proj.weight",
            ),
            lora_signs=(
                (r"^joint_transformer_blocks_|^(double|single)_layers_", "AuraFlow"),
                (r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux"),
            ),
            resolutions=("auraflow",),
            encoder_files=False,
        ),
        "ltx2": IndexedFamily(
            lambda: import_module("nodegraph.families.ltx2").LTX2,
            "ltx2",
            pipelines=("LTX2Pipeline", "LTX2ImageToVideoPipeline"),
            denoisers=("LTX2VideoTransformer3DModel",),
            marks=("audio_patchify_proj.weight", "audio_proj_in.weight"),
            lora_signs=((r"^transformer_blocks_\d+_attn1_", "LTX, Sana or PixArt"),),
            resolutions=("ltx2",),
            comfyui_type="ltxv",
        ),
        "qwen-image-21": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image_21").QWEN_IMAGE_21,
            "qwen-image-21",
            pipelines=("QwenImage21Pipeline",),
            denoisers=("QwenImage21Transformer2DModel",),
            marks=("transformer_blocks.0.img_mlp.out.weight",),
            lora_signs=(
                (
                    r"^transformer_blocks_\d+_img_mlp_(proj|gate_layer|gate_up|out)",
                    "Qwen-Image 2.1",
                ),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("qwen-image-21",),
            comfyui_type="qwen_image",
        ),
        "krea2": IndexedFamily(
            lambda: import_module("nodegraph.families.krea2").KREA2,
            "qwen-image",
            pipelines=("Krea2Pipeline",),
            denoisers=("Krea2Transformer2DModel",),
            marks=("txtfusion.projector.weight", "final_layer.scale_shift_table"),
            lora_signs=(
                (
                    r"^(transformer_)?blocks_\d+_(attn_(to_gate|gate|w[qkvo])|(ff|mlp)_(gate|up|down))|^(text_fusion|txtfusion)_",
                    "Krea 2",
                ),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("krea2",),
            comfyui_type="krea2",
        ),
        "ovis-image": IndexedFamily(
            lambda: import_module("nodegraph.families.ovis_image").OVIS_IMAGE,
            "flux",
            pipelines=("OvisImagePipeline",),
            denoisers=("OvisImageTransformer2DModel",),
            marks=("transformer_blocks.0.attn.add_q_proj.weight",),
            lora_signs=(
                (r"^(double|single)_blocks_|^single_transformer_blocks_", "Flux"),
                (
                    r"^transformer_blocks_\d+_(attn_|ff_context_|norm1_context_)",
                    "Stable Diffusion 3 or Flux",
                ),
            ),
            resolutions=("ovis-image",),
            comfyui_type="ovis",
        ),
    }
)
"""By name, in the order in which files are asked whether they are of one."""
FORMATS: Mapping[str, str] = {INDEX[name].latent: name for name in reversed([*INDEX])}
"""The first family of each latent format, by its name."""
