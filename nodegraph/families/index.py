"""Index of the built-in families: identify one without importing it.

A family's module brings all that it computes with, and who looks for one family is to import one.
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
        marks: Parts of tensor names. A file that holds it whole, its denoiser or a control network
            of it has a name with one of them; see `FileLayout.marks`.
        encoder_files: Whether its text encoders are read from files of their own.
    """

    family: Callable[[], Family]
    latent: str
    marks: tuple[str, ...]
    encoder_files: bool = True


_UNET = ("time_embed.0.weight", "time_embedding.linear_1.weight", "first_stage_model.")
_CONTROL_NETWORK = ("input_hint_block.", "controlnet_cond_embedding.")
_WAN = ("head.modulation", "condition_embedder.time_proj.weight")
_QWEN_IMAGE = ("txt_norm.weight", "controlnet_blocks.0.weight")
_FLUX2 = ("double_stream_modulation_img.",)
_ITEMS = ("shared_embedding.weight",)
INDEX: Mapping[str, IndexedFamily] = MappingProxyType(
    {
        "sd1": IndexedFamily(
            lambda: import_module("nodegraph.families.stable_diffusion").SD1,
            "sd",
            (*_UNET, *_CONTROL_NETWORK, "body.0."),
        ),
        "sd2": IndexedFamily(
            lambda: import_module("nodegraph.families.stable_diffusion").SD2,
            "sd",
            (*_UNET, *_CONTROL_NETWORK),
        ),
        "sdxl": IndexedFamily(
            lambda: import_module("nodegraph.families.sdxl").SDXL,
            "sdxl",
            (*_UNET, *_CONTROL_NETWORK, "body.0."),
        ),
        "sdxl-refiner": IndexedFamily(
            lambda: import_module("nodegraph.families.sdxl").SDXL_REFINER,
            "sdxl",
            _UNET,
        ),
        "sd3": IndexedFamily(
            lambda: import_module("nodegraph.families.sd3").SD3,
            "sd3",
            (
                "joint_blocks.0.context_block.",
                "transformer_blocks.0.norm1_context.",
                "controlnet_blocks.0.weight",
            ),
        ),
        "pixart-sigma": IndexedFamily(
            lambda: import_module("nodegraph.families.pixart").PIXART_SIGMA,
            "sdxl",
            (
                "t_block.1.weight",
                "adaln_single.linear.weight",
            ),
        ),
        "flux": IndexedFamily(
            lambda: import_module("nodegraph.families.flux").FLUX,
            "flux",
            (
                "double_blocks.0.img_mod.lin.weight",
                "single_transformer_blocks.0.proj_mlp.weight",
                "controlnet_blocks.0.weight",
            ),
        ),
        "sana": IndexedFamily(
            lambda: import_module("nodegraph.families.sana").SANA,
            "sana",
            (
                "mlp.inverted_conv.conv.weight",
                "ff.conv_inverted.weight",
            ),
        ),
        "ltx": IndexedFamily(
            lambda: import_module("nodegraph.families.ltx").LTX,
            "ltx",
            (
                "patchify_proj.weight",
                "time_embed.linear.weight",
            ),
        ),
        "lumina2": IndexedFamily(
            lambda: import_module("nodegraph.families.lumina2").LUMINA2,
            "flux",
            (
                "cap_embedder.1.weight",
                "caption_embedder.1.weight",
            ),
        ),
        "wan": IndexedFamily(
            lambda: import_module("nodegraph.families.wan").WAN,
            "wan",
            _WAN,
        ),
        "chroma": IndexedFamily(
            lambda: import_module("nodegraph.families.chroma").CHROMA,
            "flux",
            ("distilled_guidance_layer.in_proj.weight",),
        ),
        "hidream": IndexedFamily(
            lambda: import_module("nodegraph.families.hidream").HIDREAM,
            "flux",
            ("double_stream_blocks.0.block.",),
        ),
        "wan22-5b": IndexedFamily(
            lambda: import_module("nodegraph.families.wan").WAN22_5B,
            "wan22",
            _WAN,
        ),
        "qwen-image": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image").QWEN_IMAGE,
            "qwen-image",
            _QWEN_IMAGE,
        ),
        "qwen-image-edit": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT,
            "qwen-image",
            _QWEN_IMAGE,
        ),
        "qwen-image-edit-plus": IndexedFamily(
            lambda: import_module("nodegraph.families.qwen_image_edit").QWEN_IMAGE_EDIT_PLUS,
            "qwen-image",
            _QWEN_IMAGE,
        ),
        "hunyuan-image": IndexedFamily(
            lambda: import_module("nodegraph.families.hunyuan_image").HUNYUAN_IMAGE,
            "hunyuan-image",
            (
                "byt5_in.fc1.weight",
                "context_embedder_2.linear_1.weight",
            ),
        ),
        "flux2": IndexedFamily(
            lambda: import_module("nodegraph.families.flux2").FLUX2,
            "flux2",
            _FLUX2,
        ),
        "z-image": IndexedFamily(
            lambda: import_module("nodegraph.families.z_image").Z_IMAGE,
            "flux",
            ("cap_pad_token",),
        ),
        "flux2-klein": IndexedFamily(
            lambda: import_module("nodegraph.families.flux2").FLUX2_KLEIN,
            "flux2",
            _FLUX2,
        ),
        "molecules": IndexedFamily(
            lambda: import_module("nodegraph.families.molecules").MOLECULES,
            "molecules",
            _ITEMS,
            encoder_files=False,
        ),
        "shapes": IndexedFamily(
            lambda: import_module("nodegraph.families.shapes").SHAPES,
            "shapes",
            _ITEMS,
            encoder_files=False,
        ),
        "sounds": IndexedFamily(
            lambda: import_module("nodegraph.families.sounds").SOUNDS,
            "sounds",
            _ITEMS,
            encoder_files=False,
        ),
        "motions": IndexedFamily(
            lambda: import_module("nodegraph.families.motions").MOTIONS,
            "motions",
            _ITEMS,
            encoder_files=False,
        ),
    }
)
"""By name, in the order in which files are asked whether they are of one."""
FORMATS: Mapping[str, str] = {INDEX[name].latent: name for name in reversed([*INDEX])}
"""The first family of each latent format, by its name."""
